// Drawings of a channel's motion, in SVG. Each gives {node, update(u)}.
import { contentMap } from "./motion.js";
import { fixed, h, s, significant } from "./dom.js";

const WIDTH = 240, HEIGHT = 190, LEFT = 46, RIGHT = 14, TOP = 14, BOTTOM = 30;

const between = (values, t) => {
  const i = Math.min(values.length - 2, Math.floor(t));
  return i < 0 ? values[0] : values[i] + (values[i + 1] - values[i]) * (t - i);
};

const start = (x, y) => s("circle", { cx: x, cy: y, r: 5, class: "mark-start" });
const end = (x, y) => s("rect", { x: x - 4.5, y: y - 4.5, width: 9, height: 9, class: "mark-end" });

function frame(label, ...content) {
  return s("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label, class: "plot" }, ...content);
}

// A value per slice. `bound`: what noise alone stays within at the end (same scale),
// or NaN; `reached`: how many reachable transitions lie before each slice.
export function curve({ title, label, values, bound, reached, scale, tick }) {
  const shown = values.map(scale);
  const most = Math.max(...shown.map(Math.abs), Number.isFinite(bound) ? bound : 0, 1e-6) * 1.12;
  const last = values.length - 1;
  const x = (t) => LEFT + (WIDTH - LEFT - RIGHT) * (last ? t / last : 0);
  const y = (v) => (TOP + HEIGHT - BOTTOM) / 2 - v / most * (HEIGHT - TOP - BOTTOM) / 2;
  const parts = [];
  if (Number.isFinite(bound)) { // a random walk's bound grows with the root of its steps
    const upper = [], lower = [];
    for (let i = 0; i <= 24; i += 1) {
      const t = last * i / 24, b = bound * Math.sqrt(between(reached, t) / Math.max(1, reached[last]));
      upper.push(`${x(t)},${y(b)}`);
      lower.unshift(`${x(t)},${y(-b)}`);
    }
    parts.push(s("polygon", { points: [...upper, ...lower].join(" "), class: "noise" }));
  }
  for (const v of [-most / 1.12, 0, most / 1.12]) {
    parts.push(s("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y(v), y2: y(v), class: v ? "grid" : "zero" }));
    parts.push(s("text", { x: LEFT - 6, y: y(v) + 4, class: "tick r" }, tick(v)));
  }
  for (let t = 0; t <= last; t += 1) {
    parts.push(s("text", { x: x(t), y: HEIGHT - BOTTOM + 15, class: "tick c" }, String(t + 1)));
  }
  parts.push(s("text", { x: (LEFT + WIDTH - RIGHT) / 2, y: HEIGHT - 2, class: "tick c soft" }, "slice"));
  parts.push(s("polyline", { points: shown.map((v, t) => `${x(t)},${y(v)}`).join(" "), class: "line" }));
  for (let t = 1; t < last; t += 1) parts.push(s("circle", { cx: x(t), cy: y(shown[t]), r: 2.2, class: "dot" }));
  parts.push(start(x(0), y(shown[0])), end(x(last), y(shown[last])));
  const now = s("line", { y1: TOP - 6, y2: HEIGHT - BOTTOM, class: "now" });
  parts.push(now);
  return {
    node: h("figure", { class: "panel" }, h("figcaption", {}, title), frame(label, ...parts)),
    update(u) { now.setAttribute("x1", x(u * last)); now.setAttribute("x2", x(u * last)); },
  };
}

// The path of the centre in kernel pixels, right and up, with equal axes.
export function path({ right, up, bound, label }) {
  const side = HEIGHT - TOP - BOTTOM, cx = LEFT + (WIDTH - LEFT - RIGHT) / 2, cy = TOP + side / 2;
  const most = Math.max(...right.map(Math.abs), ...up.map(Math.abs), Number.isFinite(bound) ? bound : 0, 1e-6) * 1.15;
  const x = (v) => cx + v / most * side / 2, y = (v) => cy - v / most * side / 2;
  const parts = [];
  if (Number.isFinite(bound)) parts.push(s("circle", { cx, cy, r: bound / most * side / 2, class: "noise" }));
  parts.push(s("line", { x1: x(-most), x2: x(most), y1: cy, y2: cy, class: "zero" }));
  parts.push(s("line", { x1: cx, x2: cx, y1: y(-most), y2: y(most), class: "zero" }));
  const t = most / 1.15;
  parts.push(s("text", { x: x(-t), y: HEIGHT - BOTTOM + 15, class: "tick c" }, significant(-t, 2)));
  parts.push(s("text", { x: x(t), y: HEIGHT - BOTTOM + 15, class: "tick c" }, significant(t, 2)));
  parts.push(s("text", { x: cx, y: HEIGHT - 2, class: "tick c soft" }, "kernel pixels, right"));
  parts.push(s("text", { x: x(-most) - 6, y: y(t) + 4, class: "tick r" }, significant(t, 2)));
  parts.push(s("text", { x: x(-most) - 6, y: y(-t) + 4, class: "tick r" }, significant(-t, 2)));
  parts.push(s("text", { x: x(-most) - 6, y: cy + 4, class: "tick r soft" }, "up"));
  parts.push(s("polyline", { points: right.map((v, i) => `${x(v)},${y(up[i])}`).join(" "), class: "line" }));
  right.forEach((v, i) => parts.push(s("circle", { cx: x(v), cy: y(up[i]), r: 2.2, class: "dot" })));
  parts.push(start(x(right[0]), y(up[0])), end(x(right.at(-1)), y(up.at(-1))));
  const now = s("circle", { r: 3.6, class: "now-dot" });
  parts.push(now);
  return {
    node: h("figure", { class: "panel" }, h("figcaption", {}, "Path of the centre"), frame(label, ...parts)),
    update(u) {
      const at = u * (right.length - 1);
      now.setAttribute("cx", x(between(right, at)));
      now.setAttribute("cy", y(between(up, at)));
    },
  };
}

// Responses by direction of motion, around a circle: right is right, up is up.
export function polar({ directions, intact, identity, label }) {
  const side = HEIGHT - TOP - BOTTOM, cx = LEFT + (WIDTH - LEFT - RIGHT) / 2, cy = TOP + side / 2, radius = side / 2 * 0.94;
  const most = Math.max(...intact, ...(identity || []), 1e-12);
  const at = (degrees, share) => {
    const angle = degrees * Math.PI / 180;
    return `${cx + share * radius * Math.cos(angle)},${cy - share * radius * Math.sin(angle)}`;
  };
  const ring = (values, kind) => s("polygon", { points: values.map((v, i) => at(directions[i], v / most)).join(" "), class: `line ${kind}` });
  const parts = [0.5, 1].map((share) => s("circle", { cx, cy, r: share * radius, class: "ring" }));
  parts.push(s("line", { x1: cx - radius, x2: cx + radius, y1: cy, y2: cy, class: "zero" }));
  parts.push(s("line", { x1: cx, x2: cx, y1: cy - radius, y2: cy + radius, class: "zero" }));
  parts.push(s("text", { x: cx + radius + 5, y: cy + 4, class: "tick" }, "right"));
  parts.push(s("text", { x: cx, y: TOP - 3, class: "tick c" }, "up"));
  parts.push(s("text", { x: cx, y: HEIGHT - 2, class: "tick c soft" }, `outer ring: response ${significant(most, 2)}`));
  if (identity) parts.push(ring(identity, "still"));
  parts.push(ring(intact, ""));
  return { node: h("figure", { class: "panel" }, h("figcaption", {}, "Answer by direction"), frame(label, ...parts)), update() {} };
}

// An arrow with a flag: turns, flips and sizes can be told from it.
const arrow = (kind) => s("path", {
  class: `arrow ${kind}`, d: "M0 -.62 L.3 -.2 L.11 -.2 L.11 .08 L.42 .08 L.42 .3 L.11 .3 L.11 .56 L-.11 .56 L-.11 -.2 L-.3 -.2 Z",
});

const matrix = ([a, b, x, y]) => `matrix(${[a, -b, b, a, x, y].map((v) => v.toFixed(6)).join(" ")})`;

// The pictogram at time t, drawn over where it began, inside the kernel's frame.
export function pictogram(steps, { label, size = "large" }) {
  const ghost = arrow("ghost"), moved = arrow("moved");
  const box = s("rect", { x: -1, y: -1, width: 2, height: 2, class: "kernel" });
  const node = s("svg", { viewBox: "-1.25 -1.25 2.5 2.5", role: "img", "aria-label": label, class: `pictogram ${size}` }, box, ghost, moved);
  return {
    node,
    at(t, times) { moved.setAttribute("transform", matrix(contentMap(steps, t, times))); },
  };
}

// A bar to the left or right of zero; `most` is the end of the axis.
export function bar(value, most) {
  const share = Math.min(1, Math.abs(value) / most) * 50;
  return h("span", { class: "bar-track", "aria-hidden": "true" },
    h("span", { class: value < 0 ? "bar-fill less" : "bar-fill more", style: { width: `${share}%`, left: `${value < 0 ? 50 - share : 50}%` } }));
}

export const factor = (v) => (v === 0 ? "1×" : `${fixed(Math.exp(v), Math.abs(v) < 0.02 ? 3 : 2)}×`);
export const degrees = (v) => `${significant(v, 2)}°`;
