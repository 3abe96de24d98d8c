// Why this answer: everything that a trace holds, step by step.

import { get } from "./api.js";
import { compare } from "./compare.js";
import { costs } from "./costs.js";
import { bdi, empty, folded, h, pill, put, section } from "./dom.js";
import { feedback } from "./feedback.js";
import { count, fixed, plural, seconds, usd, when } from "./format.js";
import { answer } from "./markdown.js";
import { matrix } from "./matrix.js";
import { priors } from "./priors.js";
import { askAgain, latest, recordOf } from "./state.js";
import { support } from "./support.js";
import { timeline } from "./timeline.js";

export async function open(place, id, current) {
  const wanted = id || latest() || (await newest());
  if (!current()) return;
  if (!wanted) {
    put(place, h("h1", {}, "Why"), empty("Nothing has been asked yet. ", h("a", { href: "#/ask" }, "Ask a question"), " and see here how its answer came about."));
    return;
  }
  const record = await recordOf(wanted);
  if (current()) put(place, draw(record));
}

async function newest() {
  try {
    return (await get("traces", { limit: 1 })).traces[0]?.id ?? null;
  } catch {
    return null; // no store: then only what was asked in this page
  }
}

function draw(record) {
  const trace = record.trace;
  const parts = [h("h1", {}, "Why this answer"), head(record)];
  if (!trace) return [...parts, empty("This trace holds no more than this: the server stores metadata only (traces = full stores all).")];
  const told = [...(trace.cuts ?? []).map((text) => ["cut", text]), ...(trace.notes ?? []).map((text) => ["note", text])];
  if (told.length) parts.push(section("Notes and cuts", h("ul", { class: "notes" }, told.map(([kind, text]) => h("li", {}, pill(kind), " ", bdi(text))))));
  if (trace.support?.length) parts.push(support(record));
  if (Object.keys(trace.prior ?? {}).length) parts.push(priors(trace));
  if (trace.aggregations?.length) parts.push(matrix(trace), compare(trace));
  if (trace.referencers?.length) parts.push(references(trace));
  parts.push(timeline(record), costs(record));
  return parts;
}

function head(record) {
  const usage = record.usage;
  const facts = [
    ["Strategy", bdi(record.strategy ?? "smcs")],
    ["Asked", `${when(record.time)} (${record.source ?? "page"})`],
    ["Took", seconds(record.seconds)],
    usage && ["Calls", count(usage.calls)],
    usage && ["Tokens", `${count(usage.prompt_tokens)} + ${count(usage.completion_tokens)}`],
    usage && ["Cost", usd(usage.cost_usd)],
    ["Seed", String(record.seed ?? 0)],
    record.replay && ["From the cache", fromCache(record.replay)],
    record.replay?.of && ["Asked before as", h("a", { href: `#/why/${encodeURIComponent(record.replay.of)}` }, bdi(record.replay.of))],
  ].filter(Boolean);
  const failed = record.status && record.status !== "ok";
  return h(
    "div",
    { class: "head" },
    record.history?.length > 0 && folded(`${plural(record.history.length, "earlier turn")} of the conversation`, () => record.history.map((turn) => h("div", { class: "history" }, h("strong", {}, turn.role), answer(turn.content)))),
    record.question ? h("div", { class: "asked" }, bdi(record.question, { class: "text" })) : empty("The question's text is not stored."),
    failed ? h("p", { class: "box failed" }, pill("failed"), " ", bdi(record.error?.message ?? record.status)) : record.answer ? h("div", { class: "chosen" }, answer(record.answer)) : null,
    h("dl", { class: "facts" }, facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
    h("p", { class: "actions" }, record.question && h("button", { type: "button", onclick: () => replay(record) }, "Ask again with other settings"), download(record), h("span", { class: "muted small" }, "trace ", h("code", {}, bdi(record.id)))),
    record.answer && feedback(record),
  );
}

/** How much of a replay had been answered before. */
export function fromCache(replay) {
  return `${count(replay.reused)} of ${plural(replay.reused + replay.made, "sample")}`;
}

function replay(record) {
  askAgain(record);
  location.hash = "#/ask";
}

function download(record) {
  return h("button", {
    type: "button",
    class: "quiet",
    onclick: () => {
      const address = URL.createObjectURL(new Blob([JSON.stringify(record, null, 2)], { type: "application/json" }));
      h("a", { href: address, download: `${record.id}.json` }).click();
      setTimeout(() => URL.revokeObjectURL(address), 10_000);
    },
  }, "Save as JSON");
}

function references(trace) {
  return section(
    "References",
    h("p", { class: "muted" }, "What each referencer answered by itself, best prior first."),
    trace.referencers.map((reference, i) =>
      folded(
        h("span", { class: "summary-row" }, h("span", {}, `${i + 1}. `, bdi(reference.llm)), reference.error ? pill("failed") : null, cutOff(reference), h("span", { class: "muted" }, `prior ${fixed(reference.prior)} · ${plural(reference.completion_tokens, "token")} · ${seconds(reference.seconds)}`)),
        () => called(reference),
      ),
    ),
  );
}

/** What came of a call: text and reasoning, or what went wrong. */
export function called(call) {
  if (call.error) return h("p", { class: "box failed" }, bdi(`${call.error.kind}: ${call.error.message}`), call.error.attempts > 1 ? ` (tried ${call.error.attempts} times)` : null);
  if (call.text === null || call.text === undefined) return empty(call.finish_reason ? "The text is not stored." : "It was not called, or was cancelled.");
  return [call.reasoning && folded("Reasoning", () => answer(call.reasoning)), call.text.trim() ? answer(call.text) : empty("An empty text.")];
}

export function cutOff(call) {
  return call.finish_reason === "length" ? pill("cut off", "cut") : null;
}
