// The time line of calls: when each waited, loaded and ran.

import { bdi, empty, folded, h, s, section, table } from "./dom.js";
import { count, seconds } from "./format.js";

const OVER = new Set(["done", "failed", "cancelled"]);

export function timeline(record) {
  const calls = callsOf(record.timeline ?? []);
  if (!calls.length) return section("Time line", empty("No times of calls are stored."));
  const end = Math.max(record.seconds ?? 0, ...calls.map((call) => call.end));
  const steps = Object.entries(record.trace?.seconds ?? {});
  return section(
    "Time line",
    h("p", { class: "muted" }, "From the question to the answer: ", h("span", { class: "key t-waiting", "aria-hidden": "true" }), " waiting, ", h("span", { class: "key t-loading", "aria-hidden": "true" }), " loading, ", h("span", { class: "key t-running", "aria-hidden": "true" }), " running, ", h("span", { class: "key t-failed", "aria-hidden": "true" }), " failed or cancelled."),
    h(
      "div",
      { class: "gantt" },
      calls.map((call) => row(call, end)),
      h("div", { class: "gantt-row axis", "aria-hidden": "true" }, h("span"), h("span", { class: "ticks" }, [0, 0.25, 0.5, 0.75, 1].map((share) => h("span", {}, seconds(share * end))))),
    ),
    steps.length > 0 && h("p", { class: "muted" }, steps.map(([name, value]) => `${name} ${seconds(value)}`).join(" · ")),
    folded("The same as a table", () => table(["Call", "LLM", "Began", "Ended", "Tokens", "State"], calls.map((call) => [call.label, bdi(call.llm), seconds(call.spans[0].from), seconds(call.end), count(call.tokens), call.state]), { right: [2, 3, 4] })),
  );
}

function row(call, end) {
  const x = (at) => `${((100 * at) / (end || 1)).toFixed(3)}%`;
  const told = `${call.label}, ${call.llm}: ${call.spans.map((span) => `${span.state} ${seconds(span.to - span.from)}`).join(", ")}; ${call.state}${call.message ? ` (${call.message})` : ""}`;
  return h(
    "div",
    { class: "gantt-row" },
    h("span", { class: "gantt-label" }, `${call.label} `, bdi(call.llm, { class: "muted" })),
    s(
      "svg",
      { class: "track", width: "100%", height: 16, role: "img", "aria-label": told },
      s("title", {}, told),
      s("rect", { class: "groove", width: "100%", height: 16 }),
      call.spans.map((span) => s("rect", { class: call.state !== "done" && span.state === "running" ? "t-failed" : `t-${span.state}`, x: x(span.from), width: `${Math.max(0.4, (100 * (span.to - span.from)) / (end || 1)).toFixed(3)}%`, y: 2, height: 12 })),
    ),
  );
}

/** The calls with the spans of time that they were in each state. */
export function callsOf(events) {
  const calls = new Map();
  for (const event of [...events].sort((a, b) => a.at_s - b.at_s)) {
    const key = `${event.stage}-${event.index}`;
    if (!calls.has(key)) {
      const label = event.stage === "reference" ? `Reference ${event.index + 1}` : `Aggregation ${event.index + 1}`;
      calls.set(key, { label, llm: event.llm, spans: [], state: event.state, end: event.at_s, tokens: 0, message: "", order: [event.stage === "reference" ? 0 : 1, event.index] });
    }
    const call = calls.get(key);
    const open = call.spans.at(-1);
    if (open) open.to = event.at_s;
    if (!OVER.has(event.state) && open?.state !== event.state) call.spans.push({ state: event.state, from: event.at_s, to: event.at_s });
    Object.assign(call, { state: event.state, end: event.at_s, tokens: Math.max(call.tokens, event.tokens ?? 0), message: event.message || call.message });
  }
  return [...calls.values()].filter((call) => call.spans.length).sort((a, b) => a.order[0] - b.order[0] || a.order[1] - b.order[1]);
}
