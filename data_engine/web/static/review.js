// The review of one job: keys, and what they do.
import { ask } from "./review/ask.js";
import { Decider, signIn } from "./review/decide.js";
import { own, plural, put, standing, takeOver, tally } from "./review/frames.js";
import { Outbox } from "./review/outbox.js";
import { Pictures } from "./review/pictures.js";
import { RemarkForm } from "./review/remark.js";
import { element, fill } from "./review/side.js";
import { Stage } from "./review/stage.js";

const LOOK_AGAIN_MS = 10000;
const MOST_SECONDS = 600;

const byId = (id) => document.getElementById(id);
const data = JSON.parse(byId("job-data").textContent);
const { frames } = data;
const pictures = new Pictures();
const stage = new Stage(byId("stage"), pictures, (box) => remarking.placed(box));
const outbox = new Outbox(
  `/review/${data.job}/marks`,
  `dataengine-review:${data.workspace}:${data.job}:${data.person}`,
  arrived,
  tellOutbox,
);
const decider = new Decider(data, outbox, { notice, remove });
const remarking = new RemarkForm(byId("remark"), stage, keepRemark);
let at = -1;
let single = false;
let ended = false; // the last frame was marked: `a` once more decides
let since = 0;

// --- one frame at a time ----------------------------------------------------------------------------------------------

function show(number) {
  if (!frames[number]) return;
  leave();
  const before = at;
  at = number;
  ended = false;
  if (single) {
    stage.show(frames[at]);
    since = performance.now();
    afterwards(() => {
      fillSide();
      pictures.around(frames, at);
    });
  }
  cell(before)?.classList.remove("current");
  cell(at).classList.add("current");
  remember();
}

/** What was only looked at is said so; how long is kept with any mark. */
function leave() {
  if (!single || at < 0 || !since) return;
  const frame = frames[at];
  if (!own(frame, data.person)) give(frame, "seen");
  since = 0;
}

function give(frame, mark) {
  const seconds = since ? Math.min((performance.now() - since) / 1000, MOST_SECONDS) : 0;
  put(frame, data.person, mark);
  outbox.add({ frame: frame.id, mark, content: frame.content, seconds: Math.round(seconds * 1000) / 1000 });
  paint(frame);
}

function view(one) {
  if (single && !one) leave();
  single = one;
  byId("single").hidden = !one;
  byId("grid").hidden = one;
  byId("do-grid").setAttribute("aria-pressed", String(!one));
  if (one) {
    show(Math.max(at, 0));
    stage.element.focus({ preventScroll: true });
  } else {
    remarking.close();
    at = Math.max(at, 0);
    focusCell();
  }
}

// --- what the keys do -------------------------------------------------------------------------------------------------

function clean() {
  if (decider.decided || remarking.open) return;
  if (ended) return finish();
  const frame = frames[at];
  if (!frame) return;
  if (frame.remarks.length) {
    notice("error", "This frame is remarked: take the remark back first.");
    return;
  }
  clearNotice();
  give(frame, "clean");
  since = 0;
  if (at + 1 < frames.length) return step(1);
  end();
}

function step(by) {
  if (remarking.open) return;
  const to = Math.min(Math.max(at + by, 0), frames.length - 1);
  if (to === at) return by > 0 && single ? end() : undefined;
  show(to);
  if (!single) focusCell();
}

/** After the last frame: say what comes now. */
function end() {
  ended = true;
  const { left, remarked } = tally(frames);
  if (left) notice("note", `${plural(left, "frame")} left that nobody marked: `, key("a"), " goes to the first of them.");
  else if (remarked) notice("note", `${plural(remarked, "frame")} remarked: `, key("Shift R"), " sends the job back.");
  else if (decider.mayAccept) notice("done", `All ${plural(frames.length, "frame")} are clean: `, key("a"), " once more accepts the job.");
  else notice("note", "That was the last frame.");
}

function finish() {
  const { left, remarked } = tally(frames);
  if (left) {
    clearNotice();
    show(frames.findIndex((frame) => !["clean", "remarked"].includes(standing(frame))));
    if (!single) focusCell();
  } else if (remarked) decider.open();
  else if (decider.mayAccept) decider.accept();
}

