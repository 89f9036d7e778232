// Findings by rule, the worst first; a rule's text and its ops are built when it is opened.

const hiddenSeverities = new Set();
let onlyThisFunction = false;

function renderFindings() {
  const report = currentPackage();
  renderFindingsFilter(report);
  const here = currentFunction()?.name;
  const shown = report.findings.filter(
    (finding) => !hiddenSeverities.has(finding.severity) && (!onlyThisFunction || finding.function === here),
  );
  const groups = groupBy(shown, (finding) => finding.rule);
  const ordered = groups.sort((one, other) => rank(one[1][0]) - rank(other[1][0]) || other[1].length - one[1].length);
  const body = byId("findings-body");
  body.replaceChildren();
  if (!report.findings.length) body.append(element("p", { class: "soft" }, "Nothing found."));
  else if (!shown.length) body.append(element("p", { class: "soft" }, "Nothing left by the filter."));
  ordered.forEach(([code, findings], index) => body.append(findingGroup(report.rules[code], findings, index === 0)));
}

function rank(finding) {
  return DATA.severities.indexOf(finding.severity);
}

function groupBy(items, key) {
  const groups = new Map();
  for (const item of items) {
    const name = key(item);
    if (!groups.has(name)) groups.set(name, []);
    groups.get(name).push(item);
  }
  return [...groups];
}

function renderFindingsFilter(report) {
  const present = DATA.severities.filter((severity) => report.findings.some((finding) => finding.severity === severity));
  const toggles = present.map((severity) =>
    button(severityChip(severity), () => {
      if (!hiddenSeverities.delete(severity)) hiddenSeverities.add(severity);
      renderFindings();
      byId("findings-filter").querySelector(`[data-severity="${severity}"]`)?.focus();
    }, { "aria-pressed": !hiddenSeverities.has(severity), "data-severity": severity }));
  const box = element("input", { type: "checkbox", id: "only-function" });
  box.checked = onlyThisFunction;
  box.addEventListener("change", () => {
    onlyThisFunction = box.checked;
    renderFindings();
    byId("only-function").focus();
  });
  const label = element("label", {}, box, " only of this function");
  byId("findings-filter").replaceChildren(...toggles, ...(report.functions.length > 1 ? [label] : []));
  byId("findings-filter").hidden = !report.findings.length;
}

function findingGroup(rule, findings, open) {
  const group = element(
    "details",
    { open, "data-rule": rule.code },
    element(
      "summary",
      {},
      severityChip(findings[0].severity),
      element("code", {}, rule.code),
      element("span", { class: "what" }, prose(rule.summary), rule.sides.length ? " (contested)" : ""),
      element("span", { class: "count" }, `× ${findings.length.toLocaleString("en")}`),
    ),
  );
  const fill = () => {
    if (group.open && group.childElementCount === 1) group.append(groupBody(rule, findings));
  };
  group.addEventListener("toggle", fill);
  fill();
  return group;
}

function groupBody(rule, findings) {
  const messages = groupBy(findings, (finding) => finding.message);
  messages.sort((one, other) => other[1].length - one[1].length);
  const list = paged(element("div"), messages, ([message, group]) => messageBlock(message, group), 12);
  return element("div", { class: "group" }, list, facts(ruleFacts(rule)));
}

function messageBlock(message, findings) {
  const ops = findings.filter((finding) => finding.op !== null);
  const about = [...new Set(findings.filter((each) => each.op === null).map((each) => each.function))].filter(Boolean);
  const several = currentPackage().functions.length > 1;
  return element(
    "div",
    { class: "message" },
    element("div", {}, prose(message), about.length ? [" (", named(about.join(", ")), ")"] : null),
    ops.length ? paged(element("ul", { class: "chips" }), ops, (finding) => opChip(finding, several), 24) : null,
  );
}

function opChip(finding, several) {
  if (finding.function === null) return layerChip(finding);
  const label = several ? `${visible(finding.function, 40)} · ${visible(finding.op, 60)}` : visible(finding.op, 60);
  const link = button(element("bdi", { class: "name" }, label), () => goTo(finding.function, finding.index), {
    class: "link",
    title: "Show in the graph",
  });
  const from = finding.place ? element("span", { class: "soft" }, " from ", named(finding.place[0], 80)) : null;
  return element("li", {}, link, from);
}

function layerChip(finding) {
  const link = element("a", { href: `#layer-${finding.index}`, title: "Show in the table of layers" }, named(finding.op, 60));
  return element("li", {}, link);
}

function evidenceWords(rule) {
  return `${rule.evidence.map(([letter, words]) => `${words} (${letter})`).join("; ")}; confidence ${rule.confidence}`;
}

function sideText([side, words]) {
  return element("p", {}, element("strong", {}, `Some say it ${side}: `), prose(words));
}

function ruleFacts(rule) {
  const effects = {
    off: "keeps an op off the Neural Engine",
    doubt: "makes it doubtful whether an op runs on the Neural Engine",
    stays: "none on where an op runs",
  };
  return [
    ["Why", prose(rule.why)],
    rule.sides.length ? ["Contested", ...rule.sides.map(sideText)] : null,
    ["Effect", effects[rule.effect]],
    ["Fix", prose(rule.fix)],
    ["Evidence", evidenceWords(rule)],
    ["Source", prose(rule.source)],
  ];
}
