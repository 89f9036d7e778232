// Painting ops and lines. What is out of sight is not touched, and the smaller ops are, the less is painted of each.

const SLOT = { width: 175, height: 78 };
const NODE = { width: 148, height: 50 };
const FAR = 24; // rows: a longer line, or one to another column, is a stub until one of its ends is chosen
const LINES = { least: 4.5, most: 1500 }; // pixels of an op's height; ops in one picture
const TEXT = { type: 17, name: 32, shape: 42 }; // pixels of an op's height from which each is written
const PLACE_KEYS = ["ane", "cpu", "doubtful"];

// Corners of all ops in pixels at scale 1, and ops by row.
function makeScene(data) {
  const layout = data.source.layout;
  const scene = { data, layout, x: new Float64Array(data.count), y: new Float64Array(data.count) };
  scene.starts = new Uint32Array(layout.rows + 1);
  for (const row of layout.row) scene.starts[row + 1]++;
  for (let row = 0; row < layout.rows; row++) scene.starts[row + 1] += scene.starts[row];
  const next = scene.starts.slice();
  scene.byRow = new Uint32Array(data.count);
  for (let op = 0; op < data.count; op++) {
    const row = layout.row[op];
    scene.byRow[next[row]++] = op;
    scene.x[op] = layout.x[op] * SLOT.width;
    scene.y[op] = (row - layout.firstRows[layout.column[op]]) * SLOT.height;
  }
  const ends = [...layout.firstRows.slice(1), layout.rows];
  scene.columns = layout.spans.map(([left, right], index) => ({
    left: left * SLOT.width, right: right * SLOT.width, first: layout.firstRows[index], end: ends[index],
  }));
  scene.width = Math.max(NODE.width, scene.columns.at(-1)?.right ?? 0);
  scene.height = Math.max(NODE.height, ...scene.columns.map((each) => (each.end - each.first) * SLOT.height));
  scene.place = Uint8Array.from(data.ops.predicted, (index) => PLACE_KEYS.indexOf(DATA.predicted[index]));
  scene.worst = Array.from({ length: data.count }, (_, op) => data.worst(op));
  return scene;
}

// Calls `visit` for the ops in a box of the scene.
function eachOpIn(scene, box, visit) {
  for (const column of scene.columns) {
    if (column.right < box.left || column.left > box.right) continue;
    const first = Math.max(column.first, column.first + Math.floor((box.top - NODE.height) / SLOT.height));
    const end = Math.min(column.end, column.first + Math.ceil(box.bottom / SLOT.height) + 1);
    for (let at = scene.starts[first]; first < end && at < scene.starts[end]; at++) {
      const op = scene.byRow[at];
      if (scene.x[op] <= box.right && scene.x[op] + NODE.width >= box.left) visit(op);
    }
  }
}

// The op nearest to a point, if it is no farther than `reach`.
function opAt(scene, x, y, reach) {
  let found = null;
  let least = reach;
  eachOpIn(scene, { left: x - reach, right: x + reach, top: y - reach, bottom: y + reach }, (op) => {
    const across = Math.max(scene.x[op] - x, 0, x - scene.x[op] - NODE.width);
    const down = Math.max(scene.y[op] - y, 0, y - scene.y[op] - NODE.height);
    const away = Math.hypot(across, down);
    if (away < least) [found, least] = [op, away];
  });
  return found;
}

function isFar(layout, source, op) {
  return layout.column[source] !== layout.column[op] || Math.abs(layout.row[op] - layout.row[source]) > FAR;
}

// The ops in sight with their lines. view: scale and offset; marks: {op, hover, kept: which are not dimmed, or null}.
function paintOps(context, size, scene, view, marks, colours) {
  const box = {
    left: -view.x / view.scale, top: -view.y / view.scale,
    right: (size.width - view.x) / view.scale, bottom: (size.height - view.y) / view.scale,
  };
  const ops = [];
  eachOpIn(scene, box, (op) => ops.push(op));
  const height = NODE.height * view.scale;
  if (height >= LINES.least && ops.length <= LINES.most) paintLines(context, scene, view, ops, colours);
  if (marks.op !== null) paintChosenLines(context, scene, view, marks.op, colours);
  if (height >= TEXT.type) paintNear(context, scene, view, ops, marks, colours);
  else paintAfar(context, scene, view, ops, marks, colours);
}

