"use strict";

// Light or dark as the system is set, until the button is pressed.
document.getElementById("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
});

// One tip for all: labels of points and cells, and definitions of terms; under the pointer, on focus, and on a tap.
const tip = document.getElementById("tip");
let current = null;
let anchored = false;

function textOf(element) {
  return element.dataset.label ?? document.getElementById(element.getAttribute("aria-describedby")).textContent;
}

function explained(target) {
  return target instanceof Element ? target.closest("[data-label], .term") : null;
}

function show(element, x, y) {
  if (current) current.classList.remove("at");
  current = element;
  anchored = false;
  tip.hidden = !element;
  if (!element) return;
  element.classList.add("at");
  tip.textContent = textOf(element);
  tip.style.left = `${Math.max(Math.min(x, innerWidth - tip.offsetWidth - 8), 8)}px`;
  tip.style.top = `${Math.max(Math.min(y, innerHeight - tip.offsetHeight - 8), 8)}px`;
}

function showBelow(element) {
  const box = element.getBoundingClientRect();
  show(element, box.left, box.bottom + 6);
  anchored = true;
}

document.addEventListener("pointermove", (event) => {
  if (event.pointerType === "touch") return;
  const element = explained(event.target);
  if (element || current !== document.activeElement) show(element, event.clientX + 14, event.clientY + 14);
});
document.addEventListener("click", (event) => {
  const element = explained(event.target);
  if (element) showBelow(element);
  else show(null);
});
document.addEventListener("focusin", (event) => {
  const element = explained(event.target);
  if (element && event.target.matches(":focus-visible")) showBelow(element);
});
document.addEventListener("focusout", () => show(null));
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") show(null);
});
document.addEventListener("scroll", () => {
  if (anchored) showBelow(current);
}, { capture: true, passive: true });

const STEPS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };

// Points of a plot that has the focus: the arrow keys go from one to the next.
for (const plot of document.querySelectorAll("svg[data-points]")) {
  const points = [...plot.querySelectorAll("[data-label]")];
  plot.addEventListener("keydown", (event) => {
    const step = STEPS[event.key];
    if (!step) return;
    event.preventDefault();
    const at = points.indexOf(current);
    showBelow(points[at < 0 ? 0 : (at + step + points.length) % points.length]);
  });
}

// Runs by metrics: one cell can be reached with Tab, and the arrow keys go from it to its neighbours.
for (const matrix of document.querySelectorAll(".matrix")) {
  const first = matrix.querySelector("td");
  if (first) first.tabIndex = 0;
  matrix.addEventListener("keydown", (event) => {
    const cell = event.target;
    if (!STEPS[event.key] || cell.tagName !== "TD") return;
    event.preventDefault();
    const down = { ArrowDown: 1, ArrowUp: -1 }[event.key] ?? 0;
    const right = { ArrowRight: 1, ArrowLeft: -1 }[event.key] ?? 0;
    const next = matrix.tBodies[0].rows[cell.parentElement.sectionRowIndex + down]?.cells[cell.cellIndex + right];
    if (next?.tagName !== "TD") return;
    cell.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });
}

// Shadows at the edges of boxes that scroll.
for (const box of document.querySelectorAll(".scroll, .picture")) {
  const mark = () => {
    const edges = box.parentElement.classList;
    edges.toggle("more-left", box.scrollLeft > 1);
    edges.toggle("more-right", box.scrollLeft + box.clientWidth < box.scrollWidth - 1);
    edges.toggle("more-below", box.scrollTop + box.clientHeight < box.scrollHeight - 1);
  };
  box.addEventListener("scroll", mark, { passive: true });
  new ResizeObserver(mark).observe(box);
  box.parentElement.closest("details")?.addEventListener("toggle", mark);
}

// The table of categories: a click on a header sorts by that column; undefined values always come last.
const table = document.getElementById("categories");
if (table) {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];
  const order = new Intl.Collator(undefined, { numeric: true });

  heads.forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const numeric = rows.some((row) => "key" in row.cells[column].dataset);
      const keys = new Map(rows.map((row) => {
        const cell = row.cells[column];
        return [row, numeric ? ("key" in cell.dataset ? Number(cell.dataset.key) : null) : cell.textContent];
      }));
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
