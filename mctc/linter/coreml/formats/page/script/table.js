// The table of ops: only the rows in sight are in the document, so that 15,000 scroll like 15.

const ROW = 32;
const STRIDE = 8; // rows that come and go at once
const COLUMNS = [
  { key: "index", title: "#", width: "4.2rem", number: true },
  { key: "name", title: "Name", width: "auto" },
  { key: "type", title: "Type", width: "9.5rem" },
  { key: "shape", title: "Result", width: "11.5rem" },
  { key: "place", title: "Predicted", width: "9.2rem" },
  { key: "segment", title: "Segment", width: "5.6rem", number: true },
  { key: "cpu", title: "CPU", width: "5.2rem", number: true },
  { key: "ane", title: "NE", width: "5.2rem", number: true },
  { key: "rules", title: "Rules", width: "9.2rem" },
];

const table = { data: null, rows: [], sort: "index", down: false, body: null, first: -1, end: -1 };

function tableValue(data, op, key) {
  const read = {
    index: () => op,
    name: () => data.ops.names[op],
    type: () => data.type(op),
    shape: () => data.shape(op),
    place: () => data.predicted(op),
    segment: () => data.ops.segment[op],
    cpu: () => data.ops.cpu[op] ?? Infinity,
    ane: () => data.ops.ane[op] ?? Infinity,
    rules: () => data.rules(op).join(" "),
  };
  return read[key]();
}

// Which ops are listed, and in what order.
function refreshTable() {
  const data = currentFunction();
  table.data = data;
  if (!data) return;
  const found = data.search(state.query) ?? Array.from({ length: data.count }, (_, op) => op);
  const rows = state.place ? found.filter((op) => data.predicted(op) === state.place) : found;
  if (table.sort !== "index") {
    const values = new Map(rows.map((op) => [op, tableValue(data, op, table.sort)]));
    rows.sort((one, other) => {
      const [a, b] = [values.get(one), values.get(other)];
      return a < b ? -1 : a > b ? 1 : one - other;
    });
  }
  if (table.down) rows.reverse();
  table.rows = rows;
  byId("ops-count").textContent = rows.length === data.count ? counted(rows.length, "op")
    : `${rows.length.toLocaleString("en")} of ${counted(data.count, "op")}`;
  fillTable(true);
}

function buildTable() {
  const head = element("tr", {}, COLUMNS.map((column) => {
    const sort = button(column.title, () => sortBy(column.key));
    return element("th", { scope: "col", "data-key": column.key, class: column.number ? "number" : null }, sort);
  }));
  const widths = element("colgroup", {}, COLUMNS.map((column) => {
    const part = element("col");
    part.style.width = column.width;
    return part;
  }));
  table.body = element("tbody");
  const scroll = byId("ops-scroll");
  scroll.replaceChildren(element("table", { "aria-labelledby": "ops-title" }, widths, element("thead", {}, head), table.body));
  scroll.addEventListener("scroll", () => requestAnimationFrame(() => fillTable(false)), { passive: true });
  new ResizeObserver(() => fillTable(false)).observe(scroll);
  markSort();
}

function sortBy(key) {
  table.down = table.sort === key ? !table.down : ["cpu", "ane", "rules"].includes(key);
  table.sort = key;
  markSort();
  refreshTable();
  byId("ops-scroll").scrollTop = 0;
}

function markSort() {
  for (const cell of byId("ops-scroll").querySelectorAll("th")) {
    const sorted = cell.dataset.key === table.sort;
    cell.setAttribute("aria-sort", sorted ? (table.down ? "descending" : "ascending") : "none");
    const title = COLUMNS.find((column) => column.key === cell.dataset.key).title;
    cell.firstChild.textContent = sorted ? `${title} ${table.down ? "▼" : "▲"}` : title;
  }
}

