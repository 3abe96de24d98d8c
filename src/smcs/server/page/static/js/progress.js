// What the pool is doing, as it happens: each referencer and each aggregation with its state, tokens and seconds.

import { bdi, h, pill, put } from "./dom.js";
import { bytes, count, plural, seconds } from "./format.js";

const OVER = new Set(["done", "failed", "cancelled"]);

export class Progress {
  constructor(cancel) {
    this.cancel = h("button", { type: "button", onclick: cancel }, "Cancel");
    this.began = performance.now();
    this.rows = { reference: [], aggregation: [] };
    this.events = [];
    this.retrieval = h("p", { class: "retrieval" }, "Looking for similar questions in the bank …");
    this.fetching = h("p", { class: "fetching", hidden: true });
    this.lists = h("div", { class: "lists" });
    this.total = h("span", { class: "total" });
    this.spoken = h("p", { class: "spoken", role: "status" }, "Asking the pool.");
    this.element = h("div", { class: "progress" }, h("p", { class: "status-line" }, this.spoken, h("span", { class: "actions" }, this.total, this.cancel)), this.fetching, this.retrieval, this.lists);
    this.timer = setInterval(() => this.tick(), 200);
  }

  /** Take up an event of the stream. */
  see(event) {
    const handler = { retrieved: "retrieved", planned: "planned", call: "call", scored: "scored", fetching: "fetch", queued: "queued" }[event.event];
    if (handler) this[handler](event);
  }

  queued(event) {
    this.spoken.textContent = event.message ?? "Waiting for other questions to be answered first.";
  }

  retrieved(event) {
    const counts = new Map();
    for (const item of event.support) counts.set(item.benchmark, (counts.get(item.benchmark) ?? 0) + 1);
    const parts = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 4).map(([name, n]) => `${name} ${n}`);
    put(this.retrieval, `${plural(event.support.length, "similar question")} of the bank`, parts.length ? [" (", bdi(parts.join(", ")), ")"] : null, ` in ${seconds(event.seconds)}`);
  }

  planned(event) {
    this.retrieval.hidden = this.retrieval.textContent.endsWith("…");
    this.rows.reference = event.referencers.map((name) => new Row(bdi(name)));
    this.rows.aggregation = event.subsets.map((subset, i) => new Row(subsetLabel(i, subset, event.referencers)));
    put(
      this.lists,
      group(event.subsets.length ? "References" : "Calls", this.rows.reference),
      event.subsets.length > 0 && group(["Aggregations by ", bdi(event.aggregator)], this.rows.aggregation),
    );
    this.speak();
  }

  call(event) {
    const row = this.rows[event.stage]?.[event.index];
    if (!row) return;
    const before = row.state;
    row.update(event);
    if (event.state !== before) {
      this.events.push({ stage: event.stage, index: event.index, llm: event.llm, state: event.state, at_s: event.at_s, tokens: event.tokens, message: event.message });
      this.speak();
    }
  }

  scored(event) {
    for (const [i, aggregation] of event.aggregations.entries()) this.rows.aggregation[i]?.scored(aggregation.score, i === event.winner);
  }

  fetch(event) {
    this.fetching.hidden = event.total !== null && event.done >= event.total;
    put(this.fetching, "Fetching ", bdi(event.file), `: ${bytes(event.done)}${event.total ? ` of ${bytes(event.total)}` : ""}`);
  }

  speak() {
    const over = (rows) => rows.filter((row) => OVER.has(row.state)).length;
    const { reference, aggregation } = this.rows;
    const parts = [`${over(reference)} of ${reference.length} ${aggregation.length ? "references" : "calls"}`];
    if (aggregation.length) parts.push(`${over(aggregation)} of ${aggregation.length} aggregations`);
    const text = `${parts.join(", ")}.`;
    if (this.spoken.textContent !== text) this.spoken.textContent = text;
  }

  tick() {
    this.total.textContent = seconds((performance.now() - this.began) / 1000);
    for (const row of [...this.rows.reference, ...this.rows.aggregation]) row.tick();
  }

  stop(text) {
    clearInterval(this.timer);
    this.tick();
    this.cancel.hidden = true;
    if (text) this.spoken.textContent = text;
    for (const row of [...this.rows.reference, ...this.rows.aggregation]) row.stop();
  }
}

class Row {
  constructor(label) {
    this.state = "waiting";
    this.since = null;
    this.cells = {
      state: h("td", {}, pill("waiting")), tokens: h("td", { class: "num" }), seconds: h("td", { class: "num" }), note: h("td", { class: "note" }),
    };
    this.element = h("tr", {}, h("th", { scope: "row" }, label), this.cells.state, this.cells.tokens, this.cells.seconds, this.cells.note);
  }

  update(event) {
    if (this.state !== event.state) put(this.cells.state, pill(event.state));
    this.state = event.state;
    this.since = OVER.has(event.state) || event.state === "waiting" ? null : performance.now() - 1000 * event.seconds;
    if (event.tokens) this.cells.tokens.textContent = count(event.tokens);
    if (this.since === null && event.state !== "waiting") this.cells.seconds.textContent = seconds(event.seconds);
    if (event.message) put(this.cells.note, bdi(event.message));
  }

  scored(score, winner) {
    put(this.cells.note, winner && pill("winner"), score === null || score === undefined ? null : ` score ${score.toFixed(3)}`);
  }

  tick() {
    if (this.since !== null) this.cells.seconds.textContent = seconds((performance.now() - this.since) / 1000);
  }

  stop() {
    this.since = null;
    if (!OVER.has(this.state)) put(this.cells.state, pill(this.state = "cancelled"));
  }
}

function group(title, rows) {
  return h(
    "table",
    { class: "calls" },
    h("caption", {}, title),
    h("thead", { class: "hidden-head" }, h("tr", {}, ["", "state", "tokens", "seconds", "note"].map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, rows.map((row) => row.element)),
  );
}

/** Which references an aggregation sees, by their numbers. */
export function subsetLabel(index, subset, referencers) {
  const dropped = referencers.filter((name) => !subset.includes(name));
  const shown = referencers.map((name, i) => h("span", { class: subset.includes(name) ? "kept" : "dropped", "aria-hidden": "true" }, i + 1));
  const told = dropped.length ? `without ${dropped.join(", ")}` : "all references";
  return h("span", { class: "subset", title: told }, `${index + 1} `, shown, h("span", { class: "unseen" }, ` ${told}`));
}