function remark() {
  if (decider.decided || !frames[at]) return;
  if (!data.waits && !decider.mayReject) return notice("note", "There is nothing to decide on this job.");
  if (!single) view(true);
  remarking.show(frames[at]);
}

async function keepRemark({ frame, message, box }, andReject) {
  const form = { frame: frame.id, message, box: box ? box.join(",") : "" };
  const answer = await ask(`/review/${data.job}/remarks`, { form });
  if (!answer.ok) {
    decider.refused(answer);
    return false;
  }
  arrived(answer.data);
  give(frame, "remarked");
  clearNotice();
  if (andReject) await decider.reject("");
  else setTimeout(() => (at + 1 < frames.length ? step(1) : end())); // once the form is closed
  return true;
}

async function remove(gone) {
  const answer = await ask(`/review/${data.job}/remarks/${gone.id}/remove`, { form: {} });
  if (!answer.ok) return decider.refused(answer);
  arrived(answer.data);
  const frame = frames.find((each) => each.id === gone.frame);
  if (frame && !frame.remarks.length && own(frame, data.person)?.mark === "remarked") give(frame, "seen");
  if (decider.dialog.open) decider.open();
}

function takeBack() {
  const frame = frames[at];
  if (!frame || decider.decided || !["clean", "remarked"].includes(own(frame, data.person)?.mark)) return;
  give(frame, "seen");
  ended = false;
  clearNotice();
}

function turn() {
  const next = { both: "before", before: "after", after: "both" }[stage.shown];
  stage.shown = next;
  byId("before-name").textContent = next[0].toUpperCase() + next.slice(1);
  byId("grid").dataset.shown = next;
  if (single) stage.draw();
}

const KEYS = {
  a: clean,
  r: remark,
  R: () => decider.open(),
  g: () => view(!single),
  b: turn,
  u: takeBack,
  l: () => ((stage.names = !stage.names), single && stage.draw()),
  n: () => decider.next && location.assign(decider.next),
  "?": () => byId("help").showModal(),
  "+": () => stage.near(1.5),
  "=": () => stage.near(1.5),
  "-": () => stage.near(1 / 1.5),
  0: () => stage.near(0),
  ArrowRight: () => step(1),
  ArrowLeft: () => step(-1),
  ArrowDown: () => !single && step(columns()),
  ArrowUp: () => !single && step(-columns()),
  Home: () => show(0),
  End: () => show(frames.length - 1),
};

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && remarking.open) return remarking.close();
  const typing = event.target.closest?.("input, textarea, select, dialog[open]");
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const act = KEYS[event.key];
  if (!act || (event.repeat && !event.key.startsWith("Arrow"))) return;
  if ((event.key === "ArrowDown" || event.key === "ArrowUp") && single) return;
  event.preventDefault();
  act();
});

for (const [id, act] of [
  ["go-back", () => step(-1)],
  ["go-on", () => step(1)],
  ["do-clean", clean],
  ["do-remark", remark],
  ["do-grid", () => view(!single)],
  ["do-before", turn],
  ["do-help", () => byId("help").showModal()],
]) byId(id).addEventListener("click", act);

