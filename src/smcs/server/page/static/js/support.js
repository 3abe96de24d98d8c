// The support set: the questions of the bank that are most like this one, and who answers them correctly.

import { bar, stacked } from "./bars.js";
import { bdi, folded, h, put, section } from "./dom.js";
import { fixed, plural, shorten } from "./format.js";
import { answer } from "./markdown.js";

const FIRST = 8;
const STEP = 50;

export function support(record) {
  const trace = record.trace;
  const items = trace.support;
  const list = h("ol", { class: "support" });
  const more = h("button", { type: "button", class: "quiet" });
  let shown = 0;
  const show = (next) => {
    list.append(...items.slice(shown, next).map((item) => row(item, trace)));
    shown = Math.min(next, items.length);
    more.hidden = shown >= items.length;
    more.textContent = `Show more (${items.length - shown} left)`;
  };
  more.addEventListener("click", () => {
    const at = shown;
    show(shown + STEP);
    list.children[at]?.querySelector("summary")?.focus();
  });
  show(FIRST);
  return section(
    "Support set",
    h("p", { class: "muted" }, `${plural(trace.support_size ?? items.length, "question")} of the bank, most similar first`, trace.embedder ? [", by ", bdi(trace.embedder)] : null, ". A square says whether a referencer answers it correctly: ", h("span", { class: "mark right", "aria-hidden": "true" }), " right, ", h("span", { class: "mark wrong", "aria-hidden": "true" }), " wrong, ", h("span", { class: "mark unknown", "aria-hidden": "true" }), " not known."),
    shares(trace.support_benchmarks ? new Map(Object.entries(trace.support_benchmarks)) : counted(items)),
    list,
    h("p", {}, more),
  );
}

function counted(items) {
  const counts = new Map();
  for (const item of items) counts.set(item.benchmark, (counts.get(item.benchmark) ?? 0) + 1);
  return counts;
}

function shares(counts) {
  const all = [...counts.values()].reduce((sum, n) => sum + n, 0);
  const parts = [...counts].sort((a, b) => b[1] - a[1]);
  const shown = parts.slice(0, 7);
  const rest = parts.slice(7).reduce((sum, [, n]) => sum + n, 0);
  if (rest) shown.push(["others", rest]);
  return h(
    "div",
    { class: "shares" },
    stacked(shown.map(([, n], i) => [n / all, `part-${i}`])),
    h("ul", { class: "legend" }, shown.map(([name, n], i) => h("li", {}, h("span", { class: `key part-${i}`, "aria-hidden": "true" }), bdi(name), ` ${n}`))),
  );
}

function row(item, trace) {
  const marks = trace.referencers.map((reference) => {
    const correct = item.correct?.[reference.llm];
    const word = correct === 1 ? "right" : correct === 0 ? "wrong" : "unknown";
    return h("span", { class: `mark ${word}`, title: `${reference.llm}: ${word === "unknown" ? "not known" : word}` });
  });
  const right = trace.referencers.filter((reference) => item.correct?.[reference.llm] === 1).map((reference) => reference.llm);
  const body = h("div");
  const details = folded(
    h(
      "span",
      { class: "support-row" },
      h("span", { class: "similarity" }, fixed(item.similarity), bar(item.similarity)),
      h("span", { class: "benchmark" }, bdi(item.benchmark)),
      h("span", { class: "question" }, bdi(shorten(item.text || item.id, 160))),
      item.correct && h("span", { class: "marks", role: "img", "aria-label": right.length ? `right: ${right.join(", ")}` : "no referencer right" }, marks),
    ),
    () => put(body, h("p", { class: "muted" }, bdi(item.id)), item.text ? answer(item.text) : null, item.label !== undefined && item.label !== null ? h("p", {}, "Label: ", bdi(item.label, { class: "label" })) : null),
  );
  return h("li", {}, details);
}
