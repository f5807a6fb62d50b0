// Choosing: variant, layer, channel; links; keys; colours.
import { Player } from "./player.js";
import { List } from "./list.js";
import { RULES, drawDetail, runTitle } from "./detail.js";
import { contentMap, trajectory } from "./motion.js";
import { DASH, capital, fixed, h, signed, significant } from "./dom.js";
import { open } from "./data.js";

const find = (id) => document.getElementById(id);
const index = JSON.parse(find("index").textContent);
const main = find("detail"), search = find("search"), sorter = find("sort"), pictured = find("pictured");
const variants = find("variant"), layers = find("layer"), count = find("count");
const player = new Player();
const state = { variant: -1, run: null, id: -1, scope: "0", typed: false };

// ---- the list

function row(id) {
  const { run } = state, layer = run.layerAt(id), channel = id - layer.first;
  const order = sorter.value, byDrop = order.startsWith("drop");
  const value = byDrop ? run.sortValue(order)(id) : run.number("displacement", id);
  const shown = byDrop ? (Number.isNaN(value) ? DASH : signed(value, 3)) : significant(value, 2);
  const mark = run.chosen[id];
  const text = run.sentence(id) || (run.transforms ? "no sentence" : `${run.kind} channel, without transforms`);
  return [
    h("span", { class: "row-head" },
      h("span", { class: "row-name" }, layer.name), " ", h("b", {}, String(channel)),
      run.pictures.has(id) && h("span", { class: "badge", title: mark ? RULES[mark[0]] : "" }, "pictures"),
      h("span", { class: "row-value" }, Number.isNaN(value) ? "" : shown)),
    h("span", { class: run.moving && !run.moving.has(id) ? "row-text" : "row-text moves" }, text),
  ];
}

const list = new List(find("list"), row, (id, how) => choose(state.variant, id, how));

function listed() {
  const { run, scope } = state;
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const layer = scope === "all" ? null : run.layers[Number(scope)];
  const from = layer ? layer.first : 0, to = layer ? layer.first + layer.channels : run.total;
  const fits = (id) => {
    if (id < from || id >= to || (pictured.checked && !run.pictures.has(id))) return false;
    if (!words.length) return true;
    const at = run.layerAt(id), number = String(id - at.first);
    const mark = run.chosen[id];
    const text = `${at.name} ${run.sentence(id)} ${mark ? mark[0] : ""}`.toLowerCase();
    return words.every((word) => (/^\d+$/.test(word) ? number === word : text.includes(word)));
  };
  const all = Array.from({ length: run.total }, (_, id) => id);
  if (sorter.value === "network") return all.filter(fits);
  const { ids, place } = run.ranking(sorter.value);
  return [...ids, ...all.filter((id) => !place.has(id))].filter(fits);
}

function refresh() {
  const ids = listed();
  list.set(ids);
  const number = (n) => n.toLocaleString("en");
  count.textContent = ids.length ? `${number(ids.length)} of ${number(state.run.total)} channels` : "No channel fits. Search other words, or choose all layers.";
  list.select(state.id);
}

// ---- the choices above it

function fillVariants() {
  const groups = new Map();
  index.variants.forEach((variant, i) => {
    const group = `${variant.network}, ${variant.dataset}`;
    if (!groups.has(group)) groups.set(group, h("optgroup", { label: group }));
    const kind = [variant.kind, variant.init === "scratch" ? "from scratch" : variant.init, variant.control !== "none" && variant.control].filter(Boolean).join(", ");
    groups.get(group).append(h("option", { value: i }, `${kind} (${variant.key})`));
  });
  variants.replaceChildren(...groups.values());
}

function fillLayers() {
  const { run } = state;
  layers.replaceChildren(h("option", { value: "all" }, `All layers (${run.layers.length})`),
    ...run.layers.map((layer, i) => h("option", { value: i }, `${layer.name} (${layer.channels})`)));
}

function fillSorter() {
  const { run } = state, before = sorter.value;
  const options = [h("option", { value: "network" }, "as in the network")];
  if (run.arrays.displacement) options.push(h("option", { value: "displacement" }, "by displacement"));
  if (run.labels.length) {
    options.push(h("option", { value: "drop 0" }, "by effect on the scores"));
    const classes = run.labels.slice(1).map((label, i) => h("option", { value: `drop ${i + 1}` }, label));
    if (classes.length) options.push(h("optgroup", { label: "by effect on one class" }, classes));
  }
  sorter.replaceChildren(...options);
  sorter.value = before;
  if (sorter.selectedIndex < 0) sorter.value = "network";
}

// ---- selection and links

function link() {
  const layer = state.run.layerAt(state.id);
  return `#${[state.run.key, layer.name, state.id - layer.first].map(encodeURIComponent).join("/")}`;
}

function remember(how) {
  if (how === "link" || location.hash === link()) return;
  const typing = how === "key" && state.typed; // a run of arrow keys is one step back
  state.typed = how === "key";
  history[typing || how === "start" ? "replaceState" : "pushState"](null, "", link());
}

