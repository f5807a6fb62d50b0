// One clock for everything that moves: u runs from 0 (first slice, first frame) to 1 (last).
import { h } from "./dom.js";

const HOLD = 700, STEP = 260; // ms at the end of a round, and per step

export class Player {
  constructor() {
    this.still = matchMedia("(prefers-reduced-motion: reduce)");
    this.playing = !this.still.matches;
    this.u = 0;
    this.steps = 2; // how many different moments there are
    this.items = [];
    this.describe = () => "";
    this.last = null;
    this.held = 0;
    this.build();
    this.frame = this.frame.bind(this);
    this.still.addEventListener("change", () => { if (this.still.matches) this.pause(); });
    document.addEventListener("visibilitychange", () => { this.last = null; });
    this.request();
  }

  build() {
    const button = (name, symbol, action) =>
      h("button", { type: "button", class: "plain", "aria-label": name, title: name, onclick: action }, symbol);
    this.back = button("Step back", "◂", () => this.step(-1));
    this.toggler = button("Pause", "Pause", () => this.toggle());
    this.toggler.classList.add("toggle");
    this.on = button("Step on", "▸", () => this.step(1));
    this.slider = h("input", {
      type: "range", min: 0, value: 0, step: "any", "aria-label": "Time", class: "time",
      oninput: () => { this.pause(); this.seek(Number(this.slider.value)); },
    });
    this.slider.max = 1;
    this.label = h("span", { class: "moment" });
    this.node = h("div", { class: "player", role: "group", "aria-label": "Animation" },
      this.back, this.toggler, this.on, this.slider, this.label);
    this.show();
  }

  // What moves now: items are functions of u; `steps` moments; `describe(u)` says where it is.
  play(items, steps, describe) {
    this.items = items;
    this.steps = Math.max(1, steps);
    this.describe = describe;
    this.node.hidden = steps < 2;
    this.seek(this.playing ? 0 : Math.min(this.u, 1));
    this.request();
  }

  get grid() { return Math.max(1, this.steps - 1); }

  seek(u) {
    this.u = Math.min(1, Math.max(0, u));
    this.held = 0;
    for (const item of this.items) item(this.u);
    this.slider.value = this.u;
    const text = this.describe(this.u);
    if (text !== this.label.textContent) {
      this.label.textContent = text;
      this.slider.setAttribute("aria-valuetext", text);
    }
  }

  step(direction) {
    this.pause();
    const at = this.u * this.grid;
    let next = direction > 0 ? Math.floor(at + 1e-6) + 1 : Math.ceil(at - 1e-6) - 1;
    if (next > this.grid) next = 0;
    if (next < 0) next = this.grid;
    this.seek(next / this.grid);
  }

  toggle() { if (this.playing) this.pause(); else { this.playing = true; this.last = null; this.show(); this.request(); } }

  pause() { this.playing = false; this.show(); }

  show() {
    const name = this.playing ? "Pause" : "Play";
    this.toggler.textContent = name;
    this.toggler.setAttribute("aria-label", name);
    this.toggler.title = `${name} (space)`;
  }

  request() {
    if (this.playing && !this.waiting) { this.waiting = true; requestAnimationFrame(this.frame); }
  }

  frame(now) {
    this.waiting = false;
    if (!this.playing) return;
    const passed = this.last === null ? 0 : Math.min(100, now - this.last);
    this.last = now;
    this.held += passed;
    if (!this.node.hidden && this.node.isConnected) this.advance(passed);
    this.request();
  }

  advance(passed) {
    if (this.still.matches) { // no smooth motion: whole steps, slowly
      if (this.held >= 2 * STEP) this.seek(this.u >= 1 ? 0 : (Math.floor(this.u * this.grid + 1e-6) + 1) / this.grid);
      return;
    }
    if (this.u >= 1) { if (this.held >= HOLD) this.seek(0); return; }
    this.seek(this.u + passed / Math.max(1600, STEP * this.grid));
  }
}