// Puts the rows in sight into the document, between two empty ones as high as the rest. Rows that stay are left alone,
// and nothing happens until STRIDE rows have gone by.
function fillTable(anew) {
  if (!table.data) return;
  const scroll = byId("ops-scroll");
  const top = Math.floor(scroll.scrollTop / ROW / STRIDE) * STRIDE;
  const first = Math.max(0, Math.min(top - STRIDE, table.rows.length));
  const end = Math.min(table.rows.length, top + Math.ceil(scroll.clientHeight / ROW) + 2 * STRIDE);
  if (!anew && first === table.first && end === table.end) return;
  const focused = document.activeElement?.closest?.("#ops-scroll tr")?.dataset.op;
  if (anew) {
    table.body.replaceChildren(spacer(), spacer());
    table.first = table.end = first;
    scroll.firstChild.setAttribute("aria-rowcount", table.rows.length + 1);
  }
  replaceRows(first, end);
  table.body.firstChild.firstChild.style.height = `${first * ROW}px`;
  table.body.lastChild.firstChild.style.height = `${(table.rows.length - end) * ROW}px`;
  Object.assign(table, { first, end });
  if (focused !== undefined && !table.body.contains(document.activeElement)) {
    table.body.querySelector(`tr[data-op="${focused}"] button`)?.focus({ preventScroll: true });
  }
}

// From the rows table.first to table.end in the document to those from first to end.
function replaceRows(first, end) {
  const rows = [...table.body.children].slice(1, -1);
  rows.forEach((row, index) => {
    const at = table.first + index;
    if (at < first || at >= end) row.remove();
  });
  const part = (from, to) => table.rows.slice(from, Math.max(from, to)).map((op, index) => opRow(table.data, op, from + index));
  const apart = table.end <= first || table.first >= end;
  const keptFrom = apart ? end : Math.max(first, table.first);
  const keptTo = apart ? end : Math.min(end, table.end);
  table.body.firstChild.after(...part(first, keptFrom));
  table.body.lastChild.before(...part(keptTo, end));
}

function spacer() {
  return element("tr", { "aria-hidden": "true" }, element("td", { class: "spacer", colspan: COLUMNS.length }));
}

function opRow(data, op, index) {
  const rules = data.rules(op);
  const worst = data.worst(op);
  const name = button(visible(data.ops.names[op], 120), () => pick(op), { class: "link name" });
  return element(
    "tr",
    {
      class: op === state.op ? "row chosen" : "row",
      "data-op": op,
      "aria-rowindex": index + 2,
      onclick: (event) => event.target.closest("button") || pick(op),
    },
    element("td", { class: "number" }, String(op + 1)),
    element("td", {}, name),
    element("td", { class: "cut" }, visible(data.type(op), 60)),
    element("td", { class: "cut" }, visible(data.shape(op), 80)),
    placeCell(data.predicted(op)),
    element("td", { class: "number" }, String(data.ops.segment[op] + 1)),
    element("td", { class: "number" }, microseconds(data.ops.cpu[op])),
    element("td", { class: "number" }, microseconds(data.ops.ane[op])),
    element("td", { class: "cut" }, rules.length ? severityChip(worst ?? "info", visible(rules[0], 40)) : "", rules.length > 1 ? ` +${rules.length - 1}` : ""),
  );
}

function placeCell(place) {
  return element("td", {}, element("span", { class: `swatch ${place}-fill` }), PLACES[place]);
}

function pick(op) {
  change({ op, segment: null });
  centreOn(op);
}

// Marks the chosen row, and scrolls the table (not the page) to it when it was chosen elsewhere.
function followChoice() {
  if (!table.data) return;
  const index = state.op === null ? -1 : table.rows.indexOf(state.op);
  const scroll = byId("ops-scroll");
  if (index >= 0) {
    const top = index * ROW;
    const seen = top >= scroll.scrollTop && top + 2 * ROW <= scroll.scrollTop + scroll.clientHeight;
    if (!seen) scroll.scrollTop = Math.max(0, top - scroll.clientHeight / 2);
  }
  fillTable(true);
}

function wireTable() {
  buildTable();
  const places = [["", "all"], ...Object.entries(PLACES)];
  byId("ops-place").replaceChildren(...places.map(([value, label]) => element("option", { value }, label)));
  byId("ops-place").addEventListener("change", (event) => change({ place: event.target.value }));
  onChange(["package", "function", "query", "place"], () => {
    byId("ops-scroll").scrollTop = 0;
    refreshTable();
  });
  onChange(["op"], followChoice);
}
