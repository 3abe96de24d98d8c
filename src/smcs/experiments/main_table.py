"""Tables 1 and 6: every LLM, every compared system and SMCS on eight benchmarks; they differ in the token limit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from smcs.evaluation.statistics import accuracy, average
from smcs.experiments.called import Made, Setting, columns_of, measured
from smcs.experiments.exhibit import Contrast, Exhibit, Measured, Row
from smcs.experiments.printed import PrintedRow, printed, row_of, same_llm

BENCHMARKS = ("aime", "math500", "mbpp", "livecodebench", "gpqa_diamond", "mmlu_pro", "ifeval", "medmcqa")
SYSTEMS: Mapping[str, str] = {
    "symbolic-moe:variant=compared": "Symbolic-MoE*",
    "moa": "MoA",
    "self-moa:aggregated_by=aggregator": "Self-MoA",
    "self-consistency": "Self Consistency",
    "majority": "Majority Voting",
    "router": "Simple Router",
}
"""Our strategies by the paper's names for them, as the paper has them compared."""
_OPEN, _CLOSED, _OTHER, _OURS = "LLMs of the pool", "closed LLMs", "other systems", "SMCS and its bound"


def strategies(llms: Sequence[str], systems: Sequence[str]) -> tuple[str, ...]:
    """SMCS first, so that pairs are the other way round nowhere; then the systems and every LLM alone."""
    return ("smcs", *systems, *(f"single:llm={name}" for name in llms))


async def main_table(table: int, title: str, made: Made, setting: Setting, systems: Mapping[str, str]) -> Exhibit:
    """The table, with a column for each benchmark."""
    singles = {name: f"single:llm={name}" for name in setting.llms}
    rows = [Row(name, made.cells(label), _values(row_of(table, name)), _OPEN) for name, label in singles.items()]
    rows += _only_printed(table, setting.llms)
    mean, best = await _over_llms(made, list(singles.values()))
    rows.append(Row("average of the LLMs", mean, _values(row_of(table, "Open-source Average")), _OPEN))
    rows += [Row(row.label, paper=row.values, group=_CLOSED) for row in printed(table) if _is_closed(row)]
    rows += [Row(label, made.cells(label), _values(_named(table, name)), _OTHER) for label, name in systems.items()]
    bound = Row("best LLM on each benchmark", best, _values(row_of(table, "Open-source Upper Bound")), _OURS)
    rows += [bound, Row("smcs", made.cells("smcs"), _values(row_of(table, "SMCS")), _OURS)]
    columns = columns_of(made, (*BENCHMARKS, "Avg"))
    return Exhibit(
        f"Table {table}", title, setting.source, setting.described(made.comparison), columns, rows,
        contrasts=await _contrasts(table, made, list(singles.values()), systems),
        notes=[
            "The best LLM on each benchmark is chosen on the tested questions themselves: a bound, not a system, and "
            "too high where few questions are tested.",
            *_oddities(table),
            *made.report.notes,
        ],
    )  # fmt: skip


def _values(row: PrintedRow | None) -> Mapping[str, float]:
    return row.values if row else {}


def _named(table: int, name: str) -> PrintedRow | None:
    return next((row for row in printed(table) if row.label == name), None)


def _is_closed(row: PrintedRow) -> bool:
    return row.texts.get("group", "").startswith("Close-source")


def _only_printed(table: int, llms: Sequence[str]) -> list[Row]:
    """The paper's LLMs that the pool does not have."""
    ours = {same_llm(name) for name in llms}
    return [
        Row(row.label, paper=row.values, group=_OPEN)
        for row in printed(table)
        if row.texts.get("group", "").startswith("Open-source LLMs")
        and row.label != "Open-source Average"
        and same_llm(row.label) not in ours
    ]


async def _over_llms(made: Made, labels: Sequence[str]) -> tuple[dict[str, Measured], dict[str, Measured]]:
    """Mean accuracy of the LLMs, and that of the best one on each benchmark, by column."""
    grades = {label: await made.grades(label) for label in labels}
    mean, best = {}, {}
    for name in made.report.benchmarks:
        whole = [grades[label][name] for label in labels]
        accuracies = [accuracy(part) for part in whole]
        known = [estimate for estimate in accuracies if estimate.questions]
        mean[name] = accuracy(np.concatenate(whole, axis=1))  # an LLM is to the pool's mean what a seed is to an LLM's
        best[name] = max(known, key=lambda estimate: estimate.mean, default=accuracies[0])
    columns = [{name: measured(estimate) for name, estimate in part.items()} for part in (mean, best)]
    if len(mean) > 1:
        for cells, part in zip(columns, (mean, best), strict=True):
            cells["Avg"] = measured(average(part))
    return columns[0], columns[1]


async def _contrasts(table: int, made: Made, singles: Sequence[str], systems: Mapping[str, str]) -> list[Contrast]:
    """SMCS less each other system, and less the LLM with the best average."""
    known = [label for label in singles if not np.isnan(made.row(label).average.mean)]
    best = max(known, key=lambda label: made.row(label).average.mean, default=None)
    others = [*systems, *([best] if best else [])]
    return [
        _with_paper(contrast, _difference(table, systems.get(contrast.other, contrast.other.partition("=")[2])))
        for contrast in made.contrasts("smcs", others)
    ]


def _with_paper(contrast: Contrast, paper: float | None) -> Contrast:
    c = contrast
    return Contrast(c.one, c.other, c.column, c.mean, c.low, c.high, c.n, paper)


def _difference(table: int, name: str) -> float | None:
    """SMCS's printed average less another row's."""
    ours, other = row_of(table, "SMCS"), row_of(table, name)
    return ours.values["Avg"] - other.values["Avg"] if ours and other else None


def _oddities(table: int) -> list[str]:
    if table == 1:
        return ["The paper's Table 1 names Gemma-3-27b-it Gemini-3-27b-it."]
    return ["The paper's row of Llama-3.3-Nemotron-Super-49B-v1 is shifted by one column from LiveCodeBench on."]
