// Evaluations: tables and plots of the results files of `smcs eval` that the server was told of.

import { get } from "./api.js";
import { bdi, empty, h, pill, problem, put, section, table } from "./dom.js";
import { count, fixed, percent, plural, seconds, signed, usd, when } from "./format.js";
import { againstTokens, intervals } from "./plots.js";

const view = {};

export async function open(place, id, current) {
  if (!place.firstChild) put(place, h("h1", {}, "Runs"), empty("Reading the results …"));
  const found = await get("runs");
  if (!current()) return;
  const problems = found.problems.map((message) => problem({ message }));
  if (!found.runs.length) {
    put(place, h("h1", {}, "Runs"), problems, found.files ? empty("The results files hold no run yet.") : empty("This server was told of no results. Compare strategies with ", h("code", {}, "smcs eval --results FILE"), " and start it with ", h("code", {}, "smcs serve --results FILE"), "."));
    return;
  }
  const chosen = found.runs.find((run) => run.id === id) ?? found.runs[0];
  const select = h("select", { id: "run", onchange: (event) => (location.hash = `#/runs/${encodeURIComponent(event.target.value)}`) }, found.runs.map((run) => h("option", { value: run.id, selected: run === chosen }, `${run.file}, ${when(run.made)}: ${plural(run.strategies.length, "strategy", "strategies")}`)));
  const body = h("div", {}, empty("Counting …"));
  put(place, h("h1", {}, "Runs"), problems, found.runs.length > 1 ? h("p", {}, h("label", { for: "run" }, "Run "), select) : null, body);
  try {
    const report = await get(`runs/${encodeURIComponent(chosen.id)}`);
    if (current()) put(body, draw(report));
  } catch (error) {
    put(body, problem(error));
  }
}

function draw(report) {
  const questions = Object.values(report.benchmarks).reduce((sum, n) => sum + n, 0);
  const best = [...report.strategies].sort((a, b) => (b.average.mean ?? -1) - (a.average.mean ?? -1));
  view.reference = view.reference && report.strategies.some((row) => row.label === view.reference) ? view.reference : report.strategies[0]?.label;
  return [
    h("p", {}, `${plural(questions, "question")} of `, bdi(Object.keys(report.benchmarks).join(", ")), `, ${plural(report.seeds, "seed")}, ${plural(report.pool.length, "LLM")} called (`, bdi(report.pool.join(", ")), "). From ", h("code", {}, bdi(report.file)), `, begun ${when(report.made)}.`),
    report.notes.length > 0 && h("ul", { class: "notes" }, report.notes.map((note) => h("li", {}, bdi(note)))),
    accuracies(report, best),
    plot("Accuracy", "Per cent right, with 95% intervals.", intervals(best.filter((row) => row.average.mean !== null).map((row) => interval(row)), { unit: "%" })),
    report.pairs.length > 0 && differences(report),
    plot("Accuracy against tokens", "Tokens of an answer, prompts included; up and to the left is better.", againstTokens(best)),
    h("p", { class: "muted" }, "Calls, tokens, cost and latency are means of one answer, as if its strategy had run alone. Intervals of differences: bootstrap over questions."),
  ];
}

function plot(title, told, drawing) {
  return section(title, h("p", { class: "muted" }, told), drawing);
}

function interval(row) {
  const half = 1.96 * (row.average.error ?? 0);
  return { label: row.label, value: 100 * row.average.mean, low: 100 * Math.max(0, row.average.mean - half), high: 100 * Math.min(1, row.average.mean + half) };
}

function accuracies(report, best) {
  const names = Object.keys(report.benchmarks);
  const columns = ["Strategy", ...names.map((name) => `${name} (${count(report.benchmarks[name])})`), names.length > 1 && "Average", "Answers", "Calls", "Tokens", "Cost", "Latency", "p95"].filter(Boolean);
  const rows = best.map((row) => [bdi(row.label), ...names.map((name) => estimate(row.benchmarks[name])), ...(names.length > 1 ? [estimate(row.average)] : []), count(row.answers), fixed(row.calls, 1), count(row.tokens === null ? null : Math.round(row.tokens)), usd(row.cost_usd), seconds(row.latency_mean_s), seconds(row.latency_p95_s)]);
  return section("Strategies", h("p", { class: "muted" }, "Accuracy in per cent with its standard error over questions; best first."), table(columns, rows, { right: columns.map((_, i) => i).slice(1), className: "figures" }));
}

function estimate(value) {
  return value.mean === null ? "–" : [percent(value.mean), value.error === null ? null : h("span", { class: "muted" }, ` ±${percent(value.error)}`)];
}

function differences(report) {
  const body = h("div");
  const select = h("select", { id: "reference", onchange: (event) => { view.reference = event.target.value; fill(); } }, report.strategies.map((row) => h("option", { value: row.label, selected: row.label === view.reference }, row.label)));
  const fill = () => {
    const turned = report.pairs.flatMap((pair) => (pair.one === view.reference ? [pair] : pair.other === view.reference ? [{ ...pair, one: pair.other, other: pair.one, mean: negative(pair.mean), low: negative(pair.high), high: negative(pair.low) }] : []));
    const known = turned.filter((pair) => pair.mean !== null).sort((a, b) => b.mean - a.mean);
    put(
      body,
      intervals(known.map((pair) => ({ label: `less ${pair.other}`, value: 100 * pair.mean, low: 100 * pair.low, high: 100 * pair.high })), { zero: true, unit: "points" }),
      table(["Against", "Difference", "95% interval", "Questions", ""], turned.map((pair) => [bdi(pair.other), pair.mean === null ? "–" : signed(100 * pair.mean), pair.mean === null ? "–" : `${signed(100 * pair.low)} to ${signed(100 * pair.high)}`, count(pair.questions), verdict(pair)]), { right: [1, 2, 3] }),
    );
  };
  fill();
  return section("Paired differences", h("p", {}, h("label", { for: "reference" }, "Of "), select, h("span", { class: "muted" }, " less each other strategy, in points of per cent, on the questions that both answered.")), body);
}

function negative(value) {
  return value === null ? null : -value;
}

function verdict(pair) {
  if (pair.mean === null || (pair.low <= 0 && pair.high >= 0)) return h("span", { class: "muted" }, "not clear");
  return pair.mean > 0 ? pill("better", "done") : pill("worse", "failed");
}
