// Accepting and rejecting: once, with everything sent before, and what comes next.
import { ask } from "./ask.js";
import { plural, tally } from "./frames.js";
import { element, said } from "./side.js";

export class Decider {
  /**
   * @param {object} data  the page's.
   * @param {Outbox} outbox marks that must be there before.
   * @param {object} told   {notice(kind, ...content), remove(remark)}.
   */
  constructor(data, outbox, told) {
    Object.assign(this, { data, outbox, told, decided: false, busy: false, next: "" });
    this.dialog = document.getElementById("reject");
    this.accepting = document.getElementById("accept");
    this.button = document.getElementById("accept-button");
    this.form = this.dialog.querySelector("form");
    this.accepting.addEventListener("submit", (event) => {
      event.preventDefault();
      this.ask();
    });
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.reject(this.form.elements.reason.value.trim());
    });
    document.getElementById("reject-cancel").addEventListener("click", () => this.dialog.close());
    document.getElementById("open-reject").addEventListener("click", () => this.open());
  }

  get mayAccept() {
    return this.data.waits && !this.data.own && !this.decided;
  }

  get mayReject() {
    return !this.decided && !document.getElementById("open-reject").disabled;
  }

  /** Accept by the button: frames that nobody looked at are named first. */
  ask() {
    const { left, remarked } = tally(this.data.frames);
    if (remarked && this.data.frames.some((frame) => frame.remarks.length)) {
      this.told.notice("error", `${plural(remarked, "frame")} remarked: reject the job, or take the remarks back.`);
      return;
    }
    if (left && !this.sure) {
      this.sure = true;
      this.button.textContent = `Accept with ${left} not looked at`;
      this.told.notice("note", `Nobody looked at ${plural(left, "frame")}. Accept once more if that is meant.`);
      return;
    }
    this.accept();
  }

  accept() {
    return this.send("accept", { expected: this.data.expected });
  }

  open() {
    if (!this.mayReject) return;
    const list = document.getElementById("reject-remarks");
    const items = this.data.frames.flatMap((frame) => said(frame, this.told.remove, `frame ${frame.number}: `));
    list.replaceChildren(...items);
    const optional = items.length > 0;
    document.getElementById("reject-optional").textContent = optional ? "(on the whole job; may stay empty)" : "";
    this.form.elements.reason.required = !optional;
    if (!this.dialog.open) this.dialog.showModal();
    this.form.elements.reason.focus();
  }

  async reject(reason) {
    if (await this.send("reject", { expected: this.data.expected, reason })) this.dialog.close();
  }

  async send(action, form) {
    if (this.busy || this.decided) return false;
    this.busy = true;
    try {
      if (!(await this.outbox.flush())) {
        this.told.notice("error", "Your marks are not all sent: the job is decided when they are. Try again.");
        return false;
      }
      const answer = await ask(`/review/${this.data.job}/${action}`, { form });
      if (!answer.ok) {
        this.refused(answer);
        return false;
      }
      this.decided = true;
      this.next = answer.data.address;
      const link = element("a", "button", answer.data.next === null ? "To the list" : `Next: job ${answer.data.next}`);
      link.href = this.next;
      const key = element("kbd", "", "n");
      this.told.notice("done", `${sentence(answer.data.said)} `, link, " ", key);
      this.button.disabled = true;
      document.getElementById("open-reject").disabled = true;
      link.focus({ preventScroll: true });
      return true;
    } finally {
      this.busy = false;
    }
  }

  refused({ status, data }) {
    if (this.dialog.open) this.dialog.close();
    if (status === 0) this.told.notice("error", "The server does not answer: nothing was decided. Try again.");
    else if (status === 401) this.told.notice("error", "You are signed out: ", signIn(), " in another tab, then try again.");
    else {
      const again = element("a", "", "Load the job again");
      again.href = `/review/${this.data.job}`;
      this.told.notice("error", `${sentence(data?.message ?? "This was refused")} `, status === 409 || status === 404 ? again : data?.hint ?? "");
    }
  }
}

export function signIn() {
  const link = element("a", "", "sign in");
  link.href = `/signin?next=${encodeURIComponent(location.pathname)}`;
  link.target = "_blank";
  return link;
}

function sentence(text) {
  return `${text[0].toUpperCase()}${text.slice(1)}.`;
}
