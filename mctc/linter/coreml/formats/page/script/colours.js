// Colours of the style sheet, and patterns made of them, for painting.

const COLOUR_NAMES = [
  "page", "sheet", "ink", "soft", "line", "accent", "edge", "switch",
  "ane", "ane-tint", "ane-ink", "cpu", "cpu-tint", "cpu-ink", "doubtful", "doubtful-tint", "doubtful-ink",
  "error", "warning", "performance", "numerics", "info",
];

function readColours(context) {
  const style = getComputedStyle(document.documentElement);
  const colours = Object.fromEntries(COLOUR_NAMES.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
  colours.patterns = {
    ane: colours.ane,
    cpu: pattern(context, colours.cpu, colours["cpu-tint"], stripe),
    doubtful: pattern(context, colours.doubtful, colours["doubtful-tint"], dot),
  };
  return colours;
}

function pattern(context, ground, figure, trace) {
  const tile = document.createElement("canvas");
  tile.width = tile.height = 8;
  const inside = tile.getContext("2d");
  inside.fillStyle = ground;
  inside.fillRect(0, 0, 8, 8);
  inside.fillStyle = inside.strokeStyle = figure;
  inside.lineWidth = 1.6;
  inside.beginPath();
  trace(inside);
  return context.createPattern(tile, "repeat");
}

function stripe(inside) {
  for (const from of [-8, 0, 8]) {
    inside.moveTo(from, 8);
    inside.lineTo(from + 8, 0);
  }
  inside.stroke();
}

function dot(inside) {
  for (const [x, y] of [[2, 2], [6, 6]]) {
    inside.moveTo(x, y);
    inside.arc(x, y, 1.3, 0, 2 * Math.PI);
  }
  inside.fill();
}
