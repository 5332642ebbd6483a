// The keyboard: which key does what.  Nothing here happens while somebody types into a field or a dialog is open.

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const FAR_PX = 10;

export function listen(does, stage) {
  addEventListener("keydown", (event) => down(event, does, stage), true);
  addEventListener("keyup", (event) => {
    if (event.key === " ") does.pan(false);
    if (event.key.toLowerCase() === "h") does.hide(false);
  });
  addEventListener("blur", () => {
    does.pan(false);
    does.hide(false);
  });
}

function down(event, does, stage) {
  const control = event.ctrlKey || event.metaKey;
  const letter = event.key.toLowerCase();
  if (document.querySelector("dialog[open]")) return;
  if (control && event.key === "Enter") return take(event, does.submit);
  if (event.target.closest?.("input, textarea, select")) return;
  // Annotorious listens for these, too, and keeps a history of its own.
  if (control && letter === "z") return take(event, event.shiftKey ? does.redo : does.undo);
  if (control && letter === "y") return take(event, does.redo);
  if (control && letter === "s") return take(event, does.save);
  if (control) return;
  if (event.key in ARROWS) return arrow(event, does);
  if (event.altKey) return;
  if (event.key === "Tab") {
    // Past the last box, and before the first, Tab goes on to what comes next on the page.
    if (event.target === stage && does.cycle(event.shiftKey ? -1 : 1)) event.preventDefault();
  } else if (event.key === " ") {
    if (event.target === stage || event.target === document.body) take(event, () => does.pan(true));
  } else if (/^[1-9]$/.test(event.key)) {
    take(event, () => does.classify(Number(event.key) - 1));
  } else if (letter in does.keys) {
    take(event, does.keys[letter]);
  }
}

function arrow(event, does) {
  const [x, y] = ARROWS[event.key];
  const far = event.shiftKey ? FAR_PX : 1;
  const done = event.altKey ? does.resize(x * far, y * far) : does.move(x * far, y * far);
  // Alt and an arrow would leave the page, were it the browser's.
  if (done || event.altKey) take(event, () => {});
  else if (!event.shiftKey && x) take(event, () => does.go(x));
}

function take(event, what) {
  event.preventDefault();
  event.stopPropagation();
  what();
}
