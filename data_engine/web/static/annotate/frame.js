// One frame's boxes, what was done to them, and which of them the server has.  No page, no network.

let keys = 0;

/** A box with a key of its own, which stays through every change of it. */
export function keyed(box) {
  keys += 1;
  return { ...box, key: `b${keys}` };
}

/** Boxes as they are sent. */
export function sent(boxes) {
  return boxes.map(({ key, ...box }) => box);
}

/** A number as it is kept of what a person drew: a hundredth of a pixel is finer than any hand. */
export function rounded(value) {
  return Math.round(value * 100) / 100;
}

/** The box inside a picture, at least a pixel a side: moved into it, then cut to it. */
export function within([x, y, w, h], width, height) {
  const wide = Math.min(Math.max(w, 1), width);
  const high = Math.min(Math.max(h, 1), height);
  const left = Math.min(Math.max(x, 0), width - wide);
  const top = Math.min(Math.max(y, 0), height - high);
  return [left, top, wide, high].map(rounded);
}

/** The part of a box that lies in a picture; what sticks out is cut off, not pushed in. */
export function cut([x, y, w, h], width, height) {
  const left = Math.min(Math.max(x, 0), width);
  const top = Math.min(Math.max(y, 0), height);
  return [left, top, Math.min(x + w, width) - left, Math.min(y + h, height) - top].map(rounded);
}

const NEAR_PX = 0.05; // as the audit counts: a box whose numbers differ by no more was not moved
const STEPS = 200;
const SAME_STEP_MS = 1000;

export class Frame {
  constructor(index, { id, name, width, height }) {
    Object.assign(this, { index, id, name, width, height });
    this.boxes = [];
    this.chosen = null;
    this.loaded = false;
    this.revision = "";
    this.theirs = null; // what somebody else saved meanwhile, while it is not decided which counts
    this.unheard = []; // what was sent, as text, and nobody knows whether it came
    this.refused = null; // why the server does not take it as it is
    this.gone = null; // why it is no frame of the job any more
    this.proposed = new Map();
    this.kept = "[]"; // what the server has, as text
    this.past = [];
    this.future = [];
    this.step = { name: "", at: 0 };
  }

  /** What the server has; edits on it are gone. */
  load(answer) {
    this.boxes = answer.boxes.map(keyed);
    this.revision = answer.revision;
    this.kept = JSON.stringify(sent(this.boxes));
    if (answer.proposed) this.proposed = new Map(answer.proposed.map((box) => [box.proposal, box]));
    this.chosen = null;
    this.loaded = true;
    this.theirs = this.refused = null;
    this.past = [];
    this.future = [];
  }

  get text() {
    return JSON.stringify(sent(this.boxes));
  }

  get dirty() {
    return this.loaded && this.text !== this.kept;
  }

  get box() {
    return this.boxes.find((box) => box.key === this.chosen) ?? null;
  }

  /** Change the boxes; changes of one name that follow each other quickly are one step back. */
  change(boxes, name = "", now = Date.now()) {
    const same = name && name === this.step.name && now - this.step.at < SAME_STEP_MS && this.past.length;
    if (!same) {
      this.past.push({ boxes: this.boxes, chosen: this.chosen });
      if (this.past.length > STEPS) this.past.shift();
    }
    this.future = [];
    this.step = { name, at: now };
    this.boxes = boxes;
    this.refused = null;
  }

  put(key, changes, name) {
    this.change(this.boxes.map((box) => (box.key === key ? { ...box, ...changes } : box)), name);
  }

  add(label, xywh) {
    const box = keyed({ label, xywh, score: null, proposal: null, crowd: false, attributes: {} });
    this.change([...this.boxes, box]);
    this.chosen = box.key;
  }

  remove(key) {
    const at = this.boxes.findIndex((box) => box.key === key);
    this.change(this.boxes.filter((box) => box.key !== key));
    this.chosen = this.boxes[Math.min(at, this.boxes.length - 1)]?.key ?? null;
  }

  undo() {
    return this.#step(this.past, this.future);
  }

  redo() {
    return this.#step(this.future, this.past);
  }

  #step(from, to) {
    const state = from.pop();
    if (!state) return false;
    to.push({ boxes: this.boxes, chosen: this.chosen });
    ({ boxes: this.boxes, chosen: this.chosen } = state);
    if (!this.box) this.chosen = null;
    this.step = { name: "", at: 0 };
    this.refused = null;
    return true;
  }

  /** Where a box comes from: "proposed" as it was, "corrected", or "drawn". */
  origin(box) {
    if (!box.proposal) return "drawn";
    const was = this.proposed.get(box.proposal);
    if (!was) return "proposed";
    const moved = was.xywh.some((value, at) => Math.abs(value - box.xywh[at]) > NEAR_PX);
    return moved || was.label !== box.label ? "corrected" : "proposed";
  }
}
