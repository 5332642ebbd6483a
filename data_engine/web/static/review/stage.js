// One frame: its picture on a canvas, its boxes over it, nearer and farther, and a place to point at.
const SVG = "http://www.w3.org/2000/svg";
const SIGNS = { kept: "", moved: "↔ ", relabelled: "≠ ", added: "+ ", removed: "− " };
const MOST_ZOOM = 32;

export class Stage {
  /**
   * @param {HTMLElement} element holds the picture.
   * @param {Pictures} pictures decoded ones.
   * @param {(box: number[]) => void} pointed told the place that was drawn, in pixels of the frame.
   */
  constructor(element, pictures, pointed) {
    Object.assign(this, { element, pictures, pointed, frame: null, shown: "both", names: true, zoom: 1 });
    this.center = [0.5, 0.5];
    this.place = null;
    this.pointing = false;
    this.sheet = element.appendChild(document.createElement("div"));
    this.sheet.className = "sheet";
    this.canvas = this.sheet.appendChild(document.createElement("canvas"));
    this.canvas.setAttribute("role", "img");
    this.svg = this.sheet.appendChild(document.createElementNS(SVG, "svg"));
    this.svg.setAttribute("preserveAspectRatio", "none");
    this.lost = element.appendChild(document.createElement("p"));
    this.lost.className = "lost";
    this.lost.hidden = true;
    new ResizeObserver(() => this.lay()).observe(element);
    element.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    element.addEventListener("pointerdown", (event) => this.press(event));
  }

  show(frame) {
    this.frame = frame;
    this.zoom = 1;
    this.center = [0.5, 0.5];
    this.place = null;
    const entry = this.pictures.of(frame);
    this.lay();
    if (!entry.bitmap && !entry.lost) entry.ready.then(() => this.frame === frame && this.lay());
  }

  /** Put everything where it belongs: the sheet at its size, the picture on it, the boxes over it. */
  lay() {
    const { frame, element } = this;
    if (!frame || !element.clientWidth || !element.clientHeight) return;
    const fit = Math.min(element.clientWidth / frame.width, element.clientHeight / frame.height);
    const width = frame.width * fit * this.zoom;
    const height = frame.height * fit * this.zoom;
    const left = offset(element.clientWidth, width, this.center[0]);
    const top = offset(element.clientHeight, height, this.center[1]);
    Object.assign(this.sheet.style, { width: `${width}px`, height: `${height}px`, left: `${left}px`, top: `${top}px` });
    this.perPixel = frame.width / width;
    this.paint(width, height);
    this.draw();
  }

