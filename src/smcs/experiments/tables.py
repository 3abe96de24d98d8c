"""The study's figures as tables: for the terminal, for Markdown and for a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from smcs.experiments.figures import Json

_SWEPT = {"leave-out": "without", "k": "k", "pool-size": "llms", "bank-size": "bank_questions", "transfer": "bank"}
_HEADINGS = {"without": "without", "k": "K", "llms": "LLMs", "bank_questions": "bank questions", "bank": "bank"}


@dataclass(frozen=True, slots=True)
class Table:
    """A heading, columns and rows of cells.

    Attributes:
        key: name for files.
        text: how many columns on the left are text; the others are figures.
    """

    key: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    text: int = 1

    def markdown(self) -> str:
        """As Markdown, the title as a heading."""
        rule = ["---"] * self.text + ["---:"] * (len(self.columns) - self.text)
        lines = [self.columns, rule, *self.rows]
        return "\n".join([f"### {self.title}", "", *("| " + " | ".join(line) + " |" for line in lines)]) + "\n"

    def csv(self) -> str:
        """As comma-separated values."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerows([self.columns, *self.rows])
        return out.getvalue()


def tables_of(study: Json) -> list[Table]:
    """Every table of a study."""
    made = []
    for name, row in study["benchmarks"].items():
        made += [_strategies(name, row), _differences(name, row), _priors(name, row), _outside(name, row)]
    for part, rows in study["parts"].items():
        for benchmark in dict.fromkeys(row["benchmark"] for row in rows):
            made += _part(part, benchmark, [row for row in rows if row["benchmark"] == benchmark])
    return [table for table in made if table.rows]


def percent(value: float | None, digits: int = 2) -> str:
    """A fraction in per cent; a dash for what there is not."""
    return "-" if value is None else f"{100 * value:.{digits}f}"


def with_error(value: Mapping[str, Any], error: str = "standard_error") -> str:
    """An accuracy in per cent with its standard error (or its deviation over draws)."""
    spread = value.get(error)
    return percent(value["accuracy"]) + ("" if spread is None else f" ± {100 * spread:.2f}")


def interval(value: Mapping[str, Any]) -> str:
    """A 95% interval in points of per cent."""
    if value.get("low") is None:
        return "-"
    return f"[{100 * value['low']:+.2f}, {100 * value['high']:+.2f}]"


def _strategies(name: str, row: Json) -> Table:
    bank = ", ".join(f"{key} {count}" for key, count in row["bank"].items())
    title = f"{name}: {row['test_questions']} questions, {len(row['llms'])} LLMs, K = {row['k']}, bank: {bank}"
    cells = [
        (label, percent(value["accuracy"]), percent(value["standard_error"]), str(value["n"]))
        for label, value in _ordered(row["strategies"])
    ]
    return Table(f"{name}-strategies", title, ("strategy", "accuracy, %", "standard error", "n"), tuple(cells))


def _ordered(strategies: Mapping[str, Json]) -> Iterable[tuple[str, Json]]:
    """The single LLMs last, best first."""
    together = [item for item in strategies.items() if not item[0].startswith("single:")]
    alone = [item for item in strategies.items() if item[0].startswith("single:")]
    return [*together, *sorted(alone, key=lambda item: -(item[1]["accuracy"] or 0))]


def _differences(name: str, row: Json) -> Table:
    cells = [
        (f"{d['one']} less {d['other']}", f"{100 * d['mean']:+.2f}", interval(d), _p_value(d["p_value"]), str(d["n"]))
        for d in row.get("differences", [])
    ]
    columns = ("paired difference, points", "mean", "95% interval", "McNemar p", "n")
    return Table(f"{name}-differences", f"{name}: paired differences", columns, tuple(cells))


def _p_value(value: float) -> str:
    return f"{value:.2g}" if value else "< 0.000001"


def _priors(name: str, row: Json) -> Table:
    cells = [
        (
            prior,
            f"{value['pairwise_ranking_score']:.4f}",
            _ranked(value.get("minus_equation4")),
            _ranked(value.get("minus_global")),
            str(value["pairs"]),
        )
        for prior, value in row["priors"].items()
        if value["pairwise_ranking_score"] is not None
    ]
    columns = ("prior", "pairwise ranking score", "less Equation 4", "less overall accuracy", "pairs")
    return Table(f"{name}-priors", f"{name}: how priors rank LLMs", columns, tuple(cells))


def _ranked(value: Mapping[str, Any] | None) -> str:
    return "" if value is None else f"{value['mean']:+.4f} [{value['low']:+.4f}, {value['high']:+.4f}]"


def _outside(name: str, row: Json) -> Table:
    found = sorted(row["outside_references"].items(), key=lambda item: -item[1]["accuracy"])
    cells = tuple((llm, percent(v["accuracy"]), percent(v["standard_error"]), str(v["n"])) for llm, v in found)
    columns = ("LLM outside the pool", "accuracy, %", "standard error", "n")
    return Table(f"{name}-outside", f"{name}: LLMs outside the pool, for reference", columns, cells)


def _part(part: str, benchmark: str, rows: Sequence[Json]) -> list[Table]:
    swept = _SWEPT[part]
    labels = list(dict.fromkeys(label for row in rows for label in row["strategies"]))
    error = "standard_deviation" if part in {"pool-size", "bank-size"} else "standard_error"
    cells = [
        (
            *_place(part, row),
            *(with_error(row["strategies"][x], error) if x in row["strategies"] else "" for x in labels),
        )
        for row in rows
    ]
    spread = "standard deviation over draws" if error == "standard_deviation" else "standard error"
    first = ("without the strongest", "K") if part == "k" else (_HEADINGS[swept],)
    n = next((value["n"] for row in rows for value in row["strategies"].values()), 0)
    title = f"{benchmark}: {part}, accuracy in % ± {spread}, n = {n}"
    made = [Table(f"{benchmark}-{part}", title, (*first, *labels), tuple(cells), len(first))]
    priors = list(dict.fromkeys(prior for row in rows for prior in row.get("priors", {})))
    if priors:
        ranks = [
            (*_place(part, row), *(_score(row["priors"].get(prior)) for prior in priors)) for row in rows
        ]  # fmt: skip
        heading = f"{benchmark}: {part}, pairwise ranking scores"
        made.append(Table(f"{benchmark}-{part}-priors", heading, (*first, *priors), tuple(ranks), len(first)))
    pairs = [
        (*_place(part, row), f"{d['one']} less {d['other']}", f"{100 * d['mean']:+.2f}", interval(d))
        for row in rows
        for d in row.get("differences", [])
    ]
    columns = (*first, "paired difference, points", "mean", "95% interval")
    made.append(
        Table(f"{benchmark}-{part}-differences", f"{benchmark}: {part}, paired", columns, tuple(pairs), len(first) + 1)
    )
    return made


def _place(part: str, row: Json) -> tuple[str, ...]:
    if part == "k":
        return str(row["without"]), str(row["k"])
    value = row[_SWEPT[part]]
    return (", ".join(value) or "none",) if isinstance(value, list) else (str(value),)


def _score(value: Mapping[str, Any] | None) -> str:
    score = None if value is None else value["pairwise_ranking_score"]
    return "" if score is None else f"{score:.4f}"
