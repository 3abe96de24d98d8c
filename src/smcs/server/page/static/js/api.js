// What the page asks the server: JSON under page/api/, and answers as a stream of events. Nothing else, nowhere else.

const BASE = "page/api/";
const KEY = "smcs-key";

export class ApiError extends Error {
  constructor(message, status, kind) {
    super(message);
    this.status = status;
    this.kind = kind;
  }
}

let remembered = null; // where the tab may not store anything

function key() {
  try {
    return sessionStorage.getItem(KEY) ?? remembered;
  } catch {
    return remembered;
  }
}

function keep(value) {
  remembered = value;
  try {
    if (value) sessionStorage.setItem(KEY, value);
    else sessionStorage.removeItem(KEY);
  } catch {
    // kept in this page alone, then
  }
}

let asking = null;

function askKey(refused) {
  asking ??= new Promise((resolve) => {
    const dialog = document.getElementById("key");
    const input = document.getElementById("key-input");
    document.getElementById("key-why").textContent = refused
      ? "The server did not accept that key. It is kept for this tab only, until the tab is closed."
      : "It is kept for this tab only, until the tab is closed.";
    input.value = "";
    dialog.returnValue = "cancel";
    dialog.addEventListener(
      "close",
      () => {
        asking = null;
        resolve(dialog.returnValue === "use" && input.value.trim() ? input.value.trim() : null);
        input.value = "";
      },
      { once: true },
    );
    dialog.showModal();
  });
  return asking;
}

async function send(path, { method = "GET", body = null, signal = null } = {}) {
  for (;;) {
    const used = key();
    const headers = { Accept: "application/json" };
    if (used) headers.Authorization = `Bearer ${used}`;
    if (body !== null) headers["Content-Type"] = "application/json";
    let response;
    try {
      response = await fetch(BASE + path, { method, headers, signal, body: body === null ? null : JSON.stringify(body), cache: "no-store", credentials: "same-origin", redirect: "error" });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new ApiError("The server cannot be reached. Is it still running?", 0, "unreachable");
    }
    if (response.status !== 401) return response;
    if (used !== key()) continue; // another request has been given a key meanwhile
    keep(null);
    const given = await askKey(Boolean(used));
    if (!given) throw new ApiError("This server asks for an API key.", 401, "authentication");
    keep(given);
  }
}

async function failure(response) {
  let told = null;
  try {
    told = (await response.json())?.error;
  } catch {
    // not JSON: the status has to do
  }
  const wait = response.headers.get("Retry-After");
  const message = told?.message ?? `The server answered ${response.status} ${response.statusText}`.trim();
  return new ApiError(wait ? `${message} (try again in ${wait} s)` : message, response.status, told?.code ?? told?.type ?? "error");
}

/** JSON of the server, or an ApiError. */
export async function get(path, query = {}, signal = null) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const text = new URLSearchParams(given).toString();
  const response = await send(text ? `${path}?${text}` : path, { signal });
  if (!response.ok) throw await failure(response);
  return response.json();
}

export async function post(path, body) {
  const response = await send(path, { method: "POST", body });
  if (!response.ok) throw await failure(response);
  return response.json();
}

/** Send a question and be told every event of it. Ending the signal closes the stream, which cancels the calls. */
export async function stream(path, body, onEvent, signal) {
  const response = await send(path, { method: "POST", body, signal });
  if (!response.ok) throw await failure(response);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    let part;
    try {
      part = await reader.read();
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new ApiError("The connection to the server broke before the answer was there.", 0, "broken");
    }
    if (part.done) return;
    rest += part.value;
    const blocks = rest.split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const data = block.split("\n").filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trimStart()).join("\n");
      if (data) onEvent(JSON.parse(data));
    }
  }
}
