// Memory: what padding the last axis to 64 bytes makes of a function's tensors.

function renderMemory() {
  const data = currentFunction();
  const body = byId("memory-body");
  if (!data) {
    body.replaceChildren();
    return;
  }
  const { source } = data;
  const { memory } = source;
  const ratio = memory.bytes ? `, ${(memory.padded / memory.bytes).toFixed(1)} times as much` : "";
  const bar = element("span", { class: "padding-bar", "aria-hidden": "true" }, element("span"));
  bar.firstChild.style.width = `${memory.padded ? (100 * memory.bytes) / memory.padded : 100}%`;
  body.replaceChildren(
    facts([
      ["Tensors, packed", byteCount(memory.bytes)],
      ["Padded to 64 bytes", `${byteCount(memory.padded)}${ratio}`, bar],
      ["Most at once", `${byteCount(memory.peak)}, at `, named(memory.peakAt)],
      ["Inputs", ...nameList(source.inputs)],
      ["Outputs", ...nameList(source.outputs)],
      ["States", ...nameList(source.states)],
    ]),
    ...tensorTable("Most padded", memory.wasteful),
    ...tensorTable("Inputs, outputs and states", memory.interface),
    element(
      "p",
      { class: "soft" },
      "On the Neural Engine the last axis of inputs and outputs is padded to 64 bytes: one of size 1 takes 32 times its " +
        "size in fp16. Intermediates may take less, so theirs is an upper bound. Weights are not in these figures.",
    ),
  );
}

function nameList(items) {
  const shown = items.slice(0, 40).flatMap((item, index) => [index ? ", " : "", named(item, 120)]);
  const more = items.length > 40 ? ` and ${items.length - 40} more` : "";
  return items.length ? [...shown, more] : ["none"];
}

function tensorTable(title, tensors) {
  if (!tensors.length) return [];
  const heads = ["Name", "Kind", "Type", "Packed", "Padded", "Times"];
  const rows = paged(element("tbody"), tensors, ([name, kind, type, packed, padded]) =>
    element(
      "tr",
      {},
      element("td", {}, named(name, 80)),
      element("td", {}, kind),
      element("td", {}, element("code", {}, visible(type, 80))),
      element("td", { class: "number" }, byteCount(packed)),
      element("td", { class: "number" }, byteCount(padded)),
      element("td", { class: "number" }, packed ? `${(padded / packed).toFixed(1)}×` : "–"),
    ), 20);
  const numbers = new Set(["Packed", "Padded", "Times"]);
  return [
    element("h3", {}, title),
    element(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": title },
      element("table", {}, element("thead", {}, element("tr", {}, heads.map((head) =>
        element("th", { scope: "col", class: numbers.has(head) ? "number" : null }, head)))), rows),
    ),
    element("p"),
  ];
}
