// Arithmetic: what is published of how the engine computes the ops that are placed on it.

function renderArithmetic() {
  const lines = currentFunction()?.source.arithmetic ?? [];
  byId("arithmetic-body").replaceChildren(
    ...(lines.length
      ? [element("ul", {}, lines.map((line) => element("li", {}, visible(line, 400))))]
      : [element("p", { class: "soft" }, "Nothing is placed on the engine, or its family's arithmetic isn't published.")]),
    element(
      "p",
      { class: "soft" },
      "As one laboratory measured it on M4 and M6. mctc verify --arithmetic engine executes the program so, and tells " +
        "what it costs.",
    ),
  );
}

