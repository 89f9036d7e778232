// The head of the report: what was checked, what for, and what it comes to.

function renderSummary() {
  const report = currentPackage();
  byId("summary-title").replaceChildren(element("bdi", {}, visible(report.path, 200)));
  byId("summary-body").replaceChildren(
    facts([
      ["Package", `${visible(report.container)}, specification ${report.specVersion}, ${visible(report.network?.kind ?? report.opset)}`],
      ["Checked for", targetText(report)],
      report.network ? null : ["Constants of", `${DATA.chip}; computed for ${DATA.units}`],
      ["Weights", byteCount(report.weightBytes)],
      report.network ? ["Network", prose(report.network.numbers)] : null,
      report.network ? ["Takes", named(report.network.inputs.join(", "))] : null,
      report.network ? ["Makes", named(report.network.outputs.join(", "))] : null,
      report.madeFrom ? ["Made by", "mctc, from ", named(report.madeFrom)] : null,
      ["Findings", ...findingCounts(report)],
      ...report.notes.map((note) => ["Note", visible(note, 1000)]),
    ]),
    functionCards(report),
    element("p", { class: "estimate" }, report.network?.note ?? DATA.estimate),
    ...skippedRules(report),
  );
}

function targetText(report) {
  const assumed = { device: "chip", os: "system" };
  const missing = Object.keys(assumed).filter((key) => !report.stated.includes(key));
  if (!missing.length) return visible(report.target);
  const words = missing.map((key) => assumed[key]).join(" and ");
  return `${visible(report.target)} (${words} not stated: the oldest that the opset permits is assumed)`;
}

function findingCounts(report) {
  const chips = DATA.severities.flatMap((severity) => {
    const number = report.findings.filter((finding) => finding.severity === severity).length;
    return number ? [severityChip(severity, counted(number, NOUNS[severity])), " "] : [];
  });
  const hidden = report.hidden ? `${report.hidden} more left out by --select, --ignore or a baseline` : null;
  return [...(chips.length ? chips : ["nothing found "]), hidden && element("span", { class: "soft" }, hidden)];
}

function functionCards(report) {
  const list = element("ul", { class: "cards" });
  return paged(list, report.functions, (source, index) => {
    const memory = source.memory;
    const ratio = memory.bytes ? ` (${(memory.padded / memory.bytes).toFixed(1)}×)` : "";
    const chosen = index === state.function;
    return element(
      "li",
      { class: chosen ? "card chosen" : "card" },
      element(
        "h3",
        {},
        button(named(source.name), () => change({ function: index }), { class: "link", "aria-pressed": chosen }),
        element("span", { class: "count" }, counted(source.ops.names.length, "op")),
      ),
      sharesBar(source),
      element("p", {}, source.verdict),
      element(
        "p",
        { class: "soft" },
        [
          counted(Math.max(0, source.segments.length - 1), "switch", "switches"),
          `tensors ${byteCount(memory.padded)} padded${ratio}`,
          counted(source.states.length, "state"),
          `${counted(source.constants, "constant")} set apart`,
        ].join(" · "),
      ),
      ...openExtents(source),
      ...sizeTable(source),
    );
  }, 24);
}

function openExtents(source) {
  if (!source.open) return [];
  const ops = counted(source.open, "op has", "ops have");
  return [element("p", { class: "soft" }, `${ops} an extent that only a run tells: it counts as 1`)];
}

// Where inputs can have several shapes: the figures at each size that was judged, the first of which all others are of.
function sizeTable(source) {
  if (!source.sizes.length) return [];
  const cells = (size) => (size.at(-1) ? [size[0], `does not fit: ${size.at(-1)}`] : size.slice(0, -1));
  const cell = (text, place) => element(place ? "td" : "th", { class: place ? "number" : null }, visible(text, 300));
  const rows = source.sizes.map((size) => element("tr", {}, ...cells(size).map(cell)));
  const head = element("tr", {}, ...source.sizeHeads.map((text) => element("th", { scope: "col" }, text)));
  const more = source.unjudged ? ` ${counted(source.unjudged, "listed shape")} not judged.` : "";
  return [
    element("p", {}, "Figures are at ", element("bdi", {}, visible(source.sizes[0][0], 300)), `.${more}`),
    element("table", { class: "sizes" }, element("thead", {}, head), element("tbody", {}, ...rows)),
  ];
}

function sharesBar(source) {
  const shares = source.shares;
  const parts = Object.keys(PLACES).filter((place) => shares[place] > 0);
  const words = Object.keys(source.portions).map((place) => `${PLACES[place]} ${source.portions[place]}`).join(", ");
  const bar = element("div", { class: "shares", role: "img", "aria-label": `Of the estimated work: ${words || "none"}` });
  for (const place of parts) {
    const part = element("span", { class: `${place}-fill`, title: `${PLACES[place]} ${source.portions[place]}` });
    part.style.flex = `${shares[place]} 1 0`;
    bar.append(part);
  }
  return bar;
}

function skippedRules(report) {
  if (!report.skipped.length) return [];
  const number = report.skipped.reduce((sum, [, codes]) => sum + codes.length, 0);
  const title = `${counted(number, "rule")} not applied: the target is another`;
  return [
    element(
      "details",
      {},
      element("summary", {}, title),
      element("div", { class: "group" }, facts(report.skipped.map(([target, codes]) => [target, codes.join(", ")]))),
    ),
  ];
}
