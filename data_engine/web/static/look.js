// A frame's page: layers on and off, and which row is which box.
const shot = document.getElementById("shot");

for (const box of document.querySelectorAll("input[data-layer]")) {
  const show = () => shot.classList.toggle(`no-${box.dataset.layer}`, !box.checked);
  box.addEventListener("change", show);
  show(); // a browser that comes back to the page keeps what was ticked
}

function light(number, on) {
  shot.querySelector(`rect[data-box="${number}"]`)?.classList.toggle("lit", on);
}

for (const row of document.querySelectorAll("tr[data-box]")) {
  for (const [event, on] of [["pointerenter", true], ["pointerleave", false], ["focusin", true], ["focusout", false]]) {
    row.addEventListener(event, () => light(row.dataset.box, on));
  }
}
