// The reports in the page, and one function of one as the other parts read it.

const DATA = JSON.parse(byId("data").textContent);
const opened = new Map();

// What is asked of a function again and again: who takes what an op makes, what was found about it, its text to search.
class FunctionData {
  constructor(owner, source) {
    this.source = source;
    this.name = source.name;
    this.ops = source.ops;
    this.count = source.ops.names.length;
    this.segments = source.segments;
    this.found = new Map();
    for (const finding of owner.findings) {
      if (finding.function !== source.name || finding.index === null) continue;
      if (!this.found.has(finding.index)) this.found.set(finding.index, []);
      this.found.get(finding.index).push(finding);
    }
    this.users = Array.from({ length: this.count }, () => []);
    this.ops.inputs.forEach((sources, op) => sources.forEach((source) => this.users[source]?.push(op)));
    this.texts = null;
  }

  type(op) {
    return this.ops.types[this.ops.type[op]];
  }

  shape(op) {
    return this.ops.shapes[this.ops.shape[op]];
  }

  predicted(op) {
    return DATA.predicted[this.ops.predicted[op]];
  }

  eligible(op) {
    return DATA.eligible[this.ops.eligible[op]];
  }

  backend(op) {
    return this.segments[this.ops.segment[op]]?.[0];
  }

  rules(op) {
    return (this.ops.rules[op] ?? []).map((index) => this.ops.codes[index]);
  }

  place(op) {
    return this.ops.places[op] ?? null;
  }

  findings(op) {
    return this.found.get(op) ?? [];
  }

  outputs(op) {
    return this.ops.outputs[op] ?? [this.ops.names[op]];
  }

  // The worst severity found about an op, null for none.
  worst(op) {
    const ranks = this.findings(op).map((finding) => DATA.severities.indexOf(finding.severity));
    return ranks.length ? DATA.severities[Math.min(...ranks)] : null;
  }

  // All ops that hold every word of a query, or null for an empty one.
  search(query) {
    const words = query.toLowerCase().split(/\s+/).filter(Boolean);
    if (!words.length) return null;
    this.texts ??= Array.from({ length: this.count }, (_, op) =>
      [this.ops.names[op], this.outputs(op).join(" "), this.type(op), this.shape(op), PLACES[this.predicted(op)], this.rules(op).join(" "),
        (this.place(op) ?? []).join(" ")].join("\n").toLowerCase());
    const hits = [];
    this.texts.forEach((text, op) => {
      if (words.every((word) => text.includes(word))) hits.push(op);
    });
    return hits;
  }
}

function currentPackage() {
  return DATA.packages[state.package];
}

function currentFunction() {
  const owner = currentPackage();
  const source = owner.functions[state.function];
  if (!source) return null;
  if (!opened.has(source)) opened.set(source, new FunctionData(owner, source));
  return opened.get(source);
}
