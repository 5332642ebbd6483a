// The editor of a job's boxes: frames, classes and keys put together.
import { Canvas } from "./canvas.js";
import { Frame, within } from "./frame.js";
import { listen } from "./keys.js";
import { Pictures } from "./pictures.js";
import { Saver } from "./saver.js";
import * as side from "./side.js";

const $ = (id) => document.getElementById(id);
const data = JSON.parse($("editor-data").textContent);
const frames = data.frames.map((frame, index) => new Frame(index, frame));
const pictures = new Pictures();
const looked = new Set();
const place = new Map(data.labels.map((label, index) => [label, index]));
const tone = (label) => (place.get(label) ?? 0) % 10;
let current = null;
let wanted = 0;
let drawnAs = 0;

const saver = new Saver({
  workspace: data.workspace,
  job: data.job,
  person: data.person,
  token: document.querySelector('meta[name="csrf-token"]')?.content ?? "",
  told: (standing) => side.standing(standing, { person: data.person, settle, show: (frame) => go(frame.index), signIn }),
  changed: (frame) => frame === current && paint(),
  gone: (frame) => side.say(`Frame ${frame.index + 1} was taken out of this job; nothing on it is kept.`),
});
const canvas = new Canvas({
  stage: $("stage"),
  sheet: $("sheet"),
  overlay: $("overlay"),
  look: (box) => ({
    tone: tone(box.label),
    text: box.score === null ? box.label : `${box.label} ${Math.round(box.score * 100)} %`,
    untouched: current.origin(box) === "proposed",
  }),
  on: {
    choose,
    draw(xywh) {
      if (xywh[2] < 1 || xywh[3] < 1) {
        side.say("A box is at least one pixel wide and high.");
        paint();
        return;
      }
      edit(() => current.add(data.labels[drawnAs], xywh));
    },
    edit: (key, xywh) => edit(() => current.put(key, { xywh })),
    zoom: (scale) => ($("zoom").textContent = `${Math.round(scale * 100)} %`),
  },
});

// --- frames ------------------------------------------------------------------------------------------------------

async function go(index) {
  if (index < 0 || index >= frames.length) {
    side.say(index < 0 ? "This is the first frame." : "This is the last frame.");
    return;
  }
  wanted = index;
  const frame = frames[index];
  saver.flush();
  $("stage").classList.add("waiting");
  $("jump").value = String(index);
  $("previous").disabled = index === 0;
  $("next").disabled = index === frames.length - 1;
  try {
    // What was loaded before is shown at once, and looked at again behind it.
    const fresh = saver.load(frame);
    const [picture] = await Promise.all([pictures.get(frame), frame.loaded ? null : fresh]);
    if (wanted !== index) return;
    current = frame;
    looked.add(frame.id);
    $("stage").classList.remove("waiting");
    canvas.show(frame, picture, data.remarks.filter((remark) => remark.frame === frame.id));
    $("name").textContent = `${frame.name}, ${frame.width} × ${frame.height} pixels`;
    $("stage").setAttribute("aria-label", `Frame ${index + 1} of ${frames.length}, ${frame.boxes.length} boxes`);
    $("stage").dataset.frame = frame.id;
    paint();
    fresh.then(() => frame === current && paint(), () => {});
    saver.flush();
    for (const near of [index + 1, index - 1, index + 2].map((at) => frames[at])) {
      if (!near) continue;
      pictures.get(near);
      if (!near.loaded) saver.load(near).catch(() => {});
    }
  } catch (error) {
    if (wanted === index) unreachable(index, error);
  }
}

function unreachable(index, error) {
  if (error.status === 401) {
    location.reload(); // nothing is lost: what was edited is in the browser
    return;
  }
  const text = error.status ? error.message : "the server does not answer";
  side.standing({ kind: "away", text: `frame ${index + 1} cannot be loaded, ${text}` }, {});
  if (error.status !== 404) setTimeout(() => wanted === index && go(index), 3000);
}

// --- boxes -------------------------------------------------------------------------------------------------------

function edit(what) {
  what();
  saver.touch(current);
  paint();
}

function paint() {
  if (!current || !canvas.frame) return;
  canvas.render();
  side.list(current, tone, (key) => choose(key, true));
  const box = current.box;
  side.press(box ? place.get(box.label) : drawnAs);
  $("delete").disabled = !box;
  $("undo").disabled = !current.past.length;
  $("redo").disabled = !current.future.length;
}

function choose(key, show = false) {
  if (!current || current.chosen === key) return;
  current.chosen = key;
  const { box } = current;
  if (box && show) canvas.reveal(box.xywh);
  if (box) {
    const [x, y, w, h] = box.xywh.map(Math.round);
    side.say(`${box.label}, ${side.words(current, box)}, ${w} by ${h} pixels at ${x}, ${y}`);
  }
  paint();
}

function classify(index) {
  const label = data.labels[index];
  if (label === undefined || !current) return;
  drawnAs = index;
  const { box } = current;
  if (box && box.label !== label) edit(() => current.put(box.key, { label }));
  else paint();
  side.say(box ? `The box is ${label}.` : `New boxes are ${label}.`);
}

/** Change the place of the chosen box; whether there is one. */
function moved(change, name) {
  const box = current?.box;
  if (!box) return false;
  const xywh = within(change(box.xywh), current.width, current.height);
  edit(() => current.put(box.key, { xywh }, `${name} ${box.key}`));
  canvas.reveal(xywh);
  return true;
}

function remove() {
  if (current?.box) edit(() => current.remove(current.chosen));
}

