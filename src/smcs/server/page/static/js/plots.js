// Plots drawn as SVG for the width that there is, in the page's own colours.

import { bdi, h, put, s } from "./dom.js";
import { signed } from "./format.js";

function ticks(low, high, most = 6) {
  const raw = (high - low) / most;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((size) => size >= raw);
  const found = [];
  for (let at = Math.ceil(low / step - 1e-9) * step; at <= high + step * 1e-9; at += step) found.push(Number(at.toPrecision(12)));
  return found;
}

function range(rows, { zero = false, least = 10, within = null } = {}) {
  let low = Math.min(...rows.map((row) => row.low), zero ? 0 : Infinity);
  let high = Math.max(...rows.map((row) => row.high), zero ? 0 : -Infinity);
  const room = Math.max((high - low) * 0.06, (least - (high - low)) / 2, 0.5);
  [low, high] = [low - room, high + room];
  return within ? [Math.max(within[0], low), Math.min(within[1], high)] : [low, high];
}

/** Values with their intervals, one a row. */
export function intervals(rows, { zero = false, unit = "" } = {}) {
  if (!rows.length) return h("p", { class: "muted" }, "Nothing graded yet.");
  const [low, high] = range(rows, { zero, within: zero ? null : [0, 100] });
  const x = (value) => `${((100 * (value - low)) / (high - low)).toFixed(2)}%`;
  const marks = ticks(low, high, 5);
  const grid = (height) => marks.map((tick) => s("line", { class: tick === 0 && zero ? "axis-line" : "grid-line", x1: x(tick), x2: x(tick), y1: 0, y2: height }));
  const text = (value) => (zero ? signed(value) : value.toFixed(1));
  return h(
    "div",
    { class: "intervals" },
    rows.map((row) => {
      const told = `${row.label}: ${text(row.value)} (${text(row.low)} to ${text(row.high)}) ${unit}`;
      return h("div", { class: "interval-row" }, h("span", { class: "interval-label", title: row.label }, bdi(row.label)), s("svg", { class: "interval", width: "100%", height: 26, role: "img", "aria-label": told }, s("title", {}, told), grid(26), s("line", { class: "whisker", x1: x(row.low), x2: x(row.high), y1: 13, y2: 13 }), [row.low, row.high].map((end) => s("line", { class: "whisker", x1: x(end), x2: x(end), y1: 9, y2: 17 })), s("circle", { class: "dot", cx: x(row.value), cy: 13, r: 5 })), h("span", { class: "interval-value" }, text(row.value)));
    }),
    h("div", { class: "interval-row", "aria-hidden": "true" }, h("span", { class: "interval-label" }), s("svg", { class: "interval ticks-svg", width: "100%", height: 20 }, marks.map((tick) => s("text", { x: x(tick), y: 14, "text-anchor": "middle" }, `${tick}`.replace("-", "−")))), h("span", { class: "interval-value muted" }, unit)),
  );
}

/** Accuracy against the tokens of an answer (logarithmic); numbers stand for strategies, listed below. */
export function againstTokens(rows) {
  const known = rows.filter((row) => row.average.mean !== null && row.tokens > 0);
  if (!known.length) return h("p", { class: "muted" }, "Nothing graded yet.");
  const box = h("div", { class: "plot" });
  const list = h("ol", { class: "plot-list" }, known.map((row) => h("li", {}, bdi(row.label), h("span", { class: "muted" }, `: ${(100 * row.average.mean).toFixed(1)} %, ${Math.round(row.tokens).toLocaleString("en")} tokens`))));
  const draw = () => put(box, scatter(known, Math.max(280, Math.min(900, box.clientWidth || 640))));
  let drawn = 0;
  new ResizeObserver(() => {
    if (Math.abs(box.clientWidth - drawn) < 2) return;
    drawn = box.clientWidth;
    draw();
  }).observe(box);
  return h("div", {}, box, list);
}

function scatter(rows, width) {
  const height = Math.round(Math.min(420, Math.max(260, width * 0.5)));
  const [left, right, top, bottom] = [44, 16, 12, 44];
  const points = rows.map((row) => ({ tokens: row.tokens, value: 100 * row.average.mean, low: 100 * Math.max(0, row.average.mean - 1.96 * (row.average.error ?? 0)), high: 100 * Math.min(1, row.average.mean + 1.96 * (row.average.error ?? 0)), label: row.label }));
  const [low, high] = range(points, { within: [0, 100] });
  const [from, to] = [Math.log10(Math.min(...points.map((p) => p.tokens)) / 1.4), Math.log10(Math.max(...points.map((p) => p.tokens)) * 1.4)];
  const x = (tokens) => left + ((Math.log10(tokens) - from) / (to - from)) * (width - left - right);
  const y = (value) => height - bottom - ((value - low) / (high - low)) * (height - top - bottom);
  const powers = [];
  for (let power = Math.floor(from); power <= Math.ceil(to); power += 1) for (const m of [1, 2, 5]) powers.push(m * 10 ** power);
  const shown = powers.filter((t) => Math.log10(t) >= from && Math.log10(t) <= to);
  return s(
    "svg",
    { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "Accuracy against tokens of an answer" },
    ticks(low, high).map((tick) => [s("line", { class: "grid-line", x1: left, x2: width - right, y1: y(tick), y2: y(tick) }), s("text", { x: left - 8, y: y(tick) + 4, "text-anchor": "end" }, tick)]),
    shown.map((t) => [s("line", { class: "grid-line", x1: x(t), x2: x(t), y1: top, y2: height - bottom }), s("text", { x: x(t), y: height - bottom + 18, "text-anchor": "middle" }, short(t))]),
    s("text", { x: (left + width - right) / 2, y: height - 6, "text-anchor": "middle" }, "tokens of an answer"),
    points.map((p) => s("line", { class: "whisker", x1: x(p.tokens), x2: x(p.tokens), y1: y(p.low), y2: y(p.high) })),
    points.map((p, i) => s("g", {}, s("title", {}, `${p.label}: ${p.value.toFixed(1)} %`), s("circle", { class: "badge", cx: x(p.tokens), cy: y(p.value), r: 9 }), s("text", { class: "badge-text", x: x(p.tokens), y: y(p.value) + 4, "text-anchor": "middle" }, i + 1))).reverse(),
  );
}

function short(value) {
  if (value >= 1e6) return `${value / 1e6}M`;
  return value >= 1e3 ? `${value / 1e3}k` : String(value);
}