async function choose(variant, id, how, { scope, notice } = {}) {
  const run = await open(index, variant);
  const fresh = variant !== state.variant;
  Object.assign(state, { variant, run });
  state.id = typeof id === "function" ? id(run) : id;
  const layer = run.layerAt(state.id);
  const before = state.scope;
  if (scope !== undefined) state.scope = scope;
  else if (state.scope !== "all") state.scope = String(layer.position);
  if (fresh) {
    variants.value = variant;
    fillLayers();
    fillSorter();
  }
  layers.value = state.scope;
  if (fresh || state.scope !== before) refresh();
  if (!list.place.has(state.id) && how !== "key" && (search.value || pictured.checked)) {
    search.value = ""; pictured.checked = false; // a link's channel must be in the list
    refresh();
  }
  list.select(state.id);
  document.title = `${layer.name}, channel ${state.id - layer.first} · ${runTitle(run)} · ${index.title}`;
  drawDetail(main, player, run, state.id, notice);
  remember(how);
}

function parse(hash) {
  const parts = hash.slice(1).split("/").map((part) => { try { return decodeURIComponent(part); } catch { return part; } });
  return { key: parts[0], layer: parts.slice(1, -1).join("/"), channel: parts.length > 2 ? Number(parts.at(-1)) : NaN, bare: parts.length < 2 };
}

async function follow(how) {
  const { key, layer, channel, bare } = parse(location.hash);
  const variant = index.variants.findIndex((v) => v.key === key);
  if (variant < 0) {
    await choose(0, first, "start", key ? { notice: "The link names no run of this page; here is the first." } : {});
    return;
  }
  let notice = "";
  const id = (run) => {
    const at = run.layerOf.get(layer);
    if (at && Number.isInteger(channel) && channel >= 0 && channel < at.channels) return at.first + channel;
    if (!bare) notice = `The link names no channel of ${run.key}; here is the first.`;
    return first(run);
  };
  const run = await open(index, variant);
  const target = id(run);
  await choose(variant, target, notice || bare ? "start" : how, { notice });
}

// What one sees first: the chosen channel that matters most, else the first of all.
function first(run) {
  const worth = ([, [rule, rank]]) => Object.keys(RULES).indexOf(rule) * 1e6 + rank;
  const marked = Object.entries(run.chosen).sort((a, b) => worth(a) - worth(b));
  return marked.length ? Number(marked[0][0]) : 0;
}

const ofScope = (scope) => (scope === "all" ? state.id : state.run.layers[Number(scope)].first);

variants.addEventListener("change", () => {
  const { run, id } = state, layer = run.layerAt(id), channel = id - layer.first;
  // the same place in the other network, when it has one
  choose(Number(variants.value), (other) => {
    const at = other.layerOf.get(layer.name);
    return at && channel < at.channels ? at.first + channel : first(other);
  }, "click");
});

function toLayer(scope) {
  state.scope = scope;
  layers.value = scope;
  refresh();
  const id = scope === "all" ? state.id : list.ids[0] ?? ofScope(scope);
  choose(state.variant, id, "click", { scope });
  list.reveal();
}

layers.addEventListener("change", () => toLayer(layers.value));
search.addEventListener("input", refresh);
pictured.addEventListener("change", () => {
  if (pictured.checked && state.scope !== "all") { state.scope = "all"; layers.value = "all"; }
  refresh();
});
sorter.addEventListener("change", () => { refresh(); find("list").scrollTop = 0; list.render(); });
search.addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown" || event.key === "Enter") {
    event.preventDefault();
    find("list").focus();
    if (list.ids.length && !list.place.has(state.id)) choose(state.variant, list.ids[0], "click");
  } else if (event.key === "Escape") { search.value = ""; refresh(); }
});
addEventListener("popstate", () => { state.typed = false; follow("link"); });

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  const tag = event.target.tagName;
  if (tag === "INPUT" || tag === "SELECT" || tag === "TEXTAREA") return;
  const at = state.scope === "all" ? state.run?.layerAt(state.id).position : Number(state.scope);
  const scrolls = event.target.closest?.(".scroll");
  const actions = {
    ArrowDown: () => list.move(1), ArrowUp: () => list.move(-1),
    ArrowLeft: scrolls ? null : () => player.step(-1), ArrowRight: scrolls ? null : () => player.step(1),
    " ": tag === "BUTTON" || tag === "SUMMARY" ? null : () => player.toggle(),
    "/": () => search.focus(),
    "[": () => { if (at > 0) toLayer(String(at - 1)); },
    "]": () => { if (at < state.run.layers.length - 1) toLayer(String(at + 1)); },
  };
  const action = actions[event.key];
  if (action && state.run) { event.preventDefault(); action(); }
});

// ---- colours and help

const root = document.documentElement, scheme = find("scheme"), system = matchMedia("(prefers-color-scheme: dark)");
const dark = () => (root.dataset.scheme ? root.dataset.scheme === "dark" : system.matches);
const named = () => { scheme.textContent = dark() ? "Light colours" : "Dark colours"; };
scheme.addEventListener("click", () => { root.dataset.scheme = dark() ? "light" : "dark"; named(); });
system.addEventListener("change", named);
named();

const help = find("help"), helpButton = find("help-button");
helpButton.addEventListener("click", () => { help.hidden = !help.hidden; helpButton.setAttribute("aria-expanded", String(!help.hidden)); });

fillVariants();
follow("link").then(() => { root.dataset.ready = "yes"; });

globalThis.threetconv = { state, list, player, motion: { contentMap, trajectory } }; // for tests and the curious
