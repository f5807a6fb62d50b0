// The parts of a channel's page: motion, filter, pictures, faithfulness, parameters. Each gives
// {node, items, steps, clip}: what to show, what moves with the clock, and how many moments it has.
import { DASH, capital, fixed, h, prime, signed, significant } from "./dom.js";
import { readable, trajectory } from "./motion.js";
import { bar, curve, degrees, factor, path, pictogram, polar } from "./plots.js";

const section = (title, ...content) => h("section", {}, h("h3", {}, title), ...content);
const key = (kind, text) => h("span", { class: "key" }, h("span", { class: `key-${kind}` }), text);
const soft = (text) => h("p", { class: "small" }, text);

const METHODS = {
  frame: "Frame", gradient: "Gradient", "integrated-gradients": "Integrated gradients",
  "guided-backprop": "Guided backpropagation", "grad-cam": "Grad-CAM", maximised: "Optimised input",
  "motion-film": "Motion film", filters: "Filter", pictogram: "Pictogram",
};
const ORDER = Object.keys(METHODS);
const ON_CLIPS = new Set(["frame", "gradient", "integrated-gradients", "guided-backprop", "grad-cam"]);
const PLACES = ["channel", "filters"]; // of groups of pictures, after those on clips
const methodName = (method) => METHODS[method] || capital(method.replaceAll("-", " "));

// What a picture is called, and which frames it shows: "Frame 8", "Gradient" + "all frames".
function caption({ method, frame, frames, label }) {
  const plain = method === "frame";
  if (frame >= 0) return plain ? [`Frame ${frame + 1}`, ""] : [methodName(method), `frame ${frame + 1}`];
  if (plain) return ["Clip", ""];
  return [methodName(method), label && frames > 1 ? "all frames" : ""];
}

let exaggeration = 1;

// What a channel answers to, measured with gratings that drift; null where it was not.
function tuningPlot(run, id, name) {
  const tuned = run.tuning(id);
  if (!tuned) return null;
  const best = tuned.directions[tuned.intact.indexOf(Math.max(...tuned.intact))];
  return polar({ ...tuned, label: `Response of ${name} to gratings that drift in ${tuned.directions.length} directions: largest at ${best} degrees, counter-clockwise from the right.` });
}

const TUNED = "Answer by direction: mean response to gratings that drift, over wavelengths and speeds; a filter that moves right, up answers to what does the same.";

