// The whole scene, small, with a frame around what is seen; painted once, and shown while not all is in the window.

class Minimap {
  // move(x, y): asked to centre the view on a point of the scene.
  constructor(canvas, move) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.picture = document.createElement("canvas");
    const go = (event) => {
      const { scale, left, top } = this.place;
      const stretch = this.canvas.width / this.canvas.clientWidth;
      move((event.offsetX * stretch - left) / scale, (event.offsetY * stretch - top) / scale);
    };
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      go(event);
    });
    canvas.addEventListener("pointermove", (event) => event.buttons && go(event));
    canvas.addEventListener("mousedown", (event) => event.preventDefault()); // the keys stay with the graph
  }

  prepare(scene, colours) {
    this.colours = colours;
    const { width, height } = this.canvas;
    const scale = Math.min((width - 12) / scene.width, (height - 12) / scene.height);
    this.place = { scale, left: (width - scene.width * scale) / 2, top: (height - scene.height * scale) / 2 };
    this.picture.width = width;
    this.picture.height = height;
    const context = this.picture.getContext("2d");
    const [w, h] = [Math.max(1, NODE.width * scale), Math.max(1, NODE.height * scale)];
    PLACE_KEYS.forEach((place, index) => {
      context.fillStyle = colours[place];
      scene.place.forEach((each, op) => {
        if (each !== index) return;
        context.fillRect(scene.x[op] * scale + this.place.left, scene.y[op] * scale + this.place.top, w, h);
      });
    });
  }

  draw(view) {
    this.canvas.hidden = view.seesAll;
    if (view.seesAll) return;
    const { scale, left, top } = this.place;
    const [x, y] = [(-view.x / view.scale) * scale + left, (-view.y / view.scale) * scale + top];
    const [w, h] = [(view.size.width / view.scale) * scale, (view.size.height / view.scale) * scale];
    this.context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    this.context.drawImage(this.picture, 0, 0);
    this.context.strokeStyle = this.colours.ink;
    this.context.lineWidth = 1.5;
    this.context.strokeRect(Math.max(1, x), Math.max(1, y), Math.max(4, w), Math.max(4, h));
  }
}
