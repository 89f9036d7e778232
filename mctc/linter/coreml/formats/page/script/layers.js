// The layers of a neural network of the older kind, in place of the graph and the ops that an ML program has.

const OF_PROGRAMS = ["graph", "ops", "segments", "memory", "arithmetic"];

function renderLayers() {
  const network = currentPackage().network;
  byId("layers").hidden = !network;
  for (const id of OF_PROGRAMS) byId(id).hidden = Boolean(network);
  for (const link of document.querySelectorAll("nav a")) link.hidden = byId(link.hash.slice(1)).hidden;
  if (!network) return;
  const heads = ["#", "Layer", "Type", "Shape", "Parameters", "Multiply-accumulates", "Rules"];
  const numbers = new Set(["#", "Parameters", "Multiply-accumulates"]);
  byId("layers-body").replaceChildren(
    element("p", {}, prose(network.numbers)),
    ...network.notTold.map((sentence) => element("p", { class: "soft" }, prose(sentence))),
    element(
      "div",
      { class: "scroll tall", tabindex: "0", role: "region", "aria-label": "Table of layers" },
      element(
        "table",
        {},
        element("thead", {}, element("tr", {}, heads.map((head) =>
          element("th", { scope: "col", class: numbers.has(head) ? "number" : null }, head)))),
        paged(element("tbody"), network.layers, layerRow, 1000),
      ),
    ),
  );
}

function layerRow([name, type, shape, parameters, macs, rules], index) {
  const number = (value) => element("td", { class: "number" }, value === null ? "not known" : value.toLocaleString("en"));
  return element(
    "tr",
    { id: `layer-${index}` },
    element("td", { class: "number" }, String(index)),
    element("td", {}, named(name, 80)),
    element("td", {}, named(type, 40)),
    element("td", {}, shape ? visible(shape, 60) : "not known"),
    number(parameters),
    number(macs),
    element("td", {}, rules.join(", ")),
  );
}
