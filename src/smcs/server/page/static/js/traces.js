// Earlier questions: search, filter, open, ask again.

import { get } from "./api.js";
import { bdi, empty, h, pill, problem, put } from "./dom.js";
import { count, plural, seconds, shorten, usd, when } from "./format.js";

const AT_ONCE = 30;
const view = {};

export async function open(place) {
  if (!view.form) build(place);
  await search();
}

function build(place) {
  const later = debounced(search);
  view.text = h("input", { type: "search", id: "trace-text", placeholder: "words of the question or the answer", oninput: later });
  view.source = h("select", { id: "trace-source", onchange: search }, ["", "page", "api", "replay"].map((value) => h("option", { value }, value || "all")));
  view.status = h("select", { id: "trace-status", onchange: search }, [["", "all"], ["ok", "answered"], ["failed", "failed"]].map(([value, text]) => h("option", { value }, text)));
  view.list = h("div", { class: "trace-list" });
  view.told = h("p", { class: "muted", role: "status" });
  view.more = h("button", { type: "button", class: "quiet", hidden: true, onclick: more }, "Older ones");
  view.form = h("form", { role: "search", class: "fields", onsubmit: (event) => { event.preventDefault(); search(); } }, h("label", {}, h("span", {}, "Search"), view.text), h("label", {}, h("span", {}, "Source"), view.source), h("label", {}, h("span", {}, "Status"), view.status));
  put(place, h("h1", {}, "Traces"), view.form, view.told, view.list, h("p", {}, view.more));
}

function query() {
  return { text: view.text.value.trim(), source: view.source.value, status: view.status.value, limit: AT_ONCE };
}

async function search() {
  view.abort?.abort();
  view.abort = new AbortController();
  try {
    const found = await get("traces", query(), view.abort.signal);
    put(view.list);
    if (found.stored === "off") view.told.textContent = "This server stores no traces. Start it with --traces metadata or --traces full to keep them.";
    else if (!found.traces.length) put(view.list, empty("No trace fits."));
    show(found, 0);
  } catch (error) {
    if (error.name !== "AbortError") put(view.list, problem(error));
  }
}

async function more() {
  const found = await get("traces", { ...query(), before: view.oldest });
  const at = view.list.children.length;
  show(found, at);
  view.list.children[at]?.querySelector("a")?.focus();
}

function show(found, already) {
  view.list.append(...found.traces.map(item));
  view.oldest = found.traces.at(-1)?.id ?? view.oldest;
  view.more.hidden = found.traces.length < AT_ONCE;
  const total = already + found.traces.length;
  if (found.stored !== "off") view.told.textContent = `${count(total)} shown${found.stored === "metadata" ? "; only metadata is stored, so texts cannot be searched" : ""}.`;
}

function item(trace) {
  return h(
    "article",
    { class: "trace" },
    h("p", { class: "trace-line" }, h("a", { href: `#/why/${encodeURIComponent(trace.id)}` }, bdi(trace.question ? shorten(trace.question, 200) : trace.id)), trace.status !== "ok" && pill(trace.status, "failed"), trace.source !== "page" && pill(trace.source ?? "", "note")),
    trace.answer && h("p", { class: "muted" }, bdi(shorten(trace.answer, 200))),
    h("p", { class: "muted small" }, [when(trace.time), trace.strategy ?? "smcs", seconds(trace.seconds), trace.calls ? plural(trace.calls, "call") : null, trace.calls ? usd(trace.cost_usd) : null, trace.feedback ? `judged ${trace.feedback}` : null].filter(Boolean).join(" · ")),
  );
}

function debounced(run) {
  let timer = null;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(run, 250);
  };
}
