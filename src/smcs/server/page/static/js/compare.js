// Two aggregations side by side, as they read or by the words in which they differ.

import "../vendor/diff.min.js";
import { empty, h, pill, put, section, visible } from "./dom.js";
import { fixed, plural, seconds } from "./format.js";
import { called, cutOff } from "./why.js";

const MOST_COMPARED = 40_000; // characters
const MOST_MS = 1_000;

export function compare(trace) {
  const order = trace.aggregations.map((_, i) => i).sort((a, b) => (b === trace.winner) - (a === trace.winner) || (trace.aggregations[b].score ?? -Infinity) - (trace.aggregations[a].score ?? -Infinity));
  const single = order.length < 2;
  const chosen = { left: order[0], right: order[single ? 0 : 1] };
  const mode = h("input", { type: "checkbox", id: "words" });
  const panes = h("div", { class: single ? "panes single" : "panes" });
  const said = h("p", { class: "muted", role: "status" });
  const draw = () => {
    const pair = single ? [chosen.left] : [chosen.left, chosen.right];
    const bodies = mode.checked ? differences(pair.map((i) => trace.aggregations[i].text ?? "")) : null;
    said.textContent = bodies?.told ?? "";
    put(panes, pair.map((i, side) => pane(trace, i, side, bodies?.parts[side], (value) => { chosen[side ? "right" : "left"] = value; draw(); panes.querySelectorAll("select")[side]?.focus(); })));
  };
  mode.addEventListener("change", draw);
  draw();
  return section(
    "Aggregations side by side",
    h("p", { class: "muted" }, `${plural(trace.aggregations.length, "aggregation")}${trace.aggregator ? ` by ${trace.aggregator}` : ""}; the winner and the runner-up are shown first.`),
    single ? null : h("p", {}, h("label", { class: "check" }, mode, " Show the words in which they differ")),
    said,
    panes,
  );
}

function pane(trace, i, side, marked, choose) {
  const aggregation = trace.aggregations[i];
  const select = h("select", { "aria-label": side ? "Right aggregation" : "Left aggregation", onchange: (event) => choose(Number(event.target.value)) },
    trace.aggregations.map((other, j) => h("option", { value: j, selected: j === i }, `Aggregation ${j + 1}${j === trace.winner ? " (winner)" : ""}${other.score === null || other.score === undefined ? "" : `, score ${fixed(other.score)}`}`)));
  return h(
    "div",
    { class: "pane" },
    h("p", { class: "pane-head" }, select, i === trace.winner && pill("winner"), cutOff(aggregation), aggregation.error && pill("failed")),
    h("p", { class: "muted" }, `similarity ${fixed(aggregation.similarity)} · perplexity ${fixed(aggregation.perplexity)} · ${plural(aggregation.completion_tokens, "token")} · ${seconds(aggregation.seconds)}`),
    marked && !aggregation.error ? marked : called(aggregation),
  );
}

/** Both texts with their differing words marked. */
function differences([left, right]) {
  const plain = (text) => h("div", { class: "diff", dir: "auto" }, visible(text));
  if (left === right) return { parts: [plain(left), plain(right)], told: "The two are the same, word for word." };
  const changes = left.length + right.length > MOST_COMPARED ? null : globalThis.Diff.diffWordsWithSpace(visible(left), visible(right), { timeout: MOST_MS });
  if (!changes) return { parts: [empty("Too long, or too different, to compare word by word."), empty("Too long, or too different, to compare word by word.")], told: "" };
  const side = (skip, tag) => h("div", { class: "diff", dir: "auto" }, changes.filter((part) => !part[skip]).map((part) => (part.added || part.removed ? h(tag, {}, part.value) : part.value)));
  const words = (key) => changes.filter((part) => part[key]).reduce((sum, part) => sum + part.value.split(/\s+/).filter(Boolean).length, 0);
  return { parts: [side("added", "del"), side("removed", "ins")], told: `${plural(words("removed"), "word")} only in the left one, ${words("added")} only in the right one.` };
}
