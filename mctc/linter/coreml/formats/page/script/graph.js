// The graph: what is chosen decides what is marked; pointers, keys and buttons decide what is seen.

const canvas = byId("canvas");
const context = canvas.getContext("2d");
const view = new View();
const picture = new Picture();
const minimap = new Minimap(byId("minimap"), (x, y) => {
  view.centre(x, y);
  redraw();
});
const hintText = byId("hint").textContent;
let scene = null;
let colours = null;
let hits = null; // ops that the query finds, null without one
let hover = null;
let kept = null; // which ops are not dimmed, null for all
let wanted = false;

function redraw() {
  if (wanted) return;
  wanted = true;
  requestAnimationFrame(() => {
    wanted = false;
    if (!scene || !view.size.width) return;
    drawScene();
    minimap.draw(view);
    canvas.dataset.view = [view.scale, view.x, view.y].map((each) => each.toFixed(4)).join(" ");
  });
}

function drawScene() {
  const marks = { op: state.op, hover, kept };
  context.clearRect(0, 0, view.size.width, view.size.height);
  if (picture.suits(view.size, scene, view)) {
    picture.draw(context, dense(), scene, view, marks, colours);
    if (state.op !== null) paintChosenLines(context, scene, view, state.op, colours);
  } else {
    paintOps(context, view.size, scene, view, marks, colours);
  }
  if (state.op !== null) paintFrame(context, scene, view, state.op, colours);
}

function dense() {
  return window.devicePixelRatio || 1;
}

function openInGraph() {
  const data = currentFunction();
  byId("graph").hidden = !data?.count;
  scene = data?.count ? makeScene(data) : null;
  if (!scene) return;
  hover = null;
  measure();
  view.scene = scene;
  view.fit();
  minimap.prepare(scene, colours);
  search();
  redraw();
}

function measure() {
  const { clientWidth: width, clientHeight: height } = canvas;
  view.size = { width, height };
  canvas.width = Math.round(width * dense());
  canvas.height = Math.round(height * dense());
  context.setTransform(dense(), 0, 0, dense(), 0, 0);
}

function recolour() {
  colours = readColours(context);
  if (scene) minimap.prepare(scene, colours);
  redraw();
}

function boxAround(ops) {
  const box = { left: Infinity, top: Infinity, right: -Infinity, bottom: -Infinity };
  for (const op of ops) {
    box.left = Math.min(box.left, scene.x[op]);
    box.top = Math.min(box.top, scene.y[op]);
    box.right = Math.max(box.right, scene.x[op] + NODE.width);
    box.bottom = Math.max(box.bottom, scene.y[op] + NODE.height);
  }
  return box;
}

function centreOn(op) {
  const scale = Math.max(view.scale, READABLE);
  view.centre(scene.x[op] + NODE.width / 2, scene.y[op] + NODE.height / 2, scale);
  redraw();
}

// Brings the graph into the window, and the op into the middle of it.
function showInGraph(op) {
  if (!scene) return;
  byId("graph").scrollIntoView({ block: "nearest" });
  canvas.focus({ preventScroll: true });
  if (op !== null) centreOn(op);
}

function search() {
  hits = scene.data.search(state.query);
  kept = null;
  if (hits) {
    kept = new Uint8Array(scene.data.count);
    for (const op of hits) kept[op] = 1;
  } else if (state.segment !== null) {
    const [, first, last] = scene.data.segments[state.segment];
    kept = new Uint8Array(scene.data.count).fill(1, first, last + 1);
  }
  for (const id of ["hit-before", "hit-next"]) byId(id).disabled = !hits?.length;
  countHits();
  redraw();
}

function countHits() {
  const place = hits?.indexOf(state.op) ?? -1;
  const of = place < 0 ? "" : `${(place + 1).toLocaleString("en")} of `;
  byId("hit-count").textContent = hits ? `${of}${counted(hits.length, "match", "matches")}` : "";
}

// The match after (or before) the chosen op, around the end.
function stepHit(step) {
  if (!hits?.length) return;
  const from = state.op ?? -1;
  const next = step > 0 ? hits.find((op) => op > from) ?? hits[0] : hits.findLast((op) => op < from) ?? hits.at(-1);
  change({ op: next });
  centreOn(next);
}

