"use strict";
const root = document.documentElement;
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const one = (selector, within = document) => within.querySelector(selector);

// What is hidden: models by name; the task that is shown, or "" for all.
const hidden = new Set();
let task = "";

const shown = (element) =>
  (!task || !element.dataset.task || element.dataset.task === task) && !hidden.has(element.dataset.model);

// A text that was packed into the page, compressed.
async function unpacked(id) {
  const bytes = Uint8Array.from(atob(one(`#${id}`).textContent), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}
let data = null;
const ready = unpacked("data").then((text) => (data = JSON.parse(text)));

// ---- Light and dark.
const systemDark = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : systemDark.matches);
const themeSwitch = one("#theme");
function showTheme() {
  themeSwitch.setAttribute("aria-pressed", String(isDark()));
  all(".plot[data-drawn]").forEach(draw);
}
themeSwitch.addEventListener("click", () => {
  root.dataset.theme = isDark() ? "light" : "dark";
  showTheme();
});
systemDark.addEventListener("change", showTheme);

// ---- Figures, each drawn when it comes near the window.
const plotlyHere = () =>
  (plotlyHere.once ??= unpacked("plotly").then((text) => {
    const script = document.createElement("script");
    script.textContent = text;
    document.head.append(script);
  }));

const narrow = matchMedia("(max-width: 40rem), (pointer: coarse)");
function themed(layout) {
  const dark = isDark();
  const [ink, rule, paper] = dark ? ["#d6d6d0", "#36383e", "#1f2125"] : ["#3a3a37", "#e4e2dc", "#fdfdfb"];
  const axis = { gridcolor: rule, zerolinecolor: rule, linecolor: rule, automargin: true, ticks: "outside", ticklen: 3, tickcolor: rule };
  return {
    font: { family: getComputedStyle(one("table")).fontFamily, size: 11.5, color: ink },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    margin: { l: 54, r: 10, t: 10, b: 44 },
    showlegend: false,
    hovermode: "closest",
    dragmode: narrow.matches ? false : "zoom",
    hoverlabel: { bgcolor: paper, bordercolor: ink, font: { color: ink, size: 12 }, align: "left" },
    xaxis: { ...axis, ...layout.xaxis },
    yaxis: { ...axis, ...layout.yaxis },
  };
}
async function draw(place) {
  place.dataset.drawn = "";
  try {
    await Promise.all([ready, plotlyHere()]);
    const panel = data.panels[place.dataset.section][place.dataset.index];
    const swap = (key, value) => ((key === "color" || key === "fillcolor") && isDark() && data.dark[value]) || value;
    const traces = panel.data.filter((trace) => !hidden.has(trace.meta));
    const copy = JSON.parse(JSON.stringify({ traces, layout: panel.layout }), swap);
    await Plotly.react(place, copy.traces, themed(copy.layout), { responsive: true, displayModeBar: false });
  } catch (error) {
    place.replaceChildren(Object.assign(document.createElement("p"), { textContent: "This figure needs a browser of 2024 or later." }));
    console.error(error);
  }
}
const watcher = new IntersectionObserver(
  (entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      watcher.unobserve(target);
      draw(target);
    }
  },
  { rootMargin: "300px" },
);
all(".plot").forEach((place) => watcher.observe(place));

