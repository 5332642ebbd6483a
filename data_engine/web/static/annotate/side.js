// What stands beside the picture: classes, boxes, the state of saving.

const WORDS = { proposed: "proposed", corrected: "corrected", drawn: "drawn" };
const $ = (id) => document.getElementById(id);

/** What a box is, in words: class, origin, confidence. */
export function words(frame, box) {
  const score = box.score === null ? "" : ` ${Math.round(box.score * 100)} %`;
  return `${WORDS[frame.origin(box)]}${score}`;
}

/** The list of a frame's boxes; each is a button that chooses it. */
export function list(frame, tone, choose) {
  $("count").textContent = frame.boxes.length;
  $("no-boxes").hidden = frame.boxes.length > 0;
  const place = $("boxes");
  const focused = place.contains(document.activeElement);
  place.replaceChildren(
    ...frame.boxes.map((box) => {
      const item = document.createElement("li");
      const button = document.createElement("button");
      button.type = "button";
      button.setAttribute("aria-pressed", String(box.key === frame.chosen));
      const [, , wide, high] = box.xywh;
      button.append(
        span(`an-swatch c${tone(box.label)}`, ""),
        span("an-class", box.label),
        small(words(frame, box)),
        small(`${Math.round(wide)}×${Math.round(high)}`),
      );
      button.addEventListener("click", () => choose(box.key));
      item.append(button);
      return item;
    }),
  );
  const pressed = place.querySelector("[aria-pressed='true']");
  if (focused) pressed?.focus();
  pressed?.scrollIntoView({ block: "nearest" });
}

function span(name, text) {
  const made = document.createElement("span");
  made.className = name;
  made.textContent = text;
  if (!text) made.setAttribute("aria-hidden", "true");
  return made;
}

function small(text) {
  const made = document.createElement("small");
  made.textContent = text;
  return made;
}

/** Which class is chosen. */
export function press(index) {
  for (const button of document.querySelectorAll("[data-class]")) {
    button.setAttribute("aria-pressed", String(Number(button.dataset.class) === index));
  }
}

/** Say it to those who listen. */
export function say(text) {
  $("said").textContent = text;
}

/** The state of saving; with trouble, what it is and what can be done. */
export function standing({ kind, text, frame }, does) {
  const trouble = {
    away: () => [`Not saved: ${text}. Your edits are kept in this browser and are sent again by themselves.`, []],
    "signed-out": () => [
      `Not saved: ${text} Your edits are kept in this browser; sign in again, and they are saved.`,
      [["Sign in (new window)", does.signIn]],
    ],
    moved: () => [
      `Frame ${frame.index + 1}: ${who(frame.theirs.by, does.person)} saved other boxes meanwhile (${frame.theirs.boxes.length}; yours are ${frame.boxes.length}).`,
      [["Keep mine", () => does.settle(frame, true)], ["Take theirs", () => does.settle(frame, false)], ["Show", () => does.show(frame)]],
    ],
    refused: () => [`Frame ${frame.index + 1} is not saved: ${text}.`, [["Show", () => does.show(frame)]]],
    ended: () => [`Not saved: ${text}. What you drew is kept in this browser.`, [["My jobs", () => location.assign("/jobs")]]],
  }[kind];
  const saving = $("saving");
  const short = trouble ? "Not saved" : text;
  if (saving.textContent !== short) saving.textContent = short;
  saving.dataset.kind = trouble ? "trouble" : kind;
  const [told, actions] = trouble ? trouble() : ["", []];
  const place = $("trouble");
  if ($("trouble-text").textContent === told && !place.hidden === Boolean(told)) return;
  place.hidden = !told;
  $("trouble-text").textContent = told;
  $("trouble-actions").replaceChildren(
    ...actions.map(([name, what]) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "plain";
      button.textContent = name;
      button.addEventListener("click", what);
      return button;
    }),
  );
}

function who(by, person) {
  if (by === null) return "somebody or a tool";
  return by === person ? "you, in another window," : by;
}
