// Mouse, touch, wheel and keys on the canvas.

const CLICK = 6; // pixels a pointer may wander and still click
const PAUSE = 250; // milliseconds after scrolling the page during which the wheel goes on scrolling it

// act: {pan(x, y), zoom(factor, x, y), click(x, y), hover(x, y) or hover(null)}
function listenToPointers(canvas, act) {
  const down = new Map();
  let wandered = 0;
  const at = (event) => ({ x: event.offsetX, y: event.offsetY });

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button > 0) return;
    canvas.setPointerCapture(event.pointerId);
    if (!down.size) wandered = 0;
    down.set(event.pointerId, at(event));
  });
  canvas.addEventListener("pointermove", (event) => {
    const now = at(event);
    const before = down.get(event.pointerId);
    if (!before) {
      act.hover(now.x, now.y);
      return;
    }
    const other = [...down].find(([id]) => id !== event.pointerId)?.[1];
    wandered += Math.hypot(now.x - before.x, now.y - before.y);
    if (wandered > CLICK) canvas.classList.add("dragging");
    if (other) {
      const stretch = distance(now, other) / Math.max(1, distance(before, other));
      act.pan((now.x - before.x) / 2, (now.y - before.y) / 2);
      act.zoom(stretch, (now.x + other.x) / 2, (now.y + other.y) / 2);
    } else if (wandered > CLICK) {
      act.pan(now.x - before.x, now.y - before.y);
    }
    down.set(event.pointerId, now);
  });
  const release = (event) => {
    if (!down.delete(event.pointerId) || down.size) return;
    canvas.classList.remove("dragging");
    if (event.type === "pointerup" && wandered <= CLICK) act.click(event.offsetX, event.offsetY);
  };
  canvas.addEventListener("pointerup", release);
  canvas.addEventListener("pointercancel", release);
  canvas.addEventListener("pointerleave", () => act.hover(null));
  listenToWheel(canvas, act);
}

function distance(one, other) {
  return Math.hypot(one.x - other.x, one.y - other.y);
}

// Someone who scrolls down the page and meets the canvas on the way goes on scrolling.
function listenToWheel(canvas, act) {
  let scrolled = -PAUSE;
  window.addEventListener("scroll", () => (scrolled = performance.now()), { passive: true });
  canvas.addEventListener(
    "wheel",
    (event) => {
      if (!event.ctrlKey && performance.now() - scrolled < PAUSE) return;
      event.preventDefault();
      const lines = event.deltaMode === 1 ? 16 : 1;
      const amount = clamp(event.deltaY * lines, -240, 240);
      act.zoom(Math.exp(-amount * (event.ctrlKey ? 0.01 : 0.002)), event.offsetX, event.offsetY);
    },
    { passive: false },
  );
}

// keys: what to do by the name of the key.
function listenToKeys(canvas, keys) {
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const act = keys[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
}
