// Which part of the scene is seen: a scale and an offset, and the ways to move them.

const SCALES = { least: 0.002, most: 3 };
const READABLE = 0.9;

class View {
  constructor() {
    this.scale = 1;
    this.x = 0;
    this.y = 0;
    this.size = { width: 1, height: 1 };
    this.scene = { width: 1, height: 1 };
  }

  fit() {
    const margin = 24;
    const across = (this.size.width - 2 * margin) / this.scene.width;
    const down = (this.size.height - 2 * margin) / this.scene.height;
    this.scale = clamp(Math.min(across, down), SCALES.least, 1.1);
    this.x = (this.size.width - this.scene.width * this.scale) / 2;
    this.y = Math.max(margin, (this.size.height - this.scene.height * this.scale) / 2);
  }

  pan(x, y) {
    this.x += x;
    this.y += y;
    this.keepInSight();
  }

  // Zooms about a point of the window.
  zoom(factor, x = this.size.width / 2, y = this.size.height / 2) {
    const scale = clamp(this.scale * factor, SCALES.least, SCALES.most);
    this.x = x - ((x - this.x) * scale) / this.scale;
    this.y = y - ((y - this.y) * scale) / this.scale;
    this.scale = scale;
    this.keepInSight();
  }

  centre(x, y, scale = this.scale) {
    this.scale = scale;
    this.x = this.size.width / 2 - x * scale;
    this.y = this.size.height / 2 - y * scale;
    this.keepInSight();
  }

  // Shows a box of the scene, as large as it can be read.
  show(box) {
    const across = this.size.width / (box.right - box.left + 2 * SLOT.width);
    const down = this.size.height / (box.bottom - box.top + 2 * SLOT.height);
    const scale = clamp(Math.min(across, down), SCALES.least, READABLE);
    this.centre((box.left + box.right) / 2, (box.top + box.bottom) / 2, scale);
  }

  // Some of the scene stays in the window.
  keepInSight() {
    const least = 60;
    this.x = clamp(this.x, least - this.scene.width * this.scale, this.size.width - least);
    this.y = clamp(this.y, least - this.scene.height * this.scale, this.size.height - least);
  }

  get seesAll() {
    return (
      this.x >= 0 && this.y >= 0 &&
      this.x + this.scene.width * this.scale <= this.size.width + 1 &&
      this.y + this.scene.height * this.scale <= this.size.height + 1
    );
  }
}

function clamp(value, least, most) {
  return Math.min(Math.max(value, least), most);
}