export function motionPanel(run, id, name) {
  const layer = run.layerAt(id), steps = run.steps(id), tuned = tuningPlot(run, id, name);
  if (!steps.length) {
    return { node: section("Motion", soft(run.transforms
      ? "The run's parameter table says nothing of this channel."
      : `A ${run.kind} convolution has no transforms, so there is no zoom, turn or path to draw. See the filter and the pictures.`),
    tuned && [h("div", { class: "panels" }, tuned.node), soft(TUNED)]) };
  }
  const size = layer.kernel ? layer.kernel.slice(1) : [3, 3];
  const moved = trajectory(steps, size), last = steps.length;
  const floor = (name) => run.number(name, id);
  const reached = [0];
  steps.forEach((_, t) => reached.push(reached[t] + (layer.reachable[t] !== false)));
  const plots = [
    path({ right: moved.right, up: moved.up, bound: floor("floor_px"),
      label: `Path of the centre of ${name}: ends ${signed(moved.right[last], 2)} kernel pixels right, ${signed(moved.up[last], 2)} up.` }),
    curve({ title: "Zoom", label: `Cumulative zoom of ${name}: ends at a factor of ${fixed(moved.zoom[last], 3)}.`,
      values: moved.zoom, reached, bound: Math.log(floor("floor_zoom")), scale: Math.log, tick: factor }),
    curve({ title: "Turn, clockwise", label: `Cumulative turn of ${name}: ends at ${fixed(moved.turn[last], 1)} degrees clockwise.`,
      values: moved.turn, reached, bound: floor("floor_turn_deg"), scale: (v) => v, tick: degrees }),
  ];
  const picture = pictogram(steps, { label: `An arrow moved by the transforms of ${name}, in the frame of the kernel.` });
  const small = Array.from({ length: last + 1 }, (_, t) => {
    const { node, at } = pictogram(steps, { label: `Arrow at slice ${t + 1}`, size: "small" });
    return { t, at, card: h("figure", {}, node, h("figcaption", {}, String(t + 1))) };
  });
  let u = 0;
  const draw = () => {
    picture.at(u * last, exaggeration);
    small.forEach(({ card, t }) => card.classList.toggle("here", Math.round(u * last) === t));
  };
  const still = () => small.forEach(({ at, t }) => at(t, exaggeration));
  const choice = h("select", { "aria-describedby": "exaggerated", onchange: () => {
    exaggeration = Number(choice.value); still(); draw();
    note.textContent = told();
  } }, [1, 3, 10, 30].map((n) => h("option", { value: n, selected: n === exaggeration }, n === 1 ? "true size" : `${n} times`)));
  const told = () => (exaggeration === 1 ? "" : `Every transform of the arrow is drawn ${exaggeration} times as large as it is; plots and numbers stay true.`);
  const note = h("p", { class: "small", id: "exaggerated", role: "status" }, told());
  still();
  const bounded = Number.isFinite(floor("floor_px"));
  return {
    node: section("Motion",
      h("div", { class: "panels" },
        h("figure", { class: "panel" },
          h("figcaption", {}, "Transforms ", h("label", { class: "inline" }, h("span", { class: "visually-hidden" }, "Exaggerate the arrow"), choice)),
          picture.node),
        plots[0].node, tuned && tuned.node, plots.slice(1).map((plot) => plot.node)),
      h("div", { class: "slices" }, small.map(({ card }) => card)),
      note,
      h("p", { class: "small legend" }, key("start", "first slice"), key("end", "last slice"),
        bounded && key("noise", "what noise alone would do (95 %)"),
        tuned && run.tuning(id).identity && key("still", "answer with the layer's transforms at the identity")),
      tuned && soft(TUNED)),
    items: [...plots.map((plot) => plot.update), (v) => { u = v; draw(); }],
    steps: last + 1,
  };
}

export function filterPanel(run, id, name) {
  const filter = run.filter(id);
  if (!filter) {
    const first = run.layerAt(id) === run.layers[0];
    const why = first
      ? "No picture of this filter was made."
      : "Beyond the first layer a filter has one plane for each channel below it, so it is no picture. "
        + (run.transforms ? "The arrow above shows how all its planes move." : "Only pictures of what excites the channel can be shown.");
    return { node: section("Filter", soft(why)) };
  }
  const { depth, height, width } = filter;
  const paint = (canvas, slice) => {
    const context = canvas.getContext("2d"), image = context.createImageData(width, height), rgb = filter.rgb(slice);
    for (let i = 0, j = 0; i < rgb.length; i += 3, j += 4) {
      image.data[j] = rgb[i]; image.data[j + 1] = rgb[i + 1]; image.data[j + 2] = rgb[i + 2]; image.data[j + 3] = 255;
    }
    context.putImageData(image, 0, 0);
  };
  const canvas = (text) => h("canvas", { width, height, role: "img", "aria-label": text, class: "pixels" });
  const large = canvas(`Filter of ${name} over time, in colour.`);
  large.classList.add("large");
  const slices = Array.from({ length: depth }, (_, t) => {
    const node = canvas(`Slice ${t + 1} of ${depth}`);
    paint(node, t);
    return h("figure", {}, node, h("figcaption", {}, String(t + 1)));
  });
  return {
    node: section("Filter",
      h("div", { class: "filter" }, large, h("div", { class: "strip" }, slices)),
      soft("Red, green and blue are the weights on the clip's colours; grey is zero. One range for all slices.")),
    items: [(u) => {
      const at = Math.round(u * (depth - 1));
      paint(large, at);
      slices.forEach((node, t) => node.classList.toggle("here", t === at));
    }],
    steps: depth,
  };
}