  paint(width, height) {
    const { frame, canvas } = this;
    const { bitmap, lost } = this.pictures.of(frame);
    this.lost.hidden = !lost;
    this.lost.textContent = lost ? "The picture of this frame cannot be shown." : "";
    const scale = Math.min(devicePixelRatio, bitmap ? bitmap.width / width : 1);
    const size = [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
    if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size;
    const context = canvas.getContext("2d");
    if (bitmap) context.drawImage(bitmap, 0, 0, ...size);
    else context.clearRect(0, 0, ...size);
    canvas.setAttribute("aria-label", `frame ${frame.number}, ${frame.boxes.length} boxes`);
    this.element.dataset.frame = frame.id;
    this.element.dataset.painted = String(Boolean(bitmap));
  }

  draw() {
    const { frame, svg } = this;
    const drawn = [];
    const before = this.shown !== "after";
    const after = this.shown !== "before";
    for (const gone of frame.removed) if (before) drawn.push([gone.box, "before removed", gone.label, "removed", null]);
    frame.boxes.forEach((box, index) => {
      const moved = box.was && box.what !== "kept";
      if (before && box.was && (moved || !after)) drawn.push([box.was.box, `before ${box.what}`, after ? "" : box.was.label, "", index]);
      if (after) drawn.push([box.box, `after ${box.what}`, box.label, box.what, index]);
    });
    for (const said of [...frame.remarks, ...frame.issues]) if (said.box) drawn.push([said.box, "said", "", "", null]);
    svg.setAttribute("viewBox", `0 0 ${frame.width} ${frame.height}`);
    svg.setAttribute("font-size", String(13 * this.perPixel));
    const nodes = [];
    const words = [];
    for (const [box, name, label, what, index] of drawn) {
      const node = rect(box, name);
      if (index !== null) node.dataset.box = index;
      nodes.push(node);
      if (this.names && label) words.push([box, `${SIGNS[what] ?? ""}${label}`]);
    }
    nodes.push(...this.labels(words));
    if (this.place) nodes.push(this.pointer());
    const focused = document.activeElement?.classList.contains("point");
    svg.replaceChildren(...nodes);
    if (focused) svg.querySelector(".point")?.focus();
  }

  /** Names above their boxes, or below where another name stands there already. */
  labels(words) {
    const taken = [];
    const line = 15 * this.perPixel;
    return words.map(([box, name]) => {
      const wide = name.length * 7.5 * this.perPixel;
      const above = Math.max(box[1] - 4 * this.perPixel, 12 * this.perPixel);
      const places = [above, box[1] + box[3] + 13 * this.perPixel, box[1] + line, box[1] + 2 * line];
      const free = (y) => taken.every(([left, right, at]) => box[0] > right || box[0] + wide < left || Math.abs(at - y) >= line);
      const y = places.find((place) => place < this.frame.height && free(place)) ?? above;
      taken.push([box[0], box[0] + wide, y]);
      const text = document.createElementNS(SVG, "text");
      text.setAttribute("x", box[0]);
      text.setAttribute("y", y);
      text.textContent = name;
      return text;
    });
  }

  choose(index) {
    for (const node of this.svg.querySelectorAll("[data-box]")) node.classList.toggle("chosen", Number(node.dataset.box) === index);
  }

  // --- pointing -----------------------------------------------------------------------------------------------------

  point(on) {
    this.pointing = on;
    this.element.classList.toggle("pointing", on);
    if (!on) this.setPlace(null);
  }

  setPlace(box) {
    this.place = box;
    if (this.frame) this.draw();
  }

  pointer() {
    const node = rect(this.place, "point");
    node.setAttribute("tabindex", "0");
    node.setAttribute("role", "img");
    node.setAttribute("aria-label", "The place that is wrong: arrow keys move it, Shift and arrow keys resize it");
    node.addEventListener("keydown", (event) => this.nudge(event));
    return node;
  }

  nudge(event) {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!way || event.altKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    const step = event.ctrlKey ? 1 : Math.max(1, Math.round(4 * this.perPixel));
    let [x, y, w, h] = this.place;
    if (event.shiftKey) [w, h] = [Math.max(1, w + way[0] * step), Math.max(1, h + way[1] * step)];
    else [x, y] = [x + way[0] * step, y + way[1] * step];
    this.move([x, y, w, h]);
  }

  move([x, y, w, h]) {
    const { width, height } = this.frame;
    [w, h] = [Math.min(w, width), Math.min(h, height)];
    this.setPlace([clamp(x, 0, width - w), clamp(y, 0, height - h), w, h].map((value) => Math.round(value * 100) / 100));
    this.pointed(this.place);
  }

  press(event) {
    if (event.button !== 0) return;
    const start = this.at(event);
    const from = [event.clientX, event.clientY];
    const center = [...this.center];
    const drag = (moved) => {
      if (!this.pointing) {
        const size = this.sheet.getBoundingClientRect();
        this.center = [center[0] - (moved.clientX - from[0]) / size.width, center[1] - (moved.clientY - from[1]) / size.height];
        this.lay();
        return;
      }
      const now = this.at(moved);
      this.setPlace(spanned(start, now));
    };
    const drop = (ended) => {
      removeEventListener("pointermove", drag);
      removeEventListener("pointerup", drop);
      removeEventListener("pointercancel", drop);
      if (!this.pointing) return;
      const far = Math.hypot(ended.clientX - from[0], ended.clientY - from[1]);
      const box = far < 4 ? this.under(start) : spanned(start, this.at(ended));
      if (box && box[2] >= 1 && box[3] >= 1) this.move(box);
    };
    event.preventDefault();
    this.element.focus({ preventScroll: true });
    addEventListener("pointermove", drag);
    addEventListener("pointerup", drop);
    addEventListener("pointercancel", drop);
  }

  /** The smallest box under a point. */
  under([x, y]) {
    const all = [...this.frame.boxes, ...this.frame.removed].map((each) => each.box);
    const hit = all.filter((b) => x >= b[0] && y >= b[1] && x <= b[0] + b[2] && y <= b[1] + b[3]);
    return hit.sort((a, b) => a[2] * a[3] - b[2] * b[3])[0] ?? null;
  }

  at(event) {
    const sheet = this.sheet.getBoundingClientRect();
    const { width, height } = this.frame;
    return [
      clamp(((event.clientX - sheet.left) / sheet.width) * width, 0, width),
      clamp(((event.clientY - sheet.top) / sheet.height) * height, 0, height),
    ];
  }

  // --- nearer and farther -------------------------------------------------------------------------------------------

  wheel(event) {
    event.preventDefault();
    this.near(Math.exp(-event.deltaY / 400), this.frame && this.at(event));
  }

  near(by, point) {
    if (!this.frame) return;
    const before = this.zoom;
    this.zoom = by === 0 ? 1 : clamp(this.zoom * by, 1, MOST_ZOOM);
    if (point && this.zoom > 1) {
      const held = [point[0] / this.frame.width, point[1] / this.frame.height];
      const keep = before / this.zoom;
      this.center = this.center.map((value, axis) => held[axis] + (value - held[axis]) * keep);
    }
    if (this.zoom === 1) this.center = [0.5, 0.5];
    this.lay();
  }
}

function rect(box, name) {
  const node = document.createElementNS(SVG, "rect");
  ["x", "y", "width", "height"].forEach((attribute, index) => node.setAttribute(attribute, box[index]));
  node.setAttribute("class", name);
  return node;
}

function offset(room, size, center) {
  return size <= room ? (room - size) / 2 : clamp(room / 2 - center * size, room - size, 0);
}

function spanned(a, b) {
  return [Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.abs(a[0] - b[0]), Math.abs(a[1] - b[1])];
}

function clamp(value, least, most) {
  return Math.min(Math.max(value, least), most);
}
