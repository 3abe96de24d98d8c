// Bars that stretch with the page: SVG with lengths in per cent, since the policy allows no style attributes.

import { s } from "./dom.js";

/** A horizontal bar from 0 to `share` (0 to 1). */
export function bar(share, kind = "") {
  const width = `${(100 * Math.max(0, Math.min(1, share || 0))).toFixed(2)}%`;
  return s("svg", { class: `bar ${kind}`, width: "100%", height: 12, "aria-hidden": "true" }, s("rect", { class: "groove", width: "100%", height: 12, rx: 3 }), s("rect", { class: "fill", width, height: 12, rx: 3 }));
}

/** Parts of a whole side by side: [share, class] each. */
export function stacked(parts) {
  let at = 0;
  return s(
    "svg",
    { class: "bar stacked", width: "100%", height: 14, "aria-hidden": "true" },
    parts.map(([share, kind]) => {
      const rect = s("rect", { class: kind, x: `${(100 * at).toFixed(2)}%`, width: `${(100 * share).toFixed(2)}%`, height: 14 });
      at += share;
      return rect;
    }),
  );
}
