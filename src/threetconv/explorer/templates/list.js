// A listbox of any length: only the rows in sight are in the page.
import { h } from "./dom.js";

const ROW = 56, AROUND = 6;

export class List {
  // `box` the listbox; `draw(id)` the content of a row; `choose(id, how)` is told of a selection.
  constructor(box, draw, choose) {
    Object.assign(this, { box, draw, choose });
    this.rows = box.querySelector(".rows");
    this.ids = [];
    this.selected = -1;
    this.nodes = new Map();
    box.addEventListener("scroll", () => this.render(), { passive: true });
    box.addEventListener("keydown", (event) => this.key(event));
    box.addEventListener("click", (event) => {
      const row = event.target.closest("[role=option]");
      if (row) this.choose(Number(row.dataset.id), "click");
    });
    new ResizeObserver(() => this.render()).observe(box);
  }

  set(ids) {
    this.ids = ids;
    this.place = new Map(ids.map((id, i) => [id, i]));
    this.rows.style.height = `${ids.length * ROW}px`;
    this.nodes.clear();
    this.rows.replaceChildren();
    this.render();
  }

  select(id, { reveal = true } = {}) {
    this.selected = id;
    if (reveal) this.reveal();
    this.render();
  }

  reveal() {
    const at = this.place.get(this.selected);
    if (at === undefined) return;
    const { scrollTop, clientHeight } = this.box;
    if (at * ROW < scrollTop) this.box.scrollTop = at * ROW;
    else if ((at + 1) * ROW > scrollTop + clientHeight) this.box.scrollTop = (at + 1) * ROW - clientHeight;
  }

  // The channel `by` places from the selected one, kept within the list.
  move(by) {
    if (!this.ids.length) return;
    const at = this.place.get(this.selected);
    const next = at === undefined ? 0 : Math.min(this.ids.length - 1, Math.max(0, at + by));
    if (this.ids[next] !== this.selected) this.choose(this.ids[next], "key");
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(this.box.clientHeight / ROW) - 1);
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    this.move(by);
  }

  render() {
    const { scrollTop, clientHeight } = this.box;
    const from = Math.max(0, Math.floor(scrollTop / ROW) - AROUND);
    const to = Math.min(this.ids.length, Math.ceil((scrollTop + clientHeight) / ROW) + AROUND);
    const wanted = new Set();
    for (let i = from; i < to; i += 1) wanted.add(i);
    const at = this.place && this.place.get(this.selected);
    if (at !== undefined) wanted.add(at); // stays in the page: aria-activedescendant names it
    for (const [i, node] of this.nodes) if (!wanted.has(i)) { node.remove(); this.nodes.delete(i); }
    for (const i of wanted) {
      if (!this.nodes.has(i)) {
        const id = this.ids[i];
        const node = h("div", {
          role: "option", id: `option-${id}`, "data-id": id, class: "row",
          "aria-posinset": i + 1, "aria-setsize": this.ids.length,
        }, this.draw(id));
        node.style.transform = `translateY(${i * ROW}px)`;
        this.nodes.set(i, node);
        this.rows.append(node);
      }
    }
    for (const [i, node] of this.nodes) node.setAttribute("aria-selected", String(i === at));
    if (at === undefined) this.box.removeAttribute("aria-activedescendant");
    else this.box.setAttribute("aria-activedescendant", `option-${this.selected}`);
  }
}