function paintLines(context, scene, view, ops, colours) {
  const { data, layout } = scene;
  const seen = new Set(ops);
  const switches = [];
  let drawn = 0;
  context.lineWidth = Math.max(0.6, Math.min(1.5, view.scale * 1.5));
  context.strokeStyle = colours.edge;
  context.beginPath();
  const line = (source, op) => {
    drawn++;
    if (data.backend(source) !== data.backend(op)) switches.push([source, op]);
    else traceLine(context, scene, view, source, op);
    if (drawn % 250 === 0) {
      context.stroke();
      context.beginPath();
    }
  };
  for (const op of ops) {
    for (const source of data.ops.inputs[op]) {
      if (source < op) line(source, op);
    }
    for (const user of data.users[op]) {
      if (user > op && !seen.has(user) && (!isFar(layout, op, user) || data.users[op].length <= 8)) line(op, user);
    }
  }
  context.stroke();
  strokeAll(context, scene, view, switches, colours.switch, Math.max(1, 2.5 * Math.min(1, view.scale)));
}

function strokeAll(context, scene, view, lines, colour, width, whole = false) {
  if (!lines.length) return;
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.beginPath();
  for (const [source, op] of lines) traceLine(context, scene, view, source, op, whole);
  context.stroke();
}

// From the foot of one op to the head of another: straight to the next row, around what is between for a longer way,
// a stub at either end for a far one.
function traceLine(context, scene, view, source, op, whole = false) {
  const { layout } = scene;
  const s = view.scale;
  const x1 = (scene.x[source] + NODE.width / 2) * s + view.x;
  const y1 = (scene.y[source] + NODE.height) * s + view.y;
  const x2 = (scene.x[op] + NODE.width / 2) * s + view.x;
  const y2 = scene.y[op] * s + view.y;
  if (!whole && isFar(layout, source, op)) {
    const side = NODE.width * 0.42 * s;
    context.moveTo(x1 + side * 0.8, y1);
    context.quadraticCurveTo(x1 + side, y1 + 12 * s, x1 + side * 1.3, y1 + 14 * s);
    context.moveTo(x2 + side * 1.3, y2 - 14 * s);
    context.quadraticCurveTo(x2 + side, y2 - 12 * s, x2 + side * 0.8, y2);
    return;
  }
  context.moveTo(x1, y1);
  const rows = layout.row[op] - layout.row[source];
  if (layout.column[source] !== layout.column[op]) {
    const bend = SLOT.height * s;
    context.bezierCurveTo(x1 + 2 * bend, y1 + bend, x2 - 2 * bend, y2 - bend, x2, y2);
  } else if (rows <= 1) {
    const middle = (y1 + y2) / 2;
    if (Math.abs(x1 - x2) < 1) context.lineTo(x2, y2);
    else context.bezierCurveTo(x1, middle, x2, middle, x2, y2);
  } else {
    const out = (NODE.width * 0.95 + Math.min(rows, FAR) * 3) * s * (x2 < x1 - 1 ? -1 : 1);
    const bend = Math.min((y2 - y1) * 0.35, SLOT.height * 1.2 * s);
    context.bezierCurveTo(x1 + out, y1 + bend, x2 + out, y2 - bend, x2, y2);
  }
}

// Small: filled with colour and pattern, all ops of a kind at once.
function paintAfar(context, scene, view, ops, marks, colours) {
  const s = view.scale;
  const width = Math.max(1, Math.round(NODE.width * s));
  const height = Math.max(1, Math.round(NODE.height * s));
  const fine = height >= 4;
  for (const dim of [true, false]) {
    context.globalAlpha = dim ? 0.2 : 1;
    PLACE_KEYS.forEach((place, index) => {
      const pattern = fine ? colours.patterns[place] : null;
      pattern?.setTransform?.(new DOMMatrix([1, 0, 0, 1, Math.round(view.x) % 8, Math.round(view.y) % 8]));
      context.fillStyle = pattern ?? colours[place];
      for (const op of ops) {
        if (scene.place[op] !== index || dim !== isDimmed(marks, op)) continue;
        context.fillRect(Math.round(scene.x[op] * s + view.x), Math.round(scene.y[op] * s + view.y), width, height);
      }
    });
  }
  context.globalAlpha = 1;
  if (height < 8) return;
  for (const op of ops) {
    if (scene.worst[op]) paintFindingMark(context, scene, view, op, colours, 2.5);
  }
}

function isDimmed(marks, op) {
  return marks.kept !== null && !marks.kept[op];
}

