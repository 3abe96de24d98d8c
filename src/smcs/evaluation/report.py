"""What an evaluation came to: accuracy, cost and latency of each strategy, and how sure each difference is."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from smcs.evaluation.run import Tested
from smcs.evaluation.statistics import (
    Difference,
    Estimate,
    FloatArray,
    accuracy,
    average,
    over_seeds,
    paired_difference,
)
from smcs.evaluation.store import ResultsStore, StoredAnswer


class Evaluated(Protocol):
    """A strategy whose answers are stored: what decided them, and what tables call it."""

    @property
    def digest(self) -> str:
        """Hash of all that decided its answers."""
        ...

    @property
    def label(self) -> str:
        """What tables call it."""
        ...


@dataclass(frozen=True, slots=True)
class StrategyRow:
    """How one strategy did. Tokens, calls and cost are means of an answer, as if its strategy had run alone.

    Attributes:
        benchmarks: accuracy on each benchmark.
        average: unweighted over the benchmarks.
        answers: that were given.
        not_graded: answers that have no grade.
        failed: questions and seeds to which it gave no answer.
        incomplete: answers that were made though a call failed.
        cost_usd: None where a price is not known.
        latency_mean_s: of the longest chain of an answer's calls; waiting for a free place is not in it.
    """

    label: str
    benchmarks: Mapping[str, Estimate]
    average: Estimate
    answers: int
    not_graded: int
    failed: int
    incomplete: int
    calls: float
    prompt_tokens: float
    completion_tokens: float
    cost_usd: float | None
    latency_mean_s: float
    latency_p95_s: float

    @property
    def tokens(self) -> float:
        """Of prompt and answers."""
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True, slots=True)
class Pair:
    """Two strategies compared: the first less the second."""

    one: str
    other: str
    difference: Difference


@dataclass(frozen=True, slots=True)
class Report:
    """What an evaluation came to.

    Attributes:
        benchmarks: number of questions of each.
        seeds: repetitions of everything.
        pool: names of the LLMs.
        notes: what a reader has to know, in words.
    """

    rows: tuple[StrategyRow, ...]
    pairs: tuple[Pair, ...]
    benchmarks: Mapping[str, int]
    seeds: int
    pool: tuple[str, ...]
    bank: str = ""
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The JSON form; what is not known is null."""
        rows = [{**dataclasses.asdict(row), "tokens": row.tokens} for row in self.rows]
        pairs = [{"one": p.one, "other": p.other, **dataclasses.asdict(p.difference)} for p in self.pairs]
        known: dict[str, Any] = _without_nan(
            {
                "benchmarks": dict(self.benchmarks),
                "seeds": self.seeds,
                "pool": list(self.pool),
                "bank": self.bank,
                "strategies": rows,
                "pairs": pairs,
                "notes": list(self.notes),
            }
        )
        return known


async def make_report(
    store: ResultsStore,
    setups: Sequence[Evaluated],
    tested: Sequence[Tested],
    seeds: int,
    *,
    pool: Sequence[str],
    bank: str = "",
    notes: Sequence[str] = (),
) -> Report:
    """Add up what the store holds of an evaluation.

    Args:
        pool: names of the LLMs.
        bank: what to call the question bank.
        notes: what a reader has to know.
    """
    rows: list[StrategyRow] = []
    correct: dict[str, dict[str, FloatArray]] = {}
    for setup in setups:
        answers, correct[setup.label] = await answers_and_grades(store, setup.digest, tested, seeds)
        rows.append(_row(setup.label, answers, correct[setup.label]))
    labels = list(correct)
    pairs = [
        Pair(one, other, paired_difference(correct[one], correct[other]))
        for i, one in enumerate(labels)
        for other in labels[i + 1 :]
    ]
    return Report(
        rows=tuple(rows),
        pairs=tuple(pairs),
        benchmarks=Counter(one.question.benchmark for one in tested),
        seeds=seeds,
        pool=tuple(pool),
        bank=bank,
        notes=(*notes, *_notes(rows, correct, seeds)),
    )


async def answers_and_grades(
    store: ResultsStore, setup: str, tested: Sequence[Tested], seeds: int
) -> tuple[list[StoredAnswer], dict[str, FloatArray]]:
    """The stored answers of a setup to these questions, and their grades.

    Returns:
        The answers, and by benchmark an array of shape (Q, S), 0 or 1; nan where there is no grade. Questions stand in
        the order of `tested`.
    """
    places: dict[str, dict[str, int]] = {}
    for one in tested:
        part = places.setdefault(one.question.benchmark, {})
        part[one.digest] = len(part)
    answers = [
        answer
        for (digest, seed), answer in (await store.answers(setup)).items()
        if seed < seeds and any(digest in part for part in places.values())
    ]
    return answers, {name: _graded(answers, part, seeds) for name, part in places.items()}


def _graded(answers: Sequence[StoredAnswer], places: Mapping[str, int], seeds: int) -> FloatArray:
    """Grades of one benchmark as an array of shape (Q, S)."""
    grades = np.full((len(places), seeds), np.nan)
    for answer in answers:
        if answer.key.question in places and answer.correct is not None:
            grades[places[answer.key.question], answer.key.seed] = answer.correct
    return grades


def _row(label: str, answers: Sequence[StoredAnswer], correct: Mapping[str, FloatArray]) -> StrategyRow:
    given = [a for a in answers if a.text is not None]
    estimates = {name: accuracy(grades) for name, grades in correct.items()}
    costs = [a.cost_usd for a in given]
    latency = np.array([a.latency_s for a in given])
    return StrategyRow(
        label=label,
        benchmarks=estimates,
        average=average(estimates),
        answers=len(given),
        not_graded=sum(a.correct is None for a in given),
        failed=len(answers) - len(given),
        incomplete=sum(a.failed_calls > 0 for a in given),
        calls=_mean([a.calls for a in given]),
        prompt_tokens=_mean([a.prompt_tokens for a in given]),
        completion_tokens=_mean([a.completion_tokens for a in given]),
        cost_usd=None if None in costs or not costs else _mean([cost for cost in costs if cost is not None]),
        latency_mean_s=_mean(latency.tolist()),
        latency_p95_s=float(np.quantile(latency, 0.95)) if latency.size else float("nan"),
    )


def _notes(rows: Sequence[StrategyRow], correct: Mapping[str, Mapping[str, FloatArray]], seeds: int) -> list[str]:
    """What makes the comparison less than it seems."""
    notes: list[str] = []
    for row in rows:
        planned = sum(len(grades) for grades in correct[row.label].values()) * seeds
        there = row.answers + row.failed
        if there < planned:
            notes.append(f"{row.label}: {planned - there} of {planned} answers are still to be given.")
        if row.failed:
            notes.append(f"{row.label}: {row.failed} answers could not be given; its accuracy is over the others.")
        if row.incomplete:
            notes.append(f"{row.label}: {row.incomplete} answers were made though a call of theirs failed.")
        if row.not_graded:
            notes.append(f"{row.label}: {row.not_graded} answers have no grade.")
    common = [
        int(np.logical_and.reduce([~np.isnan(over_seeds(grades[name])) for grades in correct.values()]).sum())
        for name in next(iter(correct.values()), {})
    ]
    if common and sum(common) < 30:
        notes.append(f"Only {sum(common)} questions are answered by all strategies: intervals are wide and rough.")
    return notes


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
