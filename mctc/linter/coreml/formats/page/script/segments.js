// Segments: runs of ops on one side, what each saves, and what going over costs.

function renderSegments() {
  const data = currentFunction();
  const body = byId("segments-body");
  if (!data?.count) {
    body.replaceChildren(element("p", { class: "soft" }, "No ops, no segments."));
    return;
  }
  const { charge } = DATA;
  const source = data.source;
  const spent = data.segments.reduce((sum, [backend, , , ane, cpu]) => sum + (backend === "ane" ? ane : cpu), 0);
  const switches = Math.max(0, data.segments.length - 1);
  const heads = ["#", "Side", "Ops", "First to last", "CPU", "NE", "Saves", "Doubtful ops"];
  const numbers = new Set(["#", "Ops", "CPU", "NE", "Saves", "Doubtful ops"]);
  const rows = paged(element("tbody"), data.segments, (segment, index) => segmentRow(data, segment, index), 50);
  body.replaceChildren(
    element(
      "p",
      {},
      `${counted(switches, "switch", "switches")} between the sides. Estimated ${microseconds(source.time)}, of which ` +
        `${microseconds(Math.max(0, source.time - spent))} for going over; all on the CPU ${microseconds(source.cpuTime)}; ` +
        `saved ${signed(source.cpuTime - source.time)}.`,
    ),
    element(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table of segments" },
      element(
        "table",
        {},
        element("thead", {}, element("tr", {}, heads.map((head) =>
          element("th", { scope: "col", class: numbers.has(head) ? "number" : null }, head)))),
        rows,
      ),
    ),
    element(
      "p",
      { class: "soft" },
      `“Saves” is CPU less Neural Engine, before charges: entering the Neural Engine ${microseconds(charge.launch)}, changing ` +
        `sides ${microseconds(charge.switch)}, handing out results ${microseconds(charge.output)}.`,
    ),
  );
}

function signed(value) {
  return value < 0 ? `−${microseconds(-value)}` : microseconds(value);
}

function segmentRow(data, [backend, first, last, ane, cpu, doubtful], index) {
  const names = element("span", {}, named(data.ops.names[first], 50), last > first ? [" to ", named(data.ops.names[last], 50)] : null);
  return element(
    "tr",
    {
      class: index === state.segment ? "row chosen" : "row",
      "data-segment": index,
      onclick: () => {
        showSegment(index);
        byId("graph").scrollIntoView({ block: "nearest" });
      },
    },
    element("td", { class: "number" }, button(String(index + 1), null, { class: "link", title: "Show in the graph" })),
    element("td", {}, placeWord(backend)),
    element("td", { class: "number" }, (last - first + 1).toLocaleString("en")),
    element("td", {}, names),
    element("td", { class: "number" }, microseconds(cpu)),
    element("td", { class: "number" }, microseconds(ane)),
    element("td", { class: "number" }, backend === "ane" ? signed(cpu - ane) : "–"),
    element("td", { class: "number" }, String(doubtful)),
  );
}

function markSegment() {
  for (const row of byId("segments-body").querySelectorAll("tr[data-segment]")) {
    row.classList.toggle("chosen", Number(row.dataset.segment) === state.segment);
  }
}