function film(run, row, alt) {
  const image = h("img", { src: run.files[row.file], alt, decoding: "async", draggable: "false" });
  image.style.width = `${row.frames * 100}%`;
  const box = h("div", { class: Math.max(row.width, row.height) <= 64 ? "film pixels" : "film" }, image);
  box.style.aspectRatio = `${row.width} / ${row.height}`;
  const update = row.frames > 1
    ? (u) => { image.style.transform = `translateX(${-100 * Math.round(u * (row.frames - 1)) / row.frames}%)`; }
    : null;
  return { box, update };
}

export function picturePanel(run, id, name) {
  const rows = run.pictures.get(id) || [];
  if (!rows.length) {
    const any = run.pictures.size;
    return { node: section("Pictures", soft(any
      ? `Pictures were made of chosen channels of this run only, ${any} in number (tick “with pictures only” in the list).`
      : "No pictures were made of this run.")) };
  }
  const items = [], groups = new Map();
  let steps = 1;
  for (const row of rows) {
    const key = ON_CLIPS.has(row.method) ? `clip ${row.clip}` : row.method === "filters" ? "filters" : "channel";
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(row);
  }
  const draw = (row) => {
    const [title, which] = caption(row), on = row.label ? ` on a clip of “${row.label}”` : "";
    const what = row.method === "frame" ? `${title} of a clip of “${row.label}”` : `${title} of ${name}${on}`;
    const { box, update } = film(run, row, `${what}${which && `, ${which}`}.`);
    if (update) { items.push(update); steps = Math.max(steps, row.frames); }
    const flags = run.flagged.get(`${id} ${row.method}`);
    return h("figure", { class: "picture-card" }, box, h("figcaption", {}, h("b", {}, title),
      which && `, ${which}`, row.note && h("span", { class: "note" }, `. ${row.note.charAt(0).toUpperCase()}${row.note.slice(1)}.`),
      flags && h("span", { class: "flag" }, ` Does not depend on what was learned: it hardly changes when one randomises ${flags.join(", ")}.`)));
  };
  const rank = ({ method }) => (ORDER.includes(method) ? ORDER.indexOf(method) : ORDER.length);
  const order = (a, b) => (a.frame < 0) - (b.frame < 0) || rank(a) - rank(b); // stills first, then films
  const parts = [...groups].sort(([a], [b]) => PLACES.indexOf(a) - PLACES.indexOf(b)).map(([key, group]) => {
    const { label, clip } = group[0];
    const title = key === "channel" ? "What excites it most" : key === "filters" ? "Its filter, slice by slice" : `Clip ${clip}${label ? `, “${label}”` : ""}`;
    return h("div", { class: "group" }, h("h4", {}, title), h("div", { class: "cards" }, [...group].sort(order).map(draw)));
  });
  return { node: section("Pictures", parts), items, steps, clip: steps };
}

const ABLATIONS = {
  identity: "with the channel's transforms set to the identity",
  mean: "with the channel's output replaced by its mean",
};

