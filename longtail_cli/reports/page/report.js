"use strict";

// Light or dark as the system is set, until the button is pressed.
document.getElementById("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
});

// Labels of points: under the pointer, or with the arrow keys in a plot that has the focus.
const tip = document.getElementById("tip");
let current = null;

function show(point, x, y) {
  if (current) current.classList.remove("at");
  current = point;
  tip.hidden = !point;
  if (!point) return;
  point.classList.add("at");
  tip.textContent = point.dataset.label;
  tip.style.left = `${Math.min(x + 14, innerWidth - tip.offsetWidth - 8)}px`;
  tip.style.top = `${Math.max(Math.min(y + 14, innerHeight - tip.offsetHeight - 8), 0)}px`;
}

document.addEventListener("pointermove", (event) => {
  const point = event.target instanceof Element ? event.target.closest("[data-label]") : null;
  if (point || event.target !== document.activeElement) show(point, event.clientX, event.clientY);
});

for (const plot of document.querySelectorAll("svg[data-points]")) {
  const points = [...plot.querySelectorAll("[data-label]")];
  plot.addEventListener("blur", () => show(null));
  plot.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const at = points.indexOf(current);
    const point = points[at < 0 ? 0 : (at + step + points.length) % points.length];
    const box = point.getBoundingClientRect();
    show(point, box.right, box.bottom);
  });
}

// The table of categories: a click on a header sorts by that column; undefined values always come last.
const table = document.getElementById("categories");
if (table) {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];
  const order = new Intl.Collator(undefined, { numeric: true });

  heads.forEach((head, column) => {
    const numeric = rows.some((row) => "key" in row.cells[column].dataset);
    const keys = new Map(rows.map((row) => {
      const cell = row.cells[column];
      return [row, numeric ? ("key" in cell.dataset ? Number(cell.dataset.key) : null) : cell.textContent];
    }));
    head.querySelector("button").addEventListener("click", () => {
      const descending = head.getAttribute("aria-sort") === "none" ? numeric : head.getAttribute("aria-sort") === "ascending";
      for (const other of heads) other.setAttribute("aria-sort", "none");
      head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      const sign = descending ? -1 : 1;
      rows.sort((one, two) => {
        const [a, b] = [keys.get(one), keys.get(two)];
        if (a === null || b === null) return (a === null) - (b === null);
        return sign * (numeric ? a - b : order.compare(a, b));
      });
      body.append(...rows);
    });
  });

  const search = document.getElementById("search");
  const group = document.getElementById("group");
  const count = document.getElementById("count");
  const filter = () => {
    const wanted = search.value.trim().toLowerCase();
    let number = 0;
    for (const row of rows) {
      const [name, id, own] = [0, 1, 2].map((column) => row.cells[column].textContent);
      row.hidden = !((name.toLowerCase().includes(wanted) || id === wanted) && (!group || !group.value || own === group.value));
      number += !row.hidden;
    }
    count.textContent = `${number} of ${rows.length}`;
  };
  search.addEventListener("input", filter);
  if (group) group.addEventListener("change", filter);
  filter();
}
