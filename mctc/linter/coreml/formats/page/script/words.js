// Numbers and names as people read them.

const PLACES = { ane: "Neural Engine", cpu: "CPU", doubtful: "doubtful" };
const SHORT_PLACES = { ane: "NE", cpu: "CPU", doubtful: "?" };
const BACKENDS = { ane: "Neural Engine", cpu: "CPU" };
const NOUNS = {
  error: "error",
  warning: "warning",
  performance: "performance note",
  numerics: "numerics note",
  info: "remark",
};
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}\p{Cn}]/gu;

function counted(number, noun, plural = `${noun}s`) {
  return `${number.toLocaleString("en")} ${number === 1 ? noun : plural}`;
}

function microseconds(value) {
  if (value === null || value === undefined) return "unknown";
  if (value >= 1000) return `${(value / 1000).toFixed(2)} ms`;
  if (value === 0) return "0 µs";
  return value < 0.01 ? "< 0.01 µs" : `${Number(value.toPrecision(3))} µs`;
}

function byteCount(number) {
  for (const [unit, size] of [["GB", 1e9], ["MB", 1e6], ["kB", 1e3]]) {
    if (number >= size) return `${(number / size).toFixed(1)} ${unit}`;
  }
  return `${number} bytes`;
}

// A stranger's text without characters that can't be seen or that turn the direction of what follows; cut in the middle.
function visible(text, limit = 160) {
  const source = String(text ?? "");
  if (source.length <= limit) return source.replace(UNSEEN, "\uFFFD");
  const head = Math.floor(((limit - 1) * 2) / 3);
  return `${source.slice(0, head)}…${source.slice(source.length - (limit - 1 - head))}`.replace(UNSEEN, "\uFFFD");
}

function prose(text) {
  return visible(String(text ?? "").replace(/\s+/g, " "), 20000);
}
