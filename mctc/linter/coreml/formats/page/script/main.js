// Puts the parts together.

function applyTheme(theme) {
  document.documentElement.dataset.theme = theme;
  byId("theme").textContent = theme === "dark" ? "Light" : "Dark";
  if (colours) recolour();
}

// The system's choice, until the reader makes one.
function wireTheme() {
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  let chosen = false;
  applyTheme(dark.matches ? "dark" : "light");
  dark.addEventListener("change", () => chosen || applyTheme(dark.matches ? "dark" : "light"));
  byId("theme").addEventListener("click", () => {
    chosen = true;
    applyTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
  });
}

function wireChoice(key, items, label) {
  const select = byId(key);
  const fill = () => {
    const all = items();
    select.replaceChildren(...all.map((item, index) => element("option", { value: index }, visible(label(item), 80))));
    select.value = String(state[key]);
    byId(`${key}-choice`).hidden = all.length < 2;
  };
  select.addEventListener("change", () =>
    change({ [key]: Number(select.value), ...(key === "package" ? { function: 0 } : {}) }));
  onChange(["package", "function"], fill);
  fill();
}

function wireQueries() {
  const fields = [...document.querySelectorAll(".query")];
  let waiting = 0;
  for (const field of fields) {
    field.addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(() => change({ query: field.value }), 60);
    });
  }
  onChange(["query"], () => {
    for (const field of fields) if (field !== document.activeElement) field.value = state.query;
  });
}

function nameFunction() {
  const name = currentFunction()?.name ?? "nothing";
  for (const place of document.querySelectorAll(".function-name")) place.textContent = visible(name, 80);
}

function start() {
  wireTheme();
  if (!DATA.packages.length) {
    byId("summary-title").textContent = "No package was checked";
    for (const id of ["findings", "graph", "ops", "layers", "segments", "memory", "arithmetic"]) byId(id).hidden = true;
    return;
  }
  readAddress();
  wireChoice("package", () => DATA.packages, (report) => report.path);
  wireChoice("function", () => currentPackage().functions, (source) => source.name);
  onChange(["package", "function"], nameFunction);
  wireGraph();
  wireTable();
  wireQueries();
  onChange(["package", "function"], renderSummary);
  onChange(["package", "function"], renderFindings);
  onChange(["package", "function", "op"], renderPanel);
  onChange(["package", "function"], renderSegments);
  onChange(["segment"], markSegment);
  onChange(["package", "function"], renderMemory);
  onChange(["package", "function"], renderArithmetic);
  onChange(["package"], renderLayers);
  for (const part of [nameFunction, renderSummary, renderFindings, openInGraph, labelSegment, renderPanel, refreshTable, followChoice,
    renderSegments, renderMemory, renderArithmetic, renderLayers]) part();
  if (state.op !== null) centreOn(state.op);
  document.documentElement.dataset.ready = "yes";
}

start();
