// The page of one channel.
import { DASH, capital, h, prime, signed, significant } from "./dom.js";
import { faithfulnessPanel, filterPanel, motionPanel, parameterPanel, picturePanel } from "./panels.js";

export const RULES = { faithfulness: "chosen for its effect on the scores", displacement: "chosen for its motion", random: "chosen at random" };

export const runTitle = (run) => [run.network, run.dataset, run.init === "scratch" ? "from scratch" : run.init, run.kind,
  run.control !== "none" && run.control].filter(Boolean).join(" · ");

const percent = (x) => `${(100 * x).toFixed(0)}\u00a0%`;
const SPLITS = { train: "training", val: "validation", test: "test" };

function rank(run, order, id) {
  const { ids, place } = run.ranking(order);
  return place.has(id) ? ` (${place.get(id)} of ${ids.length})` : "";
}

function facts(run, id) {
  const layer = run.layerAt(id), displacement = run.number("displacement", id), drop = run.drop(run.ablation, 0, id);
  const rows = [
    ["Kernel, T × H × W", prime(layer.kernel)],
    layer.jump && ["One feature pixel is", `${layer.jump} input pixel${layer.jump === 1 ? "" : "s"}`],
    layer.frames && ["Time steps that it sees", String(layer.frames)],
    run.transforms && ["Displacement a transition", significant(displacement) + rank(run, "displacement", id)],
    ["Fall of log p without it", (Number.isNaN(drop) ? DASH : signed(drop, 4)) + rank(run, "drop 0", id)],
  ];
  return h("dl", { class: "facts" }, rows.filter(Boolean).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

export function drawDetail(main, player, run, id, notice) {
  const layer = run.layerAt(id), channel = id - layer.first, name = `${layer.name}, channel ${channel}`;
  const accuracy = Object.entries(run.accuracy).map(([split, value]) => `${SPLITS[split] || split} accuracy ${percent(value)}`).join(", ");
  const said = run.sentence(id);
  const sentence = said ? `${capital(said)}.` : run.transforms ? "No sentence was written about this channel." : `A channel of a ${run.kind} convolution: no transforms to put into words.`;
  const chosen = run.chosen[id];
  const clock = [motionPanel(run, id, name), filterPanel(run, id, name), picturePanel(run, id, name)];
  const panels = [...clock, faithfulnessPanel(run, id), parameterPanel(run, id)];
  const slices = Math.max(0, ...clock.filter((p) => !p.clip).map((p) => p.steps || 0));
  const frames = clock[2].clip > 1 ? clock[2].clip : 0;
  main.replaceChildren(
    notice ? h("p", { class: "notice", role: "alert" }, notice) : "",
    h("p", { class: "subtitle" }, runTitle(run)),
    h("h2", { id: "channel-title" }, layer.name, h("span", { class: "number" }, ` channel ${channel}`)),
    h("p", { class: "sentence" }, sentence),
    h("p", { class: "small" }, [chosen && (RULES[chosen[0]] || `chosen by ${chosen[0]}`) + ` (number ${chosen[1]})`, [`run ${run.key}`, accuracy].filter(Boolean).join(", ")].filter(Boolean).map(capital).join(". ") + "."),
    facts(run, id),
    player.node,
    ...panels.map((panel) => panel.node).filter(Boolean));
  const where = (u) => [
    slices > 1 && `slice ${Math.round(u * (slices - 1)) + 1} of ${slices}`,
    frames && `frame ${Math.round(u * (frames - 1)) + 1} of ${frames}`,
  ].filter(Boolean).join(", ");
  player.play(panels.flatMap((panel) => panel.items || []), Math.max(slices, frames), where);
}
