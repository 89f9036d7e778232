// What is chosen, and who wants to know. The address keeps it, so that a link leads to an op.

const state = { package: 0, function: 0, op: null, segment: null, query: "", place: "" };
const listeners = [];

// Calls `listener` whenever one of the keys changes.
function onChange(keys, listener) {
  listeners.push([keys, listener]);
}

// Another function has other ops and segments: what was chosen among those goes.
function change(update) {
  const next = { ...state, ...update };
  const moved = next.package !== state.package || next.function !== state.function;
  if (moved) Object.assign(next, { op: null, segment: null, ...update });
  const changed = new Set(Object.keys(next).filter((key) => next[key] !== state[key]));
  if (moved) changed.add("function");
  if (!changed.size) return;
  Object.assign(state, next);
  for (const [keys, listener] of listeners) {
    if (keys.some((key) => changed.has(key))) listener(changed);
  }
  if (["package", "function", "op"].some((key) => changed.has(key))) keepAddress();
}

// Goes to an op of a function by name (of this one without a name), and shows it in the graph.
function goTo(functionName, op) {
  const index = currentPackage().functions.findIndex((each) => each.name === functionName);
  change({ function: index < 0 ? state.function : index, op, segment: null });
  showInGraph(op);
}

function keepAddress() {
  const parts = [`package=${state.package}`, `function=${state.function}`];
  if (state.op !== null) parts.push(`op=${state.op}`);
  try {
    history.replaceState(null, "", `#${parts.join("&")}`);
  } catch {
    // A page inside another may not change its address.
  }
}

function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  const number = (key, limit) => {
    const value = given.has(key) ? Number(given.get(key)) : NaN;
    return Number.isInteger(value) && value >= 0 && value < limit ? value : null;
  };
  const owner = number("package", DATA.packages.length);
  if (owner === null) return;
  const index = number("function", DATA.packages[owner].functions.length);
  if (index === null) return;
  const op = number("op", DATA.packages[owner].functions[index].ops.names.length);
  Object.assign(state, { package: owner, function: index, op });
}