byId("grid").addEventListener("click", (event) => {
  const found = event.target.closest(".review-cell");
  if (!found || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  at = frames.findIndex((frame) => `cell-${frame.id}` === found.id);
  view(true);
});
byId("grid").addEventListener("focusin", (event) => {
  const number = frames.findIndex((frame) => `cell-${frame.id}` === event.target.id);
  if (number < 0 || number === at || single) return;
  cell(at)?.classList.remove("current");
  at = number;
  cell(at).classList.add("current");
});

// --- what is on the page ----------------------------------------------------------------------------------------------

function cell(number) {
  return frames[number] ? byId(`cell-${frames[number].id}`) : null;
}

function focusCell() {
  cell(at)?.classList.add("current");
  cell(at)?.focus();
}

function columns() {
  return getComputedStyle(byId("grid")).gridTemplateColumns.split(" ").length;
}

function paint(frame) {
  const now = standing(frame);
  const found = byId(`cell-${frame.id}`);
  if (found.dataset.standing !== now) {
    found.dataset.standing = now;
    found.querySelector(".review-standing").textContent = now;
  }
  afterwards(progress);
  if (single && frame === frames[at]) afterwards(fillSide);
}

function progress() {
  const { clean: good, remarked } = tally(frames);
  byId("progress").value = good + remarked;
  const wrong = remarked ? `, ${remarked} remarked` : "";
  byId("progress-text").textContent = `${good + remarked} of ${plural(frames.length, "frame")} marked${wrong}`;
}

function fillSide() {
  const place = `${at + 1} of ${frames.length}`;
  if (single && frames[at]) fill(frames[at], { place, chosen: (index) => stage.choose(index), remove });
}

function notice(kind, ...content) {
  const line = element("p", `flash flash-${kind}`);
  line.append(...content);
  byId("notice").replaceChildren(line);
}

function clearNotice() {
  if (byId("notice").firstElementChild) byId("notice").replaceChildren();
}

function key(text) {
  return element("kbd", "", text);
}

const waiting = new Set();

/** Work that the next frame's picture need not wait for: after it is on screen. */
function afterwards(work) {
  if (waiting.has(work)) return;
  if (work === fillSide || work === progress) waiting.add(work);
  requestAnimationFrame(() =>
    setTimeout(() => {
      waiting.delete(work);
      work();
    }),
  );
}

const REMEMBER_MS = 300; // browsers refuse to be told much oftener
let remembering = 0;
let remembered = -REMEMBER_MS;
function remember() {
  clearTimeout(remembering);
  const put = () => {
    remembered = performance.now();
    history.replaceState(null, "", `?frame=${frames[at].id}`);
  };
  // At once where it can be: the page may be loaded again the next moment.
  const wait = remembered + REMEMBER_MS - performance.now();
  if (wait <= 0) put();
  else remembering = setTimeout(put, wait);
}

// --- the others -------------------------------------------------------------------------------------------------------

function tellOutbox({ unsent, why }) {
  const line = byId("outbox");
  if (!unsent || (!why && unsent < 20)) {
    line.textContent = unsent ? "" : why && !["silent", "signed-out", "refused"].includes(why) ? why : "";
    return;
  }
  const count = `${plural(unsent, "mark")} not sent`;
  if (why === "signed-out") line.replaceChildren(`${count}: you are signed out, `, signIn(), " in another tab");
  else line.textContent = `${count}${why === "silent" ? ": the server does not answer" : ""}; kept in this browser`;
}

function arrived(told) {
  const before = JSON.stringify(frames[at]?.remarks);
  takeOver(frames, told, data.person, outbox.unsent());
  frames.forEach(paint);
  if (single && !stage.pointing && JSON.stringify(frames[at]?.remarks) !== before) stage.draw();
  const known = [data.recorded, data.expected].includes(told.updated_at);
  if (!decider.decided && data.recorded && !known) moved(told);
}

function moved(told) {
  const again = element("a", "", "Load it again");
  again.href = `/review/${data.job}`;
  const decided = told.last && told.last.action !== "submitted";
  const by = decided ? `${told.last.action} by ${told.last.by ?? "somebody"}` : "changed";
  notice("error", `The job was ${by} meanwhile: what you see is not what it is any more. `, again);
}

async function lookAgain() {
  if (document.visibilityState === "visible" && !decider.decided && !outbox.unsent().length) {
    const answer = await ask(`/review/${data.job}/state`);
    if (answer.ok && !outbox.unsent().length) arrived(answer.data);
    if (answer.status === 404) return notice("error", "This job is gone: nothing can be decided on it any more.");
  }
  setTimeout(lookAgain, LOOK_AGAIN_MS);
}

document.addEventListener("visibilitychange", () => {
  // Time in another tab is no look at this frame.
  if (document.visibilityState === "visible" && since) since = performance.now();
});
addEventListener("pagehide", () => {
  leave();
  outbox.hurry();
});

takeOver(frames, { marks: frames.flatMap((f) => f.marks.map((m) => ({ ...m, frame: f.id, content: m.valid ? f.content : "" }))), remarks: frames.flatMap((f) => f.remarks) }, data.person, outbox.unsent());
frames.forEach(paint);
const asked = frames.findIndex((frame) => frame.id === data.start);
const first = frames.findIndex((frame) => !standing(frame));
at = asked >= 0 ? asked : Math.max(first, 0);
if (frames.length) view(asked >= 0 || (data.waits && first >= 0));
progress();
setTimeout(lookAgain, LOOK_AGAIN_MS);
