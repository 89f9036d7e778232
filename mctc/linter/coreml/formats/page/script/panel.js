// The side panel: everything about the chosen op.

function renderPanel() {
  const data = currentFunction();
  const panel = byId("panel");
  panel.scrollTop = 0;
  if (state.op === null || !data) {
    panel.replaceChildren(
      element("h3", {}, "No op chosen"),
      element("p", { class: "soft" }, "Click an op in the graph, in the table or in a finding: where it is predicted to run and why stands here."),
    );
    byId("announcement").textContent = "";
    return;
  }
  const op = state.op;
  const place = data.place(op);
  panel.replaceChildren(
    element("h3", {}, named(data.ops.names[op], 20000)),
    facts([
      ["Type", element("code", {}, visible(data.type(op), 200))],
      ["Result", data.shape(op) ? element("code", {}, visible(data.shape(op), 400)) : "none"],
      ["Predicted", placeWord(data.predicted(op))],
      ["Eligible", { yes: "yes", contested: "contested", no: "no" }[data.eligible(op)]],
      ["Segment", segmentLink(data, op)],
      ["On the NE", `${microseconds(data.ops.ane[op])} (estimate)`],
      ["On the CPU", `${microseconds(data.ops.cpu[op])} (estimate)`],
      data.ops.flops[op] ? ["Arithmetic", `${data.ops.flops[op].toLocaleString("en")} operations`] : null,
      data.ops.padded[op] ? ["Takes", `${byteCount(data.ops.bytes[op])}, padded ${byteCount(data.ops.padded[op])}`] : null,
      data.ops.outputs[op]?.length ? ["Values", ...nameList(data.outputs(op))] : null,
      place ? ["In the spec", named(place[0], 400)] : null,
      place?.[1] ? ["Instance", named(place[1], 400)] : null,
    ]),
    element("p", {}, reason(data, op)),
    ...panelFindings(data.findings(op)),
    ...neighbours("Takes from", data, data.ops.inputs[op], "Inputs, states or constants only."),
    ...neighbours("Used by", data, data.users[op], "No op: it is an output, or nobody needs it."),
  );
  byId("announcement").textContent =
    `${visible(data.type(op), 60)} ${visible(data.ops.names[op], 80)}, predicted: ${PLACES[data.predicted(op)]}`;
}

// Why an op is predicted where it is.
function reason(data, op) {
  const predicted = data.predicted(op);
  const eligible = data.eligible(op);
  if (eligible === "no") {
    return data.findings(op).length
      ? "The Neural Engine does not take it: a finding says why."
      : "The Neural Engine does not take it, for what was found about the whole function or about the op that it is inside of, " +
          "or for a finding that is not shown.";
  }
  if (predicted === "doubtful") {
    return eligible === "contested"
      ? "Doubtful: it is contested or unknown whether the Neural Engine takes it."
      : "Doubtful: readings of contested ops or of the charges, at half or at twice their size, put it on either side.";
  }
  if (predicted === "cpu") return "The Neural Engine would take it, but going there costs more than it saves.";
  return "The Neural Engine takes it, and all readings of the estimates keep it there.";
}

function segmentLink(data, op) {
  const index = data.ops.segment[op];
  const label = `${index + 1} of ${data.segments.length}, ${BACKENDS[data.backend(op)]}`;
  return button(label, () => showSegment(index), { class: "link" });
}

function panelFindings(findings) {
  const rules = currentPackage().rules;
  return findings.map((finding) => {
    const rule = rules[finding.rule];
    return element(
      "div",
      { class: "finding" },
      element("p", {}, severityChip(finding.severity), " ", element("code", {}, rule.code), rule.sides.length ? " contested" : ""),
      element("p", {}, prose(finding.message)),
      rule.sides.map(sideText),
      element("p", {}, element("strong", {}, "Fix: "), prose(rule.fix)),
      element("p", { class: "soft" }, `${evidenceWords(rule)}. Source: ${prose(rule.source)}`),
    );
  });
}

function neighbours(title, data, ops, none) {
  const different = [...new Set(ops)];
  const list = paged(element("ul", { class: "chips" }), different, (other) =>
    element("li", {}, button([`${visible(data.type(other), 40)} `, named(data.ops.names[other], 60)].map(asNode), () => {
      change({ op: other });
      centreOn(other);
    }, { class: "link" })), 20);
  return [element("h4", {}, title), different.length ? list : element("p", { class: "soft" }, none)];
}

function asNode(part) {
  return typeof part === "string" ? document.createTextNode(part) : part;
}
