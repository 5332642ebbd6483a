// Requests of the review page, with the session's token; one that is stale is read anew from a fresh page.
let token = document.querySelector('meta[name="csrf-token"]')?.content ?? "";

/** Answers {ok, status, data}; status 0 where no server answered. */
export async function ask(address, { json, form } = {}) {
  let answer = await once(address, json, form);
  if (answer.status === 403 && answer.data?.error === "csrf" && (await renew())) {
    answer = await once(address, json, form);
  }
  return answer;
}

async function once(address, json, form) {
  const headers = { Accept: "application/json" };
  const options = { credentials: "same-origin", headers };
  if (json !== undefined || form !== undefined) {
    options.method = "POST";
    headers["X-CSRF-Token"] = token;
    options.keepalive = true; // also when the page is left meanwhile
    options.body = json === undefined ? new URLSearchParams(form) : JSON.stringify(json);
    if (json !== undefined) headers["Content-Type"] = "application/json";
  }
  try {
    const response = await fetch(address, options);
    return { ok: response.ok, status: response.status, data: await response.json().catch(() => null) };
  } catch {
    return { ok: false, status: 0, data: null };
  }
}

async function renew() {
  try {
    const response = await fetch(location.pathname, { headers: { Accept: "text/html" } });
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const found = page.querySelector('meta[name="csrf-token"]')?.content;
    const changed = Boolean(found) && found !== token;
    token = found || token;
    return changed;
  } catch {
    return false;
  }
}