function stepOp(step) {
  if (!scene) return;
  const from = state.op ?? (step > 0 ? -1 : scene.data.count);
  change({ op: clamp(from + step, 0, scene.data.count - 1) });
  centreOn(state.op);
}

function stepSegment(step) {
  const count = scene?.data.segments.length ?? 0;
  if (!count) return;
  const from = state.segment ?? (step > 0 ? -1 : count);
  showSegment((from + step + count) % count);
}

function showSegment(index) {
  change({ segment: index, query: "" });
  const [, first, last] = scene.data.segments[index];
  view.show(boxAround(Array.from({ length: last - first + 1 }, (_, each) => first + each)));
  redraw();
}

function labelSegment() {
  const segments = currentFunction()?.segments ?? [];
  const chosen = state.segment;
  byId("segment-jump").hidden = segments.length < 2;
  byId("segment-label").textContent =
    chosen === null ? counted(segments.length, "segment")
      : `Segment ${chosen + 1} of ${segments.length}, ${SHORT_PLACES[segments[chosen][0]]}`;
}

function hint(op) {
  if (op === hover) return;
  hover = op;
  canvas.style.cursor = op === null ? "" : "pointer";
  const data = scene.data;
  byId("hint").replaceChildren(
    ...(op === null ? [hintText] : [`${visible(data.type(op), 60)} `, named(data.ops.names[op], 90), `, ${PLACES[data.predicted(op)]}`]),
  );
  redraw();
}

// A move of the view, and a new picture after it.
function moved(move) {
  return (...where) => {
    move(...where);
    redraw();
  };
}

const move = {
  pan: moved((x, y) => view.pan(x, y)),
  zoom: moved((factor, x, y) => view.zoom(factor, x, y)),
  fit: moved(() => view.fit()),
  bigger: moved(() => view.zoom(1.35)),
  smaller: moved(() => view.zoom(1 / 1.35)),
};

function listenToCanvas() {
  const opUnder = (x, y) => opAt(scene, (x - view.x) / view.scale, (y - view.y) / view.scale, 4 / view.scale);
  listenToPointers(canvas, {
    pan: move.pan,
    zoom: move.zoom,
    click: (x, y) => scene && change({ op: opUnder(x, y) }),
    hover: (x, y) => scene && hint(x === null ? null : opUnder(x, y)),
  });
  listenToKeys(canvas, {
    ArrowLeft: () => move.pan(60, 0),
    ArrowRight: () => move.pan(-60, 0),
    ArrowUp: () => move.pan(0, 60),
    ArrowDown: () => move.pan(0, -60),
    "+": move.bigger,
    "=": move.bigger,
    "-": move.smaller,
    0: move.fit,
    n: () => stepOp(1),
    p: () => stepOp(-1),
    Escape: () => change({ op: null, segment: null }),
  });
}

function listenToToolbar() {
  const buttons = {
    "zoom-in": move.bigger,
    "zoom-out": move.smaller,
    fit: move.fit,
    "hit-next": () => stepHit(1),
    "hit-before": () => stepHit(-1),
    "segment-next": () => stepSegment(1),
    "segment-before": () => stepSegment(-1),
  };
  for (const [id, act] of Object.entries(buttons)) byId(id).addEventListener("click", () => act());
  byId("graph-query").addEventListener("keydown", (event) => {
    if (event.key === "Enter") stepHit(event.shiftKey ? -1 : 1);
  });
}

function wireGraph() {
  recolour();
  listenToCanvas();
  listenToToolbar();
  byId("legend").replaceChildren(
    ...PLACE_KEYS.map(placeWord),
    element("span", {}, element("span", { class: "swatch line" }), "data changes sides"),
    element("span", {}, "▲ finding"),
  );
  new ResizeObserver(() => {
    measure();
    view.keepInSight();
    redraw();
  }).observe(canvas);
  onChange(["package", "function"], openInGraph);
  onChange(["query", "segment"], () => scene && search());
  onChange(["op"], () => {
    countHits();
    redraw();
  });
  onChange(["package", "function", "segment"], labelSegment);
}
