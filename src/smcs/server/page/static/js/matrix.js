// The subset matrix: which aggregation saw whose reference, and how it scored.

import { bdi, h, pill, section } from "./dom.js";
import { fixed } from "./format.js";

export function matrix(trace) {
  const names = trace.referencers.map((reference) => reference.llm);
  return section(
    "Subsets",
    h("p", { class: "muted" }, "Each aggregation sees a subset of the references. ", h("span", { class: "cell saw", "aria-hidden": "true" }), " seen, ", h("span", { class: "cell lost", "aria-hidden": "true" }), " in the subset, but failed or did not fit, ", h("span", { class: "cell", "aria-hidden": "true" }), " dropped."),
    h(
      "div",
      { class: "scroll", tabindex: 0, role: "region", "aria-label": "Subset matrix" },
      h(
        "table",
        { class: "matrix" },
        h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "No."), names.map((name, i) => h("th", { scope: "col", class: "up", title: name }, h("span", {}, `${i + 1} `, bdi(name)))), ["Similarity", "Perplexity", "Score", ""].map((name) => h("th", { scope: "col", class: "num low" }, name)))),
        h("tbody", {}, trace.aggregations.map((aggregation, i) => row(aggregation, i, names, trace.winner))),
      ),
    ),
  );
}

function row(aggregation, i, names, winner) {
  const seen = aggregation.seen?.length || aggregation.error || aggregation.text === null ? aggregation.seen ?? [] : aggregation.subset;
  return h(
    "tr",
    { class: i === winner ? "winner-row" : null },
    h("th", { scope: "row" }, String(i + 1)),
    names.map((name) => {
      const [kind, word] = seen.includes(name) ? ["saw", "seen"] : aggregation.subset.includes(name) ? ["lost", "in the subset, not seen"] : ["", "dropped"];
      return h("td", { class: "mid" }, h("span", { class: `cell ${kind}`, title: `${name}: ${word}`, role: "img", "aria-label": word }));
    }),
    h("td", { class: "num" }, fixed(aggregation.similarity)),
    h("td", { class: "num" }, fixed(aggregation.perplexity)),
    h("td", { class: "num" }, fixed(aggregation.score)),
    h("td", {}, i === winner ? pill("winner") : aggregation.error ? pill("failed") : null),
  );
}
