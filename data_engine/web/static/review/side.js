// Beside the frame: what is on it, who looked at it, what was remarked.
import { fate } from "./frames.js";

export function fill(frame, { place, chosen, remove }) {
  byId("frame-name").textContent = `${place} · frame ${frame.number}, ${frame.name}`;
  const marks = frame.marks.map((m) => `${m.by}: ${m.mark}${m.valid ? "" : ", before the boxes changed"}`);
  byId("frame-marks").textContent = marks.join("; ") || "nobody looked at it yet";
  const boxes = frame.boxes.map((box, index) => row(box.label, fate(box), box.what, box.score, (none) => chosen(none === -1 ? -1 : index)));
  const gone = frame.removed.map((box) => row(box.label, "removed", "removed", box.score));
  const none = element("li", "", "no box, before or after");
  byId("frame-boxes").replaceChildren(...(boxes.length + gone.length ? [...boxes, ...gone] : [none]));
  byId("frame-remarks").replaceChildren(...said(frame, remove));
}

/** The remarks on a frame as list items: those to be sent with a way to take them back, and earlier ones. */
export function said(frame, remove, place = "") {
  const kept = frame.remarks.map((remark) => {
    const item = element("li");
    item.append(element("span", "", `${place}${remark.message}${remark.box ? " ▢" : ""} (${remark.by})`));
    const button = element("button", "quiet", "Take back");
    button.type = "button";
    button.addEventListener("click", () => remove(remark));
    item.append(button);
    return item;
  });
  const told = place ? [] : frame.issues.map((issue) => element("li", "told", `said before: ${issue.message} (${issue.by ?? "a reviewer"})`));
  return [...kept, ...told];
}

function row(label, words, what, score, enter) {
  const item = element("li", what);
  item.append(element("span", "", label));
  if (score !== null && score !== undefined) item.append(element("small", "", score.toFixed(2)));
  item.append(element("span", "fate", words));
  if (enter) {
    item.addEventListener("pointerenter", enter);
    item.addEventListener("pointerleave", () => enter(-1));
  }
  return item;
}

export function element(tag, name = "", text = "") {
  const made = document.createElement(tag);
  if (name) made.className = name;
  if (text) made.textContent = text;
  return made;
}

function byId(id) {
  return document.getElementById(id);
}
