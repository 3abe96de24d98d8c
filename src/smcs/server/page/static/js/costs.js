// What an answer took, by LLM and part.

import { bdi, h, section, table } from "./dom.js";
import { count, seconds, usd } from "./format.js";

export function costs(record) {
  const trace = record.trace;
  const rows = new Map();
  const add = (llm, part, calls) => {
    const row = { llm, part, calls: 0, prompt: 0, completion: 0, seconds: 0, cost: 0 };
    for (const call of calls) {
      if (!call.finish_reason && !call.error) continue; // it was not called
      row.calls += 1;
      row.prompt += call.prompt_tokens;
      row.completion += call.completion_tokens;
      row.seconds += call.seconds;
      row.cost = row.cost === null || (call.cost_usd === null && !call.error) ? null : row.cost + (call.cost_usd ?? 0);
    }
    if (row.calls) rows.set(`${part} ${llm}`, row);
  };
  for (const reference of trace.referencers ?? []) add(reference.llm, "reference", [reference]);
  if (trace.aggregations?.length) add(trace.aggregator, "aggregation", trace.aggregations);
  const usage = record.usage;
  return section(
    "Cost and tokens",
    rows.size > 0 && table(
      ["LLM", "Part", "Samples", "Prompt tokens", "Generated tokens", "Seconds", "Cost"],
      [...rows.values()].map((row) => [bdi(row.llm), row.part, count(row.calls), count(row.prompt), count(row.completion), seconds(row.seconds), usd(row.cost)]),
      { right: [2, 3, 4, 5, 6] },
    ),
    usage && h("p", {}, `In all ${count(usage.calls)} calls, ${count(usage.prompt_tokens)} prompt tokens, ${count(usage.completion_tokens)} generated tokens, ${usd(usage.cost_usd)}, ${seconds(record.seconds)}. Samples of one request are one call.`),
  );
}
