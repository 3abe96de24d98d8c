// The settings of a question: strategy, the method's numbers, the seed, and limits. Empty fields leave the server's.

import { h, put } from "./dom.js";

const METHOD = [
  ["k", "Referencers, K", "int"],
  ["n_aggregations", "Aggregations, n", "int"],
  ["n_drop", "Dropped from each subset", "int"],
  ["n_base", "Support set, at least", "int"],
  ["ppl_weight", "Weight of perplexity, λ", "number"],
];
const SAMPLING = [
  ["temperature", "Temperature", "number"],
  ["max_tokens", "Most tokens of a reference", "int"],
];
const LIMITS = [
  ["calls", "Calls", "int"],
  ["tokens", "Tokens", "int"],
  ["usd", "US dollars", "number"],
  ["seconds", "Seconds", "number"],
];

export class Settings {
  constructor() {
    this.fields = new Map();
    this.strategy = h("select", { id: "strategy" });
    this.options = h("input", { id: "strategy-options", type: "text", spellcheck: "false", autocomplete: "off", placeholder: "such as layers=2" });
    this.more = h("textarea", { id: "more", rows: 2, spellcheck: "false", placeholder: "one key=value a line, such as ppl_score=inverse" });
    this.element = h("div", { class: "settings" });
  }

  /** Draw the fields, with the server's values as what stands in an empty one. */
  draw(config) {
    put(this.strategy, h("option", { value: "" }, `${config.strategy} (the server's default)`), config.strategies.map((s) => h("option", { value: s.name }, s.name)));
    const method = config.settings ?? {};
    put(
      this.element,
      h("fieldset", {}, h("legend", {}, "Strategy"), h("div", { class: "fields" }, label("Strategy", this.strategy), label("Its own settings", this.options), this.#field("seed", "Seed", "int", 0, 0))),
      h("fieldset", {}, h("legend", {}, "Method"), h("div", { class: "fields" }, METHOD.map(([name, text, kind]) => this.#field(name, text, kind, method[name], name === "n_drop" || name === "ppl_weight" ? 0 : 1)), SAMPLING.map(([name, text, kind]) => this.#field(`sampling.${name}`, text, kind, method.sampling?.[name], name === "temperature" ? 0 : 1))), label("Other settings", this.more)),
      h("fieldset", {}, h("legend", {}, "Limits of this answer"), h("div", { class: "fields" }, LIMITS.map(([name, text, kind]) => this.#field(`limits.${name}`, text, kind, config.limits?.[name] ?? "none", 0)))),
    );
  }

  #field(name, text, kind, standing, least) {
    const input = h("input", { id: `f-${name.replace(".", "-")}`, type: "number", min: least, step: kind === "int" ? 1 : "any", inputmode: kind === "int" ? "numeric" : "decimal", placeholder: standing ?? "" });
    this.fields.set(name, { input, least });
    return label(text, input);
  }

  /** What was filled in, in the form that the server takes. */
  values() {
    const settings = {};
    const limits = {};
    let seed = null;
    for (const [name, { input }] of this.fields) {
      if (input.value === "" || !Number.isFinite(input.valueAsNumber)) continue;
      const value = input.valueAsNumber;
      if (name === "seed") seed = value;
      else if (name.startsWith("limits.")) limits[name.slice(7)] = value;
      else if (name.startsWith("sampling.")) (settings.sampling ??= {})[name.slice(9)] = value;
      else settings[name] = value;
    }
    const options = this.options.value.trim().replace(/[,\s]+/g, ":");
    const strategy = this.strategy.value || (options ? this.strategy.options[0].textContent.split(/[ :]/)[0] : "");
    return {
      strategy: strategy ? [strategy, options].filter(Boolean).join(":") : null,
      settings,
      overrides: this.more.value.split("\n").map((line) => line.trim()).filter(Boolean),
      limits,
      seed: seed ?? 0,
    };
  }

  /** Fill in what an earlier question was asked with. */
  set(record) {
    const [name, ...options] = (record.strategy ?? "").split(":");
    this.strategy.value = [...this.strategy.options].some((option) => option.value === name) ? name : "";
    this.options.value = this.strategy.value ? options.join(":") : "";
    const more = [];
    for (const { input } of this.fields.values()) input.value = "";
    for (const [key, value] of Object.entries(flat({ ...record.settings }))) {
      const field = this.fields.get(key === "lambda" ? "ppl_weight" : key);
      if (field) field.input.value = value;
      else if (!options.some((option) => option.startsWith(`${key}=`))) more.push(`${key}=${typeof value === "string" ? value : JSON.stringify(value)}`);
    }
    if (record.seed) this.fields.get("seed").input.value = record.seed;
    this.more.value = more.join("\n");
  }
}

function flat(values, prefix = "") {
  const out = {};
  for (const [key, value] of Object.entries(values)) {
    if (value !== null && typeof value === "object" && !Array.isArray(value)) Object.assign(out, flat(value, `${prefix}${key}.`));
    else if (value !== null) out[prefix + key] = value;
  }
  return out;
}

function label(text, control) {
  return h("label", {}, h("span", {}, text), control);
}
