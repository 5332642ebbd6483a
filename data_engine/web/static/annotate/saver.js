// Saves frames one after another, and keeps every edit in the browser until the server has it.
import { keyed, sent } from "./frame.js";

const WAIT_MS = 500;
const FIRST_RETRY_MS = 1000;
const LONGEST_RETRY_MS = 5000;
const ASK_AGAIN_MS = 3000;

/** Whether the same boxes are meant: what a server adds to them does not count. */
function alike(some, others) {
  const told = (boxes) => JSON.stringify(boxes.map((box) => [box.label, box.xywh, box.proposal ?? null]));
  return told(some) === told(others);
}

export class Saver {
  /** @param told is called with {kind, text} whenever that changes, and with a frame whose state changed. */
  constructor({ workspace, job, person, token, told, changed, gone }) {
    Object.assign(this, { workspace, job, person, token, told, changed, gone });
    this.waiting = new Set(); // frames with edits that the server does not have
    this.busy = null;
    this.retry = 0;
    this.ended = null; // why nothing is saved any more
    this.away = null; // why it is tried again later
    this.timer = 0;
    addEventListener("online", () => this.flush());
    document.addEventListener("visibilitychange", () => this.flush());
  }

  // --- in the browser ------------------------------------------------------------------------------------------

  #place(frame) {
    return `dataengine edit ${this.workspace} ${this.person} ${this.job} ${frame.id}`;
  }

  keep(frame) {
    try {
      localStorage.setItem(this.#place(frame), JSON.stringify({ revision: frame.revision, boxes: sent(frame.boxes) }));
    } catch {
      // Full or forbidden: then it lives as long as the page.
    }
  }

  kept(frame) {
    try {
      return JSON.parse(localStorage.getItem(this.#place(frame)) ?? "null");
    } catch {
      return null;
    }
  }

  forget(frame) {
    try {
      localStorage.removeItem(this.#place(frame));
    } catch {
      // There is nothing to forget, then.
    }
  }

  // --- from the server -----------------------------------------------------------------------------------------

  /** Load a frame, and take up what was not saved of it when the page was left. */
  async load(frame) {
    const before = frame.revision;
    const answer = await this.#ask(`frames/${frame.id}`);
    // An answer may be older than what was edited and saved since it was asked for.
    if (frame.dirty || this.busy === frame || frame.revision !== before) return;
    if (frame.loaded && frame.revision === answer.revision) return;
    frame.load(answer);
    const kept = this.kept(frame);
    if (!kept) return;
    const boxes = kept.boxes.map(keyed);
    if (JSON.stringify(kept.boxes) === frame.kept) {
      this.forget(frame);
      return;
    }
    frame.change(boxes);
    if (kept.revision === answer.revision) {
      this.touch(frame);
    } else {
      // Until it is decided which counts, it waits on what was seen then, also over another reload.
      frame.revision = kept.revision;
      frame.theirs = answer;
      this.waiting.add(frame);
      this.#tell(frame);
    }
  }

  async #ask(path, options = {}) {
    const headers = { Accept: "application/json", "X-CSRF-Token": this.token, ...options.headers };
    const answer = await fetch(`/jobs/${this.job}/${path}`, { credentials: "same-origin", ...options, headers });
    const text = await answer.text();
    let told = {};
    try {
      told = JSON.parse(text);
    } catch {
      told = { message: `the server answers ${answer.status}` };
    }
    if (!answer.ok) throw Object.assign(new Error(told.message), { status: answer.status, told });
    return told;
  }

  /** Say that work begins; it is said again where nobody heard it. */
  async start() {
    try {
      await this.#ask("start", { method: "POST" });
    } catch ({ status, message }) {
      if (status === 403 || status === 404 || status === 409) {
        this.ended = message;
        this.#tell();
      } else {
        setTimeout(() => this.start(), LONGEST_RETRY_MS);
      }
    }
  }

  async submit() {
    await this.settled();
    return this.#ask("submit", { method: "POST" });
  }

  // --- to the server -------------------------------------------------------------------------------------------

  /** The frame was edited. */
  touch(frame) {
    if (frame.gone) return;
    if (frame.dirty) {
      this.keep(frame);
      this.waiting.add(frame);
    } else if (this.busy !== frame) {
      this.forget(frame);
      this.waiting.delete(frame);
    }
    this.#tell(frame);
    if (this.away) return; // it is tried again anyway
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.flush(), WAIT_MS);
  }

  /** Save now what waits. */
  async flush() {
    if (this.busy || this.ended || this.away?.kind === "signed-out") return;
    clearTimeout(this.timer);
    const frame = [...this.waiting].find((one) => !one.theirs && !one.refused);
    if (!frame) {
      this.away = null;
      this.retry = 0;
      this.#tell();
      return;
    }
    this.busy = frame;
    this.#tell(frame);
    const text = frame.text;
    try {
      const answer = await this.#ask(`frames/${frame.id}`, {
        method: "PUT",
        headers: { "Content-Type": "application/json" },
        body: `{"revision":${JSON.stringify(frame.revision)},"boxes":${text}}`,
      });
      frame.revision = answer.revision;
      frame.kept = text;
      frame.unheard = [];
      this.#answered();
      if (frame.dirty) {
        this.keep(frame);
      } else {
        this.waiting.delete(frame);
        if (JSON.stringify(this.kept(frame)?.boxes) === text) this.forget(frame);
      }
    } catch (error) {
      this.#failed(frame, error, text);
    } finally {
      this.busy = null;
    }
    this.#tell(frame);
    if (!this.away && !this.ended) this.flush();
  }

  #failed(frame, { status, told, message }, text) {
    if (status === 409 && told.error === "moved") {
      this.#answered();
      if (frame.unheard.some((one) => alike(JSON.parse(one), told.theirs.boxes))) {
        // Nobody else: it is what this page sent, and only the answer was lost.
        frame.revision = told.theirs.revision;
        frame.kept = JSON.stringify(told.theirs.boxes);
      } else {
        frame.theirs = told.theirs;
      }
    } else if (status === 401 || (status === 403 && told.error === "csrf")) {
      this.away = { kind: "signed-out", text: "You were signed out." };
      this.#later(ASK_AGAIN_MS, () => this.#signedIn());
    } else if (status === 422) {
      this.#answered();
      frame.refused = message;
    } else if (status === 404 && told.error === "frame-gone") {
      // It was taken out of the job: there is nothing left to save on it, and the others go on.
      this.#answered();
      this.waiting.delete(frame);
      this.forget(frame);
      frame.gone = message;
      this.gone(frame);
    } else if (status === 403 || status === 404 || status === 409) {
      this.ended = message;
    } else {
      if (!status) frame.unheard.push(text);
      this.away = { kind: "away", text: status ? message : "the server does not answer" };
      this.#later(Math.min(FIRST_RETRY_MS * 2 ** this.retry, LONGEST_RETRY_MS), () => this.flush());
      this.retry += 1;
    }
  }

  /** The server answers again, whatever it says. */
  #answered() {
    this.away = null;
    this.retry = 0;
  }

  #later(after, what) {
    clearTimeout(this.timer);
    this.timer = setTimeout(what, after);
  }

  /** Whether somebody has signed in again, in whatever window. */
  async #signedIn() {
    try {
      const session = await this.#ask("session");
      if (session.person !== this.person) {
        this.away = { kind: "signed-out", text: `${session.person} is signed in now, and these are ${this.person}'s.` };
        throw new Error(this.away.text);
      }
      this.token = session.csrf;
      this.away = null;
      this.flush();
    } catch {
      this.#later(ASK_AGAIN_MS, () => this.#signedIn());
      this.#tell();
    }
  }

  /** Settle a frame that somebody else saved, too: by mine or by theirs. */
  settle(frame, mine) {
    const theirs = frame.theirs;
    frame.theirs = null;
    if (mine) {
      frame.revision = theirs.revision;
      frame.kept = JSON.stringify(theirs.boxes);
      this.touch(frame);
      this.flush();
      return;
    }
    const before = frame.boxes;
    frame.revision = theirs.revision;
    frame.kept = JSON.stringify(theirs.boxes);
    frame.change(theirs.boxes.map(keyed));
    frame.past = [{ boxes: before, chosen: null }]; // one step back is mine again
    frame.chosen = null;
    this.waiting.delete(frame);
    this.forget(frame);
    this.#tell(frame);
  }

  /** Ends when nothing waits; fails with why where it cannot. */
  async settled() {
    while (this.waiting.size) {
      const stuck = [...this.waiting].find((frame) => frame.theirs || frame.refused);
      if (this.ended || this.away) throw new Error(this.ended ?? this.away.text);
      if (stuck) throw Object.assign(new Error(`frame ${stuck.index + 1} is not saved`), { frame: stuck });
      await this.flush();
      await new Promise((done) => setTimeout(done, 50));
    }
  }

  /** Say once more how things stand. */
  again() {
    this.#tell();
  }

  #tell(frame) {
    this.told(this.#standing());
    if (frame) this.changed(frame);
  }

  #standing() {
    const stuck = [...this.waiting].find((frame) => frame.theirs || frame.refused);
    if (this.ended) return { kind: "ended", text: this.ended };
    if (this.away && this.waiting.size) return this.away;
    if (stuck?.theirs) return { kind: "moved", frame: stuck, text: "" };
    if (stuck) return { kind: "refused", frame: stuck, text: stuck.refused };
    if (this.busy || this.waiting.size) return { kind: "saving", text: "Saving …" };
    return { kind: "saved", text: "Saved" };
  }
}
