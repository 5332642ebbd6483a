// The picture with its boxes: zoom, the drawing of new ones, and Annotorious, which finds, moves and resizes them.
import { cut, within } from "./frame.js";

const SVG = "http://www.w3.org/2000/svg";
const DRAG_PX = 3; // of the screen; less is a click
const LEAST_SCALE = 0.02;
const MOST_SCALE = 32;
const STEP = 1.25;
const TEXT_PX = 13;
const LETTER = 0.6; // of the size of the text, at most
const GRIP_PX = 8;

export class Canvas {
  /** @param on {choose(key), draw(xywh), edit(key, xywh)}: what a pointer did. */
  constructor({ stage, sheet, overlay, on, look }) {
    Object.assign(this, { stage, sheet, overlay, on, look });
    this.frame = null;
    this.annotator = null;
    this.scale = 1;
    this.fitted = true;
    this.edited = null;
    this.syncing = false;
    this.remarks = [];
    this.pointers = new Map();
    new ResizeObserver(() => this.fitted && this.frame && this.fit()).observe(stage);
    stage.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    stage.addEventListener("pointerdown", (event) => this.#down(event), true);
    addEventListener("pointermove", (event) => this.#move(event));
    addEventListener("pointerup", (event) => this.#up(event), true);
    addEventListener("pointerup", () => this.#release()); // once Annotorious has let go
    addEventListener("pointercancel", (event) => this.#cancel(event), true);
  }

  /** Show a frame on its picture, an <img> that is loaded. */
  show(frame, picture, remarks) {
    const same = this.frame && this.frame.width === frame.width && this.frame.height === frame.height;
    this.annotator?.destroy();
    this.#stop();
    this.frame = frame;
    this.remarks = remarks;
    this.sheet.replaceChildren(picture, this.overlay);
    this.overlay.setAttribute("viewBox", `0 0 ${frame.width} ${frame.height}`);
    this.annotator = window.Annotorious.createImageAnnotator(picture, { drawingEnabled: false });
    this.layer = this.annotator.element.querySelector(".a9s-annotationlayer");
    // The picture may be a reduced copy: everything is in pixels of the frame.
    this.layer.setAttribute("viewBox", `0 0 ${frame.width} ${frame.height}`);
    // Whoever does not see it has the list of boxes.
    this.layer.setAttribute("aria-hidden", "true");
    this.layer.removeAttribute("role");
    this.layer.tabIndex = -1;
    // Its own events come a moment later, when they may no longer be true; its state tells at once.
    const { selection, store } = this.annotator.state;
    selection.subscribe(({ selected }) => !this.syncing && !this.edited && this.on.choose(selected[0]?.id ?? null));
    store.observe(({ changes }) => !this.syncing && this.#dragged(changes.updated ?? []));
    if (this.fitted || !same) this.fit();
    else this.zoomTo(this.scale);
    this.render();
  }

  // --- boxes ---------------------------------------------------------------------------------------------------

  /** Draw the frame as it is now. */
  render() {
    const { frame } = this;
    const { selection } = this.annotator.state;
    this.syncing = true;
    this.#sync();
    if (!frame.chosen) selection.clear();
    else if (selection.selected[0]?.id !== frame.chosen) selection.setSelected(frame.chosen, true);
    this.syncing = false;
    for (const handle of this.layer.querySelectorAll("[tabindex]")) handle.setAttribute("tabindex", "-1");
    this.#paint();
  }

  /** Bring what Annotorious has to what the frame has, one by one: of several changed at once it would edit all. */
  #sync() {
    const { store } = this.annotator.state;
    const there = new Map(store.all().map((one) => [one.id, one]));
    for (const box of this.frame.boxes) {
      const known = there.get(box.key);
      there.delete(box.key);
      if (!known) store.addAnnotation(annotation(box), "REMOTE");
      else if (!same(known, box)) store.updateAnnotation(annotation(box), "REMOTE");
    }
    for (const key of there.keys()) store.deleteAnnotation(key, "REMOTE");
  }

  #paint() {
    const { frame } = this;
    this.labels = [];
    const drawn = frame.boxes.map((box) => {
      const { tone, text, untouched } = this.look(box);
      const chosen = box.key === frame.chosen;
      const of = this.edited?.key === box.key ? this.edited.xywh : box.xywh;
      const group = element("g", { class: `an-box c${tone}${untouched ? " untouched" : ""}${chosen ? " chosen" : ""}` });
      group.append(rect(of, "under"), rect(of, "over"), this.#label(of, text));
      if (chosen) group.append(...this.#grips(of));
      return group;
    });
    const pointed = this.remarks.filter((remark) => remark.xywh).map((remark) => {
      const group = element("g", { class: "an-remark" });
      group.append(rect(remark.xywh, ""), this.#label(remark.xywh, remark.message.slice(0, 60)));
      return group;
    });
    const mine = new Set(frame.boxes.map((box) => String(box.xywh)));
    const theirs = (frame.theirs?.boxes ?? []).filter((box) => !mine.has(String(box.xywh))).map((box) => {
      const group = element("g", { class: "an-theirs" });
      group.append(rect(box.xywh, ""), this.#label(box.xywh, `theirs: ${box.label}`));
      return group;
    });
    this.overlay.replaceChildren(...drawn, ...theirs, ...pointed);
    if (this.drawing?.xywh) this.overlay.append(rect(this.drawing.xywh, "an-new"));
  }

  /** The words above a box; inside it, or below it, where others are there already. */
  #label([x, y, , h], text) {
    const size = TEXT_PX / this.scale;
    const wide = text.length * size * LETTER;
    const lines = [y - size * 0.35, y + size * 1.1, y + h + size * 1.1, y + size * 2.3];
    const free = (line) => line > size && !this.labels.some((one) => one.line > line - size && one.line < line + size && one.x < x + wide && x < one.x + one.wide);
    const line = lines.find(free) ?? lines[1];
    this.labels.push({ x, line, wide });
    const label = element("text", { x, y: line, "font-size": size });
    label.textContent = text;
    return label;
  }

  #grips([x, y, w, h]) {
    const side = GRIP_PX / this.scale;
    const corners = [[x, y], [x + w, y], [x, y + h], [x + w, y + h]];
    return corners.map(([left, top]) => rect([left - side / 2, top - side / 2, side, side], "grip"));
  }

  #dragged(updates) {
    for (const { newValue } of updates) {
      const { x, y, w, h } = newValue.target.selector.geometry;
      this.edited = { key: newValue.id, xywh: [x, y, w, h] };
    }
    this.#paint();
  }

  // --- pointers ------------------------------------------------------------------------------------------------

  /** A point of the window in pixels of the frame. */
  #at({ clientX, clientY }) {
    const { left, top, width, height } = this.sheet.getBoundingClientRect();
    return [((clientX - left) / width) * this.frame.width, ((clientY - top) / height) * this.frame.height];
  }

  #down(event) {
    if (!this.frame || !event.isPrimary) {
      if (event.pointerType === "touch" && this.pointers.size === 1) this.#pinch(event);
      return;
    }
    this.pointers.clear();
    if (event.pointerType === "touch") this.pointers.set(event.pointerId, event);
    if (event.offsetX > this.stage.clientWidth && event.target === this.stage) return; // a scroll bar
    if (event.button === 1 || (event.button === 0 && this.panning)) {
      event.preventDefault();
      event.stopPropagation();
      this.pan = { x: event.clientX, y: event.clientY, left: this.stage.scrollLeft, top: this.stage.scrollTop };
    } else if (event.button === 0 && !event.target.closest(".a9s-annotation.selected")) {
      this.drawing = { from: this.#at(event), x: event.clientX, y: event.clientY, xywh: null };
    }
  }

  #pinch(event) {
    event.stopPropagation();
    this.drawing = null;
    this.pointers.set(event.pointerId, event);
    const [a, b] = this.pointers.values();
    this.fingers = { apart: apart(a, b), scale: this.scale, at: this.#at(middle(a, b)) };
    this.#paint();
  }

  #move(event) {
    if (this.pointers.has(event.pointerId)) this.pointers.set(event.pointerId, event);
    if (this.fingers && this.pointers.size === 2) {
      const [a, b] = this.pointers.values();
      this.zoomTo((this.fingers.scale * apart(a, b)) / this.fingers.apart, middle(a, b), this.fingers.at);
    } else if (this.pan) {
      this.stage.scrollLeft = this.pan.left - (event.clientX - this.pan.x);
      this.stage.scrollTop = this.pan.top - (event.clientY - this.pan.y);
    } else if (this.drawing) {
      const { from, x, y } = this.drawing;
      const far = Math.max(Math.abs(event.clientX - x), Math.abs(event.clientY - y));
      if (!this.drawing.xywh && far < DRAG_PX) return;
      const to = this.#at(event);
      const box = [Math.min(from[0], to[0]), Math.min(from[1], to[1]), Math.abs(to[0] - from[0]), Math.abs(to[1] - from[1])];
      this.drawing.xywh = cut(box, this.frame.width, this.frame.height);
      this.#paint();
    }
  }

  #up(event) {
    this.pointers.delete(event.pointerId);
    if (this.fingers || this.pan) {
      if (this.pointers.size === 0) this.fingers = null;
      this.pan = null;
      event.stopPropagation();
    } else if (this.drawing?.xywh) {
      event.stopPropagation(); // else it would choose what is drawn over
      const { xywh } = this.drawing;
      this.drawing = null;
      this.#paint();
      this.on.draw(xywh);
    } else {
      this.drawing = null;
    }
  }

  #release() {
    const done = this.edited;
    this.edited = null;
    const was = done && this.frame.boxes.find((box) => box.key === done.key);
    if (!was) return;
    const { width, height } = this.frame;
    const moved = [2, 3].every((at) => Math.abs(done.xywh[at] - was.xywh[at]) < 0.01);
    // Moved over the edge it stays as large as it is; drawn larger over the edge it ends there.
    this.on.edit(done.key, within(moved ? done.xywh : cut(done.xywh, width, height), width, height));
  }

  #cancel(event) {
    this.pointers.delete(event.pointerId);
    this.#stop();
    if (this.frame) this.render();
  }

