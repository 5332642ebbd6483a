// Has every change that htmx asks for carry the session's token.
const token = document.querySelector('meta[name="csrf-token"]')?.content ?? "";

/** fetch() with the token; what every editor of these pages changes things by. */
export function send(address, options = {}) {
  const headers = new Headers(options.headers);
  headers.set("X-CSRF-Token", token);
  headers.set("Accept", "application/json");
  return fetch(address, { credentials: "same-origin", ...options, headers });
}

document.addEventListener("htmx:config:request", (event) => {
  event.detail.ctx.request.headers["X-CSRF-Token"] = token;
});

// A table that is wider than its place is scrolled by keys, too.
const tables = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
    else if (!target.hasAttribute("role")) target.removeAttribute("tabindex");
  }
});
for (const scrollable of document.querySelectorAll(".table")) tables.observe(scrollable);
