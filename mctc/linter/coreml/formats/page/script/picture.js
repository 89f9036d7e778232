// A whole scene seen from afar, kept as a picture while it is only moved about: thousands of ops are painted once.

const ROOM = 2.2; // windows: a scene larger than so many across or down is painted anew each time, where it is in sight

class Picture {
  constructor() {
    this.canvas = document.createElement("canvas");
    this.context = this.canvas.getContext("2d");
    this.key = [];
  }

  // Whether a scene is small enough on the screen.
  suits(size, scene, view) {
    const near = NODE.height * view.scale >= TEXT.type;
    return !near && scene.width * view.scale <= ROOM * size.width && scene.height * view.scale <= ROOM * size.height;
  }

  // All but the chosen op. dense: pixels of the screen in one of the page.
  draw(context, dense, scene, view, marks, colours) {
    const margin = 40; // for lines that bow out
    const width = Math.ceil(scene.width * view.scale) + 2 * margin;
    const height = Math.ceil(scene.height * view.scale) + 2 * margin;
    const key = [scene, view.scale, marks.kept, colours, dense];
    if (key.some((each, index) => each !== this.key[index])) {
      this.key = key;
      this.canvas.width = width * dense;
      this.canvas.height = height * dense;
      this.context.setTransform(dense, 0, 0, dense, 0, 0);
      paintOps(this.context, { width, height }, scene, { scale: view.scale, x: margin, y: margin }, { ...marks, op: null }, colours);
    }
    context.drawImage(this.canvas, Math.round(view.x) - margin, Math.round(view.y) - margin, width, height);
  }
}
