// Marks on their way to the server: sent in their order, again and again until they are there, kept over a reload.
import { ask } from "./ask.js";

const SOON_MS = 50;
const MOST = 200; // at once: a request that outlives its page has at most 64 kB
const WAITS_MS = [1000, 2000, 4000, 8000, 15000];

export class Outbox {
  /**
   * @param {string} address where marks are sent to.
   * @param {string} place   the name they are kept under in this browser.
   * @param {(standing: object) => void} arrived told what everybody has said by now.
   * @param {(state: {unsent: number, why: string}) => void} changed told when something is sent, or is not.
   */
  constructor(address, place, arrived, changed) {
    Object.assign(this, { address, place, arrived, changed });
    this.sending = null;
    this.failed = 0;
    this.atOnce = MOST;
    this.why = "";
    this.marks = kept(place);
    addEventListener("online", () => this.hurry());
    if (this.marks.length) this.hurry();
  }

  unsent() {
    return this.marks;
  }

  add(mark) {
    this.keep([...this.marks, mark]);
    this.tell();
    // The next picture comes first, and quick keys go together.
    this.timer ??= setTimeout(() => this.hurry(), SOON_MS);
  }

  /** Send what is waiting; resolves to whether nothing is left. */
  async flush() {
    await this.hurry();
    return this.marks.length === 0;
  }

  hurry() {
    clearTimeout(this.timer);
    this.timer = null;
    this.sending ??= this.send().finally(() => (this.sending = null));
    return this.sending;
  }

  async send() {
    while (this.marks.length) {
      const batch = this.marks.slice(0, this.atOnce);
      const answer = await ask(this.address, { json: { marks: batch } });
      const lost = [404, 422].includes(answer.status);
      if (lost && batch.length > 1) {
        this.atOnce = 1; // one of them is of a frame that is gone: the others count
        continue;
      }
      if (!answer.ok && !lost) {
        this.why = answer.status === 401 ? "signed-out" : answer.status ? "refused" : "silent";
        const wait = WAITS_MS[Math.min(this.failed++, WAITS_MS.length - 1)];
        clearTimeout(this.timer);
        this.timer = setTimeout(() => this.hurry(), wait);
        this.tell();
        return;
      }
      // More may have been added behind it meanwhile.
      this.keep(this.marks.slice(batch.length));
      this.failed = 0;
      this.why = lost ? (answer.data?.message ?? "a mark was refused") : "";
      if (answer.ok) this.arrived(answer.data);
      this.tell();
    }
    this.atOnce = MOST;
  }

  keep(marks) {
    this.marks = marks;
    try {
      if (marks.length) localStorage.setItem(this.place, JSON.stringify(marks));
      else localStorage.removeItem(this.place);
    } catch {
      // A browser that keeps nothing: a reload before they are sent would lose them.
    }
  }

  tell() {
    this.changed({ unsent: this.marks.length, why: this.why });
  }
}

function kept(place) {
  try {
    const found = JSON.parse(localStorage.getItem(place) ?? "[]");
    return Array.isArray(found) ? found : [];
  } catch {
    return [];
  }
}
