// Elements in few words, and numbers as a reader wants them.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") Object.assign(element.style, value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat()) {
    if (child !== null && child !== undefined && child !== false) element.append(child);
  }
  return element;
}

export const h = (tag, attributes, ...children) =>
  fill(document.createElement(tag), attributes, children);

export const s = (tag, attributes, ...children) =>
  fill(document.createElementNS(SVG, tag), attributes, children);

export const DASH = "–";

export function significant(x, digits = 3) {
  if (!Number.isFinite(x)) return Number.isNaN(x) ? DASH : (x < 0 ? "−∞" : "∞");
  if (x === 0) return "0";
  const size = Math.floor(Math.log10(Math.abs(x)));
  const text = size < -4 ? x.toExponential(1) : x.toFixed(Math.max(0, digits - 1 - size));
  return text.replace(/-/g, "−");
}

export function fixed(x, digits) {
  if (!Number.isFinite(x)) return significant(x);
  const text = x.toFixed(digits);
  return (Number(text) === 0 ? (0).toFixed(digits) : text).replace("-", "−");
}

export const signed = (x, digits) => (x > 0 && Number(x.toFixed(digits)) !== 0 ? "+" : "") + fixed(x, digits);

export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

export const prime = (kernel) => (kernel ? kernel.join(" × ") : DASH);