// ---- Tables that sort and filter.
const cellKey = (row, column) => row.cells[column].dataset.key ?? row.cells[column].textContent.trim();
function compare(a, b) {
  const [x, y] = [Number(a), Number(b)];
  return Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b, "en", { numeric: true }) : x - y;
}
class Sortable {
  constructor(table) {
    this.table = table;
    this.rows = [...table.tBodies[0].rows];
    this.whole = false;
    this.heads = all("thead th", table);
    this.heads.forEach((head, column) => one("button", head).addEventListener("click", () => this.sort(column)));
    this.words = one(`[data-filter="${table.id}"]`);
    this.state = one(`[data-state="${table.id}"]`);
    this.more = one(`[data-more="${table.id}"]`);
    this.count = one(`[data-count="${table.id}"]`);
    // Measured numbers are no words: "100" is a length, and not the 100.0 % of an accuracy.
    const words = (row) => all("td:not([data-key]), [data-word]", row).map((cell) => cell.textContent);
    this.texts = new Map(this.rows.map((row) => [row, words(row).join(" ").toLowerCase()]));
    this.words.addEventListener("input", () => this.filter());
    this.state?.addEventListener("change", () => this.filter());
    this.more.addEventListener("click", () => {
      this.whole = true;
      this.filter();
    });
    this.filter();
  }
  sort(column) {
    const head = this.heads[column];
    const direction = head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
    this.heads.forEach((other) => other.setAttribute("aria-sort", other === head ? direction : "none"));
    const sign = direction === "ascending" ? 1 : -1;
    const keys = new Map(this.rows.map((row) => [row, cellKey(row, column)]));
    this.rows.sort((one, other) => {
      const [a, b] = [keys.get(one), keys.get(other)];
      // What is missing is last in both directions.
      return a === "" || b === "" ? (a === "") - (b === "") : sign * compare(a, b);
    });
    all(".details", this.table).forEach((row) => close(row.previousElementSibling));
    this.table.tBodies[0].append(...this.rows);
    this.filter();
  }
  filter() {
    const words = this.words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const limit = this.whole ? Infinity : Number(this.table.dataset.limit);
    let found = 0;
    for (const row of this.rows) {
      const fits =
        shown(row) && (!this.state?.value || row.dataset.state === this.state.value) &&
        words.every((word) => this.texts.get(row).includes(word));
      row.hidden = !(fits && ++found <= limit);
      if (row.hidden) close(row);
    }
    const [many, total] = [found.toLocaleString("en"), this.rows.length.toLocaleString("en")];
    const what = this.table.dataset.what + (this.rows.length === 1 ? "" : "s");
    this.count.textContent = `${found === this.rows.length ? "" : `${many} of `}${total} ${what}`;
    this.more.hidden = found <= limit;
    this.more.textContent = `Show all ${many}`;
  }
}
const tables = all("table.sortable").map((table) => new Sortable(table));

// ---- What lies below a run.
function close(row) {
  const below = row.nextElementSibling;
  if (!below?.classList.contains("details")) return;
  below.remove();
  one(".open", row).setAttribute("aria-expanded", "false");
}
function described([name, text]) {
  const term = document.createElement("dt");
  term.textContent = name;
  const what = document.createElement("dd");
  const long = name === "command" || name === "configuration" || text.includes("\n");
  const inner = document.createElement(long ? "pre" : "span");
  inner.textContent = text;
  if (long) inner.tabIndex = 0;
  what.append(inner);
  if (name === "command" && navigator.clipboard) {
    const copy = document.createElement("button");
    copy.type = "button";
    copy.textContent = "Copy";
    copy.addEventListener("click", () =>
      navigator.clipboard.writeText(text).then(
        () => (copy.textContent = "Copied"),
        () => getSelection().selectAllChildren(inner), // it may not be copied to, so that the reader does
      ),
    );
    what.append(copy);
  }
  return [term, what];
}
one("#every").addEventListener("click", async (event) => {
  const button = event.target.closest(".open");
  if (!button) return;
  const row = button.closest("tr");
  if (button.getAttribute("aria-expanded") === "true") return close(row);
  button.setAttribute("aria-expanded", "true");
  await ready;
  const below = document.createElement("tr");
  below.className = "details";
  const cell = below.insertCell();
  cell.colSpan = row.cells.length;
  const list = document.createElement("dl");
  list.append(...Object.entries(data.runs[button.dataset.run]).flatMap(described));
  cell.append(list);
  row.after(below);
});

// ---- Which task and models are shown.
function refresh() {
  all("[data-task]:not(tr)").forEach((element) => (element.hidden = Boolean(task) && element.dataset.task !== task));
  all("table:not(.sortable) tr:is([data-task], [data-model])").forEach((row) => (row.hidden = !shown(row)));
  tables.forEach((table) => table.filter());
}
one("#task")?.addEventListener("change", (event) => {
  task = event.target.value;
  refresh();
});
all(".chip").forEach((chip) =>
  chip.addEventListener("click", () => {
    const on = chip.getAttribute("aria-pressed") !== "true";
    chip.setAttribute("aria-pressed", String(on));
    hidden[on ? "delete" : "add"](chip.dataset.model);
    refresh();
    all(".plot[data-drawn]").forEach(draw);
  }),
);
showTheme();
