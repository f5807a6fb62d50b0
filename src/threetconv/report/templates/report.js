(() => {
  "use strict";
  const root = document.documentElement;
  const button = document.getElementById("scheme");
  const dark = () => root.dataset.scheme
    ? root.dataset.scheme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  const label = () => { button.textContent = dark() ? "Light colours" : "Dark colours"; };
  button.hidden = false;
  label();
  button.addEventListener("click", () => { root.dataset.scheme = dark() ? "light" : "dark"; label(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", label);

  const links = new Map();
  for (const a of document.querySelectorAll(".contents a")) links.set(a.hash.slice(1), a);
  const watched = [...document.querySelectorAll("section[id]")];
  const spy = () => {
    let here = null;
    for (const s of watched) if (s.getBoundingClientRect().top < 140) here = s.id;
    for (const [id, a] of links) a.classList.toggle("here", id === here);
  };
  addEventListener("scroll", spy, { passive: true });
  spy();

  const key = (cell) => cell.dataset.sort === undefined ? null : Number(cell.dataset.sort);
  for (const figure of document.querySelectorAll("figure.sortable")) {
    const body = figure.querySelector("tbody");
    const rows = [...body.rows];
    const heads = [...figure.querySelectorAll("thead tr:last-child th")];
    const sort = (head) => {
      const column = heads.indexOf(head);
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const h of heads) h.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      figure.classList.add("sorted");
      const sign = down ? -1 : 1;
      rows.sort((a, b) => {
        const x = key(a.cells[column]), y = key(b.cells[column]);
        if (x !== null && y !== null) return sign * (x - y);
        if (x !== null || y !== null) return x === null ? 1 : -1;
        return sign * a.cells[column].textContent.localeCompare(b.cells[column].textContent);
      });
      body.append(...rows);
    };
    for (const head of heads) {
      head.tabIndex = 0;
      head.addEventListener("click", () => sort(head));
      head.addEventListener("keydown", (e) => {
        if (e.key === "Enter" || e.key === " ") { e.preventDefault(); sort(head); }
      });
    }
    const tools = document.createElement("div");
    tools.className = "tools";
    const field = document.createElement("input");
    field.type = "search";
    field.placeholder = "Search this table";
    field.setAttribute("aria-label", "Search this table");
    const shown = document.createElement("span");
    const filter = () => {
      const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      let count = 0;
      for (const row of rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((w) => text.includes(w));
        if (!row.hidden) count += 1;
      }
      shown.textContent = `${count} of ${rows.length} lines`;
    };
    field.addEventListener("input", filter);
    filter();
    tools.append(field, shown);
    figure.querySelector(".scroll").before(tools);
  }
  addEventListener("beforeprint", () => {
    for (const d of document.querySelectorAll("details:not(.screen)")) d.open = true;
  });
})();
