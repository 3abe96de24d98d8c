// The prior of every LLM as bars: who was chosen, and how likely each reference was to be kept.

import { bar } from "./bars.js";
import { bdi, h, pill, section } from "./dom.js";
import { fixed, percent } from "./format.js";

export function priors(trace) {
  const chosen = trace.referencers.map((reference) => reference.llm);
  const rows = Object.entries(trace.prior).sort((a, b) => (b[1] ?? -Infinity) - (a[1] ?? -Infinity));
  const most = Math.max(...rows.map(([, value]) => value ?? 0), 0);
  const kept = chosen.length > 0 && trace.drop_distribution?.length === chosen.length;
  return section(
    "Prior",
    h("p", { class: "muted" }, "How well each LLM does on the support set, weighted by similarity. The best are the referencers", kept ? "; the chance of being drawn first says how a subset is made." : "."),
    h(
      "table",
      { class: "priors" },
      h("thead", {}, h("tr", {}, ["LLM", "Prior", "", kept && "Drawn first", "Part"].filter((name) => name !== false).map((name, i) => h("th", { scope: "col", class: i === 1 || name === "Drawn first" ? "num" : null }, name)))),
      h(
        "tbody",
        {},
        rows.map(([name, value]) => {
          const at = chosen.indexOf(name);
          const fallback = trace.fallbacks?.[name];
          return h(
            "tr",
            { class: at >= 0 ? "chosen-row" : "other-row" },
            h("th", { scope: "row" }, bdi(name)),
            h("td", { class: "num value" }, fixed(value)),
            h("td", { class: "wide" }, bar(most > 0 ? value / most : 0, at >= 0 ? "strong" : "weak")),
            kept && h("td", { class: "num drawn" }, at >= 0 ? `${percent(trace.drop_distribution[at])} %` : ""),
            h("td", { class: "role" }, at >= 0 ? pill(`referencer ${at + 1}`, "done") : h("span", { class: "muted" }, "not chosen"), fallback && h("span", { class: "muted" }, " by its ", bdi(fallback))),
          );
        }),
      ),
    ),
  );
}