export function faithfulnessPanel(run, id) {
  const known = run.ablations.map((_, a) => a).filter((a) => run.labels.some((_l, l) => !Number.isNaN(run.drop(a, l, id))));
  if (!known.length) {
    return { node: section("What it matters for", soft(run.labels.length
      ? "This channel's effect on the class scores was not measured."
      : "The effect of channels on the class scores was not measured in this run.")) };
  }
  const layer = run.layerAt(id);
  const parts = known.map((a) => {
    const rows = run.labels.map((label, l) => ({ label, value: run.drop(a, l, id), n: run.clips[l] })).filter(({ value }) => !Number.isNaN(value));
    const most = Math.max(...rows.map(({ value }) => Math.abs(value)), 1e-12);
    const how = ABLATIONS[run.ablations[a]] || `under “${run.ablations[a]}”`;
    const whole = run.layerDrop(a, 0, layer);
    return h("figure", { class: "table" },
      h("figcaption", {}, `Fall of log p(true class), in nats, ${how}.`),
      h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Effect on class scores" },
        h("table", { class: "bars" },
          h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Clips"), h("th", { scope: "col", class: "r" }, "n"), h("th", { scope: "col", class: "r" }, "Fall"), h("th", {}, h("span", { class: "visually-hidden" }, "Bar")))),
          h("tbody", {}, rows.map(({ label, value, n }) => h("tr", { class: label ? "" : "overall" },
            h("td", {}, label || "All classes"), h("td", { class: "r" }, String(n)), h("td", { class: "r" }, signed(value, decimals(most))),
            h("td", { class: "bar-cell" }, bar(value, most))))))),
      Number.isFinite(whole) && soft(`All channels of ${layer.name} at once: ${signed(whole, decimals(Math.abs(whole)))}.`));
  });
  return { node: section("What it matters for", parts) };
}

const decimals = (most) => (most > 0 ? Math.min(6, Math.max(2, 2 - Math.floor(Math.log10(most)))) : 2);

export function parameterPanel(run, id) {
  const layer = run.layerAt(id), steps = run.steps(id);
  if (!steps.length) return { node: null };
  const size = layer.kernel ? layer.kernel.slice(1) : [3, 3];
  const raw = (v) => h("td", { class: "r" }, fixed(v, 4));
  const rows = steps.map((step, t) => {
    const { zoom, turn, right, up, inputRight, inputUp } = readable(step, size, layer.jump);
    const reach = layer.reachable[t];
    return h("tr", { class: reach === false ? "muted" : "" },
      h("th", { scope: "row" }, `${t + 1} → ${t + 2}`),
      h("td", {}, reach === undefined ? DASH : reach ? "✓ yes" : "✕ no"),
      h("td", { class: "r" }, `${fixed(zoom, 3)}×`), h("td", { class: "r" }, `${signed(turn, 2)}°`),
      h("td", { class: "r" }, signed(right, 3)), h("td", { class: "r" }, signed(up, 3)),
      h("td", { class: "r" }, signed(inputRight, 2)), h("td", { class: "r" }, signed(inputUp, 2)),
      step.map(raw));
  });
  const head = (text, kind = "r") => h("th", { scope: "col", class: kind }, text);
  const noise = run.noise
    ? ` Noise alone would give a mean step of ${significant(run.noise.turn, 2)} in log zoom and in radians, and of ${significant(run.noise.shift, 2)} of the kernel in each shift.` : "";
  return { node: section("Parameters", h("figure", { class: "table" },
    h("div", { class: "scroll wide", tabindex: 0, role: "region", "aria-label": "Parameters of each transition" },
      h("table", {}, h("thead", {},
        h("tr", { class: "groups" }, h("th", { colspan: 2 }), h("th", { colspan: 2 }), h("th", { colspan: 2, class: "group", scope: "colgroup" }, "kernel pixels"), h("th", { colspan: 2, class: "group", scope: "colgroup" }, "input pixels"), h("th", { colspan: 4, class: "group", scope: "colgroup" }, "as stored (inverse map)")),
        h("tr", {}, head("Slices", ""), head("Reachable", ""), head("Zoom"), head("Clockwise"), head("Right"), head("Up"), head("Right"), head("Up"), head("s"), head("r"), head("tx"), head("ty"))),
      h("tbody", {}, rows))),
    soft(`Content grows by 1/s, turns by −r clockwise and shifts by −tx/2 and ty/2 of the kernel (${prime(layer.kernel)}; a kernel of k taps has k − 1 steps). An unreachable transition meets only padding and never gets a gradient.${noise}`))) };
}
