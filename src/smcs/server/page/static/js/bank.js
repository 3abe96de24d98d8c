// The question bank: what each LLM is good at, how much of that is known, and where the questions come from.

import { get } from "./api.js";
import { bar } from "./bars.js";
import { bdi, empty, h, put, section, table } from "./dom.js";
import { count, percent, plural, usd, when } from "./format.js";

export async function open(place, _argument, current) {
  if (!place.firstChild) put(place, h("h1", {}, "Question bank"), empty("Reading the bank …"));
  const bank = await get("bank");
  if (!current()) return;
  put(
    place,
    h("h1", {}, "Question bank"),
    facts(bank),
    bank.llms.length ? [heat(bank), coverage(bank)] : empty("No LLM has been evaluated on this bank yet: ", h("code", {}, "smcs bank evaluate")),
    sources(bank),
  );
}

function facts(bank) {
  const list = [
    ["Questions", count(bank.questions)],
    ["LLMs", count(bank.llms.length)],
    ["Benchmarks", count(Object.keys(bank.benchmarks).length)],
    bank.made && ["Made", when(bank.made)],
    ["Embedder", bdi(bank.embedder.name)],
    ["Dimensions", count(bank.embedder.dimension)],
  ].filter(Boolean);
  return h("dl", { class: "facts" }, list.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

function heat(bank) {
  const names = Object.keys(bank.benchmarks);
  const told = h("p", { class: "told", role: "status" }, "Point at a cell, or move through them with the arrow keys.");
  const cells = [];
  const tell = (llm, name, cell) => {
    const where = name === null ? "the whole bank" : name;
    put(told, h("strong", {}, bdi(llm)), " on ", bdi(where), ": ", cell.accuracy === null ? "nothing graded" : `${percent(cell.accuracy)} % right${cell.standard_error === null ? "" : `, standard error ${percent(cell.standard_error)}`}`, `, ${count(cell.graded)} of ${plural(cell.questions, "question")} graded.`);
  };
  const box = (llm, name, cell, row, column) => {
    const level = cell.accuracy === null ? "none" : Math.min(9, Math.floor(10 * cell.accuracy));
    const button = h("td", { class: `heat heat-${level}`, tabindex: row === 0 && column === 0 ? 0 : -1, "aria-label": cell.accuracy === null ? `${llm}, ${name ?? "all"}: nothing graded` : `${llm}, ${name ?? "all"}: ${percent(cell.accuracy)} per cent`, onfocus: () => tell(llm, name, cell), onmouseenter: () => tell(llm, name, cell) }, cell.accuracy === null ? "–" : percent(cell.accuracy, 0));
    (cells[row] ??= [])[column] = button;
    return button;
  };
  const sorted = [...bank.llms].sort((a, b) => (b.total.accuracy ?? -1) - (a.total.accuracy ?? -1));
  const body = sorted.map((llm, row) => h("tr", {}, h("th", { scope: "row", title: llm.model || null }, bdi(llm.name), !llm.in_pool && h("span", { class: "muted" }, " (not in the pool)")), names.map((name, column) => box(llm.name, name, llm.benchmarks[name], row, column)), names.length > 1 && box(llm.name, null, llm.total, row, names.length)));
  const grid = h("table", { class: "heatmap", onkeydown: (event) => walk(event, cells) }, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "LLM"), names.map((name) => h("th", { scope: "col", class: "up", title: `${name}: ${plural(bank.benchmarks[name], "question")}` }, h("span", {}, bdi(name)))), names.length > 1 && h("th", { scope: "col", class: "up" }, h("span", {}, "all")))), h("tbody", {}, body));
  return section("Capability", h("p", { class: "muted" }, "Share of graded responses that are right, in per cent; best LLM first."), h("div", { class: "scroll", role: "region", "aria-label": "Capability heat map" }, grid), scale(), told);
}

function scale() {
  return h("p", { class: "scale", "aria-hidden": "true" }, "0 ", [...Array(10).keys()].map((level) => h("span", { class: `heat heat-${level}` })), " 100 %");
}

/** Arrow keys, Home and End move through the cells. */
function walk(event, cells) {
  const row = cells.findIndex((line) => line.includes(event.target));
  if (row < 0) return;
  const column = cells[row].indexOf(event.target);
  const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], Home: [0, -column], End: [0, cells[row].length - 1 - column] };
  const step = steps[event.key];
  const next = step && cells[row + step[0]]?.[column + step[1]];
  if (!next) return;
  event.preventDefault();
  event.target.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
}

function coverage(bank) {
  const full = bank.llms.some((llm) => llm.stored);
  const columns = ["LLM", "Graded", ...(full ? ["Not gradable", "Ungraded", "Failed", "Tokens", "Cut off", "Cost"] : [])];
  const rows = bank.llms.map((llm) => [
    [bdi(llm.name), llm.model && h("span", { class: "muted" }, " ", bdi(llm.model))],
    [`${count(llm.total.graded)} of ${count(llm.total.questions)}`, bar(llm.total.questions ? llm.total.graded / llm.total.questions : 0)],
    ...(full ? stored(llm.stored) : []),
  ]);
  const failures = bank.llms.filter((llm) => Object.keys(llm.stored?.failures ?? {}).length);
  return section(
    "Coverage",
    table(columns, rows, { right: columns.map((_, i) => i).slice(1) }),
    failures.map((llm) => h("p", { class: "muted" }, bdi(llm.name), " failed, and has not answered since: ", Object.entries(llm.stored.failures).map(([kind, n]) => `${n} ${kind}`).join(", "))),
  );
}

/** What only the bank's file knows of an LLM. */
function stored(known) {
  if (!known) return ["–", "–", "–", "–", "–", "–"];
  const { total, usage } = known;
  return [count(total.not_gradable), count(total.ungraded), count(total.failed), count(usage.prompt_tokens + usage.completion_tokens), count(usage.cut_off), usd(usage.cost_usd)];
}

function sources(bank) {
  const rows = bank.sources.map((source) => [bdi(source.benchmark), count(source.questions), source.graders.join(", "), source.example ? bdi(source.example) : "–"]);
  return section("Sources", table(["Benchmark", "Questions", "Graded by", "For example"], rows, { right: [1], className: "sources" }), h("p", { class: "muted" }, "Embeddings: ", bdi(bank.embedder.name), bank.embedder.revision ? [", revision ", h("code", {}, bdi(bank.embedder.revision.slice(0, 12)))] : null, "."));
}