function add() {
  if (!current) return;
  const [x, y, w, h] = canvas.view;
  const size = [Math.max(w / 6, 1), Math.max(h / 6, 1)];
  const xywh = within([x + (w - size[0]) / 2, y + (h - size[1]) / 2, ...size], current.width, current.height);
  edit(() => current.add(data.labels[drawnAs], xywh.map(Math.round)));
  $("stage").focus();
  side.say(`A new ${data.labels[drawnAs]}. Arrows move it, Alt and arrows change its size.`);
}

function step(back) {
  if (!current) return;
  edit(() => (back ? current.undo() : current.redo()) || side.say(back ? "Nothing to undo." : "Nothing to redo."));
}

/** The next box; false past the last one. */
function cycle(by) {
  if (!current) return false;
  const at = current.boxes.findIndex((box) => box.key === current.chosen);
  const next = at < 0 && by < 0 ? current.boxes.length - 1 : at + by;
  const box = current.boxes[next];
  choose(box?.key ?? null, true);
  return Boolean(box);
}

// --- saving and handing in ---------------------------------------------------------------------------------------

function settle(frame, mine) {
  saver.settle(frame, mine);
  if (frame === current) paint();
}

function signIn() {
  window.open(`/signin?next=${encodeURIComponent("/jobs")}`, "_blank", "noopener");
}

function ask() {
  const unseen = frames.length - looked.size;
  const seen = unseen ? `${unseen} of its ${frames.length} frames were not looked at since this page was opened. ` : "";
  $("hand-in-text").textContent = `${seen}It goes to a reviewer with what is drawn now.`;
  $("hand-in").returnValue = "";
  $("hand-in").showModal();
}

async function submit() {
  const button = $("submit");
  button.disabled = true;
  try {
    location.assign((await saver.submit()).next);
  } catch (error) {
    button.disabled = false;
    if (error.frame) {
      // What can be done about it stays in sight.
      saver.again();
      side.say(`Not handed in: ${error.message}.`);
      go(error.frame.index);
      return;
    }
    const place = $("trouble");
    place.hidden = false;
    $("trouble-text").textContent = `Not handed in: ${error.message}.`;
    $("trouble-actions").replaceChildren();
  }
}

// --- the page ----------------------------------------------------------------------------------------------------

listen(
  {
    go: (by) => go(wanted + by),
    move: (dx, dy) => moved(([x, y, w, h]) => [x + dx, y + dy, w, h], "move"),
    resize: (dx, dy) => moved(([x, y, w, h]) => [x, y, Math.min(Math.max(w + dx, 1), current.width - x), Math.min(Math.max(h + dy, 1), current.height - y)], "resize"),
    undo: () => step(true),
    redo: () => step(false),
    save: () => saver.flush(),
    submit: ask,
    classify,
    cycle,
    pan(on) {
      canvas.panning = on;
      $("stage").classList.toggle("panning", on);
    },
    hide: (on) => $("sheet").classList.toggle("bare", on),
    keys: {
      d: () => go(wanted - 1),
      f: () => go(wanted + 1),
      pageup: () => go(wanted - 1),
      pagedown: () => go(wanted + 1),
      n: add,
      c: () => ($("class-filter") ?? document.querySelector("[data-class]"))?.focus(),
      h: () => $("sheet").classList.add("bare"),
      delete: remove,
      backspace: remove,
      escape: () => choose(null),
      "+": () => canvas.zoomBy(1),
      "=": () => canvas.zoomBy(1),
      "-": () => canvas.zoomBy(-1),
      "0": () => canvas.fit(),
      "?": () => $("help").showModal(),
    },
  },
  $("stage"),
);
const clicks = {
  previous: () => go(wanted - 1),
  next: () => go(wanted + 1),
  undo: () => step(true),
  redo: () => step(false),
  new: add,
  delete: remove,
  "zoom-out": () => canvas.zoomBy(-1),
  "zoom-in": () => canvas.zoomBy(1),
  fit: () => canvas.fit(),
  "help-open": () => $("help").showModal(),
  submit: ask,
};
for (const [id, what] of Object.entries(clicks)) $(id).addEventListener("click", what);
$("jump").addEventListener("change", (event) => go(Number(event.target.value)));
$("hand-in").addEventListener("close", (event) => event.target.returnValue === "yes" && submit());
$("classes").addEventListener("click", (event) => {
  const button = event.target.closest("[data-class]");
  if (button) classify(Number(button.dataset.class));
});
$("class-filter")?.addEventListener("input", (event) => {
  const part = event.target.value.toLowerCase();
  for (const button of document.querySelectorAll("[data-class]")) {
    button.parentElement.hidden = !button.textContent.toLowerCase().includes(part);
  }
});
$("class-filter")?.addEventListener("keydown", (event) => {
  const first = [...document.querySelectorAll("[data-class]")].find((button) => !button.parentElement.hidden);
  if (event.key === "Enter" && first) classify(Number(first.dataset.class));
  if (event.key === "Enter" || event.key === "Escape") $("stage").focus();
});
$("remarks")?.addEventListener("click", (event) => {
  const remark = data.remarks[event.target.closest("[data-remark]")?.dataset.remark];
  const frame = remark && frames.find((one) => one.id === remark.frame);
  if (frame) go(frame.index).then(() => remark.xywh && canvas.reveal(remark.xywh));
});

const first = data.remarks.map((remark) => frames.findIndex((frame) => frame.id === remark.frame)).find((at) => at >= 0);
go(first ?? 0).then(() => $("stage").focus());
if (data.state !== "in progress") saver.start();
for (const frame of frames) {
  if (saver.kept(frame)) saver.load(frame).catch(() => {});
}
