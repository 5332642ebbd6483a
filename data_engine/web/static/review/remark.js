// The form that says what is wrong on a frame, with a place to point at.
import { fate } from "./frames.js";

const FIELDS = ["x", "y", "w", "h"];

export class RemarkForm {
  /**
   * @param {HTMLFormElement} form
   * @param {Stage} stage
   * @param {(remark: {frame, message, box}, andReject: boolean) => Promise<boolean>} kept whether it was taken.
   */
  constructor(form, stage, kept) {
    Object.assign(this, { form, stage, kept, frame: null });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.send(false);
    });
    form.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.target.tagName === "BUTTON") return;
      if (event.shiftKey && event.target.tagName === "TEXTAREA") return; // another line
      event.preventDefault();
      this.send(event.ctrlKey || event.metaKey);
    });
    document.getElementById("remark-reject").addEventListener("click", () => this.send(true));
    document.getElementById("remark-cancel").addEventListener("click", () => this.close());
    form.elements.about.addEventListener("change", () => this.about());
    for (const name of FIELDS) form.elements[name].addEventListener("input", () => this.typed());
  }

  get open() {
    return !this.form.hidden;
  }

  show(frame) {
    this.frame = frame;
    this.form.reset();
    const all = [...frame.boxes, ...frame.removed.map((box) => ({ ...box, what: "removed" }))];
    this.boxes = all.map((each) => each.box);
    const options = all.map((box, index) => new Option(`${index + 1}: ${box.label}, ${fate(box)}`, String(index)));
    const about = this.form.elements.about;
    about.replaceChildren(new Option("the whole frame", ""), ...options, new Option("a place of its own", "own"));
    this.form.hidden = false;
    this.stage.point(true);
    this.form.elements.message.focus();
    this.form.scrollIntoView({ block: "nearest" });
  }

  close() {
    if (!this.open) return;
    this.form.hidden = true;
    this.stage.point(false);
    this.stage.element.focus({ preventScroll: true });
  }

  /** The place was drawn or moved on the picture. */
  placed(box) {
    FIELDS.forEach((name, index) => (this.form.elements[name].value = box[index]));
    const same = this.boxes.findIndex((each) => each.every((value, index) => Math.abs(value - box[index]) < 0.01));
    this.form.elements.about.value = same < 0 ? "own" : String(same);
  }

  about() {
    const { value } = this.form.elements.about;
    const { width, height } = this.frame;
    if (value === "") {
      FIELDS.forEach((name) => (this.form.elements[name].value = ""));
      this.stage.setPlace(null);
    } else {
      this.stage.move(value === "own" ? [width * 0.4, height * 0.4, width * 0.2, height * 0.2] : this.boxes[Number(value)]);
      if (value === "own") this.stage.svg.querySelector(".point").focus();
    }
  }

  typed() {
    const box = this.box();
    this.form.elements.about.value = box ? "own" : "";
    this.stage.setPlace(box);
  }

  box() {
    const numbers = FIELDS.map((name) => Number.parseFloat(this.form.elements[name].value));
    return numbers.every(Number.isFinite) && numbers[2] > 0 && numbers[3] > 0 ? numbers : null;
  }

  async send(andReject) {
    if (this.sending || !this.form.reportValidity()) return;
    const message = this.form.elements.message.value.trim();
    if (!message) return;
    this.sending = true;
    const taken = await this.kept({ frame: this.frame, message, box: this.box() }, andReject);
    this.sending = false;
    if (taken) this.close();
  }
}