// Large: a tinted box with a bar, words and a badge that says where it runs.
function paintNear(context, scene, view, ops, marks, colours) {
  const s = view.scale;
  const width = NODE.width * s;
  const height = NODE.height * s;
  for (const op of ops) {
    const place = PLACE_KEYS[scene.place[op]];
    const x = scene.x[op] * s + view.x;
    const y = scene.y[op] * s + view.y;
    if (isDimmed(marks, op)) {
      context.fillStyle = colours.page; // no line shows through
      context.fillRect(x, y, width, height);
    }
    context.globalAlpha = isDimmed(marks, op) ? 0.3 : 1;
    context.fillStyle = colours[`${place}-tint`];
    context.fillRect(x, y, width, height);
    context.fillStyle = colours.patterns[place];
    context.fillRect(x, y, Math.max(4, 9 * s), height);
    context.strokeStyle = colours[place];
    context.lineWidth = marks.hover === op ? 2.5 : 1;
    context.setLineDash(place === "doubtful" ? [4, 3] : []);
    context.strokeRect(x, y, width, height);
    context.setLineDash([]);
    paintWords(context, scene, op, place, x, y, s, colours);
    if (scene.worst[op]) paintFindingMark(context, scene, view, op, colours, Math.min(5, 4.5 * s + 1));
    context.globalAlpha = 1;
  }
}

// The type; from a certain size on the name and the badge, and then the result.
function paintWords(context, scene, op, place, x, y, s, colours) {
  const { data } = scene;
  const height = NODE.height * s;
  const more = height >= TEXT.name;
  const all = height >= TEXT.shape;
  const size = more ? 13 * s : Math.min(13, height * 0.5);
  const small = (all ? 10 : 11) * s;
  const left = x + 14 * s;
  context.textBaseline = "middle";
  context.textAlign = "left";
  context.fillStyle = colours[`${place}-ink`];
  context.font = `600 ${size.toFixed(1)}px system-ui, sans-serif`;
  fitText(context, data.type(op), left, y + height * (all ? 0.24 : more ? 0.32 : 0.52), (more ? 102 : 128) * s, size);
  if (!more) return;
  context.font = `${small.toFixed(1)}px system-ui, sans-serif`;
  fitText(context, data.ops.names[op], left, y + height * (all ? 0.54 : 0.72), 130 * s, small);
  if (all) fitText(context, data.shape(op), left, y + height * 0.81, 130 * s, small);
  context.font = `700 ${small.toFixed(1)}px system-ui, sans-serif`;
  context.textAlign = "right";
  context.fillText(SHORT_PLACES[place], x + (NODE.width - 7) * s, y + height * (all ? 0.24 : 0.32));
}

// A text cut to about what fits, by the mean width of a letter, and pressed together where it is still too wide.
function fitText(context, text, x, y, room, size) {
  context.fillText(visible(text, Math.max(2, Math.floor(room / (size * 0.55)))), x, y, room);
}

// A triangle at the upper right corner, so that a finding is seen without its colour.
function paintFindingMark(context, scene, view, op, colours, radius) {
  const x = (scene.x[op] + NODE.width) * view.scale + view.x;
  const y = scene.y[op] * view.scale + view.y;
  context.fillStyle = colours[scene.worst[op]];
  context.strokeStyle = colours.sheet;
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(x, y - radius);
  context.lineTo(x + radius, y + radius * 0.8);
  context.lineTo(x - radius, y + radius * 0.8);
  context.closePath();
  context.fill();
  context.stroke();
}

// All lines of the chosen op, whole.
function paintChosenLines(context, scene, view, op, colours) {
  const { data } = scene;
  const into = data.ops.inputs[op].filter((source) => source < op).map((source) => [source, op]);
  const out = data.users[op].filter((user) => user > op).slice(0, 400).map((user) => [op, user]);
  strokeAll(context, scene, view, [...into, ...out], colours.accent, Math.max(1.2, 2 * Math.min(1, view.scale)), true);
}

// A frame around the chosen op that can be seen however small the op is.
function paintFrame(context, scene, view, op, colours) {
  const s = view.scale;
  const grow = Math.max(3, 4 * s);
  const width = Math.max(6, NODE.width * s);
  const height = Math.max(6, NODE.height * s);
  context.strokeStyle = colours.accent;
  context.lineWidth = 3;
  context.strokeRect(scene.x[op] * s + view.x - grow, scene.y[op] * s + view.y - grow, width + 2 * grow, height + 2 * grow);
}