  #stop() {
    this.drawing = this.pan = this.fingers = this.edited = null;
  }

  // --- zoom ----------------------------------------------------------------------------------------------------

  #wheel(event) {
    if (event.shiftKey || !this.frame) return;
    event.preventDefault();
    this.zoomTo(this.scale * Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), event);
  }

  zoomBy(steps) {
    this.zoomTo(this.scale * STEP ** steps);
  }

  fit() {
    const { clientWidth, clientHeight } = this.stage;
    this.zoomTo(Math.min(clientWidth / this.frame.width, clientHeight / this.frame.height));
    this.fitted = true;
  }

  /** So many pixels of the screen a pixel of the frame, with a point of the frame kept where it is in the window. */
  zoomTo(scale, around = null, at = null) {
    const { stage, sheet, frame } = this;
    const box = stage.getBoundingClientRect();
    const where = around ?? { clientX: box.left + stage.clientWidth / 2, clientY: box.top + stage.clientHeight / 2 };
    const point = at ?? this.#at(where);
    this.scale = Math.min(Math.max(scale, LEAST_SCALE), MOST_SCALE);
    this.fitted = false;
    sheet.style.width = `${frame.width * this.scale}px`;
    sheet.style.height = `${frame.height * this.scale}px`;
    sheet.classList.toggle("near", this.scale >= 4);
    const now = sheet.getBoundingClientRect();
    stage.scrollLeft += now.left + point[0] * this.scale - where.clientX;
    stage.scrollTop += now.top + point[1] * this.scale - where.clientY;
    this.on.zoom(this.scale);
    if (this.annotator) this.#paint();
  }

  /** The part of the frame that is in the window. */
  get view() {
    const box = this.stage.getBoundingClientRect();
    const [left, top] = this.#at({ clientX: box.left, clientY: box.top });
    const [right, bottom] = this.#at({ clientX: box.left + this.stage.clientWidth, clientY: box.top + this.stage.clientHeight });
    const { width, height } = this.frame;
    return cut([left, top, right - left, bottom - top], width, height);
  }

  /** Scroll so far that a box is in the window. */
  reveal([x, y, w, h]) {
    const [left, top, wide, high] = this.view;
    if (x < left || x + w > left + wide) this.stage.scrollLeft += (x + w / 2 - left - wide / 2) * this.scale;
    if (y < top || y + h > top + high) this.stage.scrollTop += (y + h / 2 - top - high / 2) * this.scale;
  }
}

function annotation({ key, xywh: [x, y, w, h] }) {
  const bounds = { minX: x, minY: y, maxX: x + w, maxY: y + h };
  const selector = { type: "RECTANGLE", geometry: { x, y, w, h, rot: 0, bounds } };
  return { id: key, bodies: [], target: { annotation: key, selector } };
}

function same({ target }, { xywh }) {
  const { x, y, w, h } = target.selector.geometry;
  return [x, y, w, h].every((value, at) => value === xywh[at]);
}

function element(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function rect([x, y, width, height], name) {
  return element("rect", { x, y, width, height, class: name });
}

function apart(a, b) {
  return Math.max(1, Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY));
}

function middle(a, b) {
  return { clientX: (a.clientX + b.clientX) / 2, clientY: (a.clientY + b.clientY) / 2 };
}
