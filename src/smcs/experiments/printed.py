"""The figures that the paper prints, to stand beside ours. They ship as CSV files, as printed, misprints included."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from smcs.errors import ConfigError

BENCHMARKS: Mapping[str, str] = {
    "AIME": "aime",
    "MATH": "math500",
    "MATH-500": "math500",
    "MBPP": "mbpp",
    "LiveCodeBench": "livecodebench",
    "GPQA-Diamond": "gpqa_diamond",
    "MMLU-PRO": "mmlu_pro",
    "IFEval": "ifeval",
    "MedMCQA": "medmcqa",
}
"""Benchmarks by what the paper's columns call them."""

_FILES = {
    1: "table1_main_8192_tokens.csv",
    2: "table2_cost_latency.csv",
    3: "table3_question_banks.csv",
    4: "table4_pairwise_ranking_score.csv",
    5: "table5_llm_bank.csv",
    6: "table6_main_32768_tokens.csv",
    7: "table7_three_seeds.csv",
    8: "table8_components_as_printed.csv",
}
_MISPRINTS = {"gemini327bit": "gemma327bit", "huatogpto172b": "huatuogpto172b"}


@dataclass(frozen=True, slots=True)
class PrintedRow:
    """A row of one of the paper's tables.

    Attributes:
        label: what its first text column says.
        texts: its other columns of text, by heading.
        values: its figures, by our name of a benchmark where the heading is one.
    """

    label: str
    texts: Mapping[str, str]
    values: Mapping[str, float]


@cache
def printed(table: int) -> tuple[PrintedRow, ...]:
    """The rows of a table as printed.

    Raises:
        ConfigError: there is no such table.
    """
    if table not in _FILES:
        raise ConfigError(f"the paper has no table {table} (it has: {', '.join(map(str, _FILES))})")
    text = (files("smcs") / "data" / "paper" / _FILES[table]).read_text(encoding="utf-8")
    return tuple(_row(row) for row in csv.DictReader(text.splitlines()))


def row_of(table: int, label: str) -> PrintedRow | None:
    """The row with this label, an LLM's name being the same however it is written; None where there is none."""
    wanted = same_llm(label)
    return next((row for row in printed(table) if same_llm(row.label) == wanted), None)


def same_llm(name: str) -> str:
    """A name without what differs between the paper's tables and a pool file: case, signs and two misprints."""
    core = re.sub(r"[^a-z0-9]", "", name.rpartition("/")[2].lower())
    return _MISPRINTS.get(core, core)


def _row(row: Mapping[str, str]) -> PrintedRow:
    values = {BENCHMARKS.get(key, key): float(cell) for key, cell in row.items() if _is_figure(cell)}
    texts = {key: cell for key, cell in row.items() if not _is_figure(cell)}
    heading = next(name for name in ("system", "llm", "method", "benchmark", "question_bank", "RPS") if name in texts)
    return PrintedRow(texts.pop(heading), texts, values)


def _is_figure(cell: str) -> bool:
    return re.fullmatch(r"-?\d+(\.\d+)?", cell) is not None
