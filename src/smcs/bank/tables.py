"""What a bank holds, counted: capability by LLM and benchmark, coverage, failures, cost."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, case, func, select

from smcs.bank import schema
from smcs.bank.store import BankStore, StoredLLM
from smcs.types import EmbedderInfo


@dataclass(frozen=True, slots=True)
class Cell:
    """How one LLM does on one benchmark, or on all.

    Attributes:
        questions: that there are.
        correct: responses graded as correct.
        graded: responses that have a grade.
        not_gradable: responses that cannot be graded.
        ungraded: responses that wait for a grade.
        failed: questions without a response whose call failed.
    """

    questions: int
    correct: int = 0
    graded: int = 0
    not_gradable: int = 0
    ungraded: int = 0
    failed: int = 0

    @property
    def accuracy(self) -> float | None:
        """Share of correct among the graded; None where there is none."""
        return self.correct / self.graded if self.graded else None

    @property
    def standard_error(self) -> float | None:
        """Of the accuracy, as of a sample of independent questions; None below two."""
        if self.graded < 2 or self.accuracy is None:
            return None
        return math.sqrt(self.accuracy * (1 - self.accuracy) / (self.graded - 1))

    @property
    def answered(self) -> int:
        """Questions with a response."""
        return self.graded + self.not_gradable + self.ungraded

    def __add__(self, other: Cell) -> Cell:
        return Cell(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))


@dataclass(frozen=True, slots=True)
class Usage:
    """What the calls to one LLM took, those of earlier settings included.

    Attributes:
        cut_off: answers that the token limit ended.
        cost_usd: None where the price of some call is not known.
    """

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cut_off: int = 0
    seconds: float = 0.0
    cost_usd: float | None = 0.0


@dataclass(frozen=True, slots=True)
class LLMSummary:
    """One LLM of a bank.

    Attributes:
        benchmarks: how it does on each.
        failures: questions without a response, by the kind of failure.
    """

    llm: StoredLLM
    benchmarks: Mapping[str, Cell]
    usage: Usage
    failures: Mapping[str, int] = field(default_factory=dict)

    @property
    def total(self) -> Cell:
        """How it does on the whole bank."""
        return sum(self.benchmarks.values(), Cell(0))


@dataclass(frozen=True, slots=True)
class BankSummary:
    """What a bank holds.

    Attributes:
        benchmarks: number of questions of each, in the bank's order.
        splits: number of questions of each split.
        made: when, in seconds since 1970.
    """

    embedder: EmbedderInfo
    version: int
    made: float
    benchmarks: Mapping[str, int]
    splits: Mapping[str, int]
    llms: tuple[LLMSummary, ...]

    @property
    def questions(self) -> int:
        """Number of questions."""
        return sum(self.benchmarks.values())

    def to_dict(self) -> dict[str, Any]:
        """The JSON form that ``smcs bank show --json`` prints."""
        return {
            "format_version": self.version,
            "made": self.made,
            "embedder": {name: getattr(self.embedder, name) for name in self.embedder.__slots__},
            "questions": self.questions,
            "benchmarks": dict(self.benchmarks),
            "splits": dict(self.splits),
            "llms": [_llm_to_dict(llm) for llm in self.llms],
        }


def summary(store: BankStore) -> BankSummary:
    """Count what a bank holds."""
    with store.reading() as connection:
        benchmarks = _benchmarks(connection)
        cells = _cells(connection, benchmarks)
        failures = _failures(connection)
        usage = _usage(connection)
        splits = dict(_rows(connection, select(schema.questions.c.split, func.count()).group_by("split")))
    empty = {name: Cell(count) for name, count in benchmarks.items()}
    return BankSummary(
        embedder=store.embedder,
        version=int(store.properties["version"]),
        made=float(store.properties["made"]),
        benchmarks=benchmarks,
        splits=splits,
        llms=tuple(
            LLMSummary(
                llm,
                _with_failures({**empty, **cells.get(llm.seq, {})}, failures.get(llm.seq, {})),
                usage.get(llm.seq, Usage()),
                _by_kind(failures.get(llm.seq, {})),
            )
            for llm in store.llms()
        ),
    )


def _benchmarks(connection: Connection) -> dict[str, int]:
    questions = schema.questions
    query = select(questions.c.benchmark, func.count()).group_by("benchmark").order_by(func.min(questions.c.seq))
    return dict(_rows(connection, query))


def _cells(connection: Connection, benchmarks: Mapping[str, int]) -> dict[int, dict[str, Cell]]:
    responses, questions = schema.responses, schema.questions
    query = (
        select(
            responses.c.llm,
            questions.c.benchmark,
            func.count(),
            func.count(responses.c.correct),
            func.coalesce(func.sum(responses.c.correct), 0),
            func.sum(responses.c.graded),
        )
        .join(questions, questions.c.seq == responses.c.question)
        .group_by(responses.c.llm, questions.c.benchmark)
    )
    cells: dict[int, dict[str, Cell]] = {}
    for llm, benchmark, answered, graded, correct, looked_at in connection.execute(query):
        cells.setdefault(llm, {})[benchmark] = Cell(
            questions=benchmarks[benchmark],
            correct=int(correct),
            graded=graded,
            not_gradable=int(looked_at) - graded,
            ungraded=answered - int(looked_at),
        )
    return cells


def _failures(connection: Connection) -> dict[int, dict[tuple[str, str], int]]:
    """Questions without a response whose call failed, by LLM, benchmark and kind of failure."""
    failures, questions, responses = schema.failures, schema.questions, schema.responses
    answered = (responses.c.llm == failures.c.llm) & (responses.c.question == failures.c.question)
    query = (
        select(failures.c.llm, questions.c.benchmark, failures.c.kind, func.count())
        .join(questions, questions.c.seq == failures.c.question)
        .join(responses, answered, isouter=True)
        .where(responses.c.llm.is_(None))
        .group_by(failures.c.llm, questions.c.benchmark, failures.c.kind)
    )
    found: dict[int, dict[tuple[str, str], int]] = {}
    for llm, benchmark, kind, count in connection.execute(query):
        found.setdefault(llm, {})[benchmark, kind] = count
    return found


def _with_failures(cells: dict[str, Cell], failures: Mapping[tuple[str, str], int]) -> dict[str, Cell]:
    for (benchmark, _), count in failures.items():
        cells[benchmark] += Cell(0, failed=count)
    return cells


def _by_kind(failures: Mapping[tuple[str, str], int]) -> dict[str, int]:
    kinds: dict[str, int] = {}
    for (_, kind), count in failures.items():
        kinds[kind] = kinds.get(kind, 0) + count
    return kinds


def _usage(connection: Connection) -> dict[int, Usage]:
    calls = schema.calls
    query = select(
        calls.c.llm,
        func.count(),
        func.sum(calls.c.prompt_tokens),
        func.sum(calls.c.completion_tokens),
        func.sum(case((calls.c.finish_reason == "length", 1), else_=0)),
        func.sum(calls.c.seconds),
        func.sum(calls.c.cost_usd),
        func.count(calls.c.cost_usd),
    ).group_by(calls.c.llm)
    return {
        llm: Usage(
            count, int(prompt), int(completion), int(cut_off), float(seconds), float(cost) if priced == count else None
        )
        for llm, count, prompt, completion, cut_off, seconds, cost, priced in connection.execute(query)
    }


def _rows(connection: Connection, query: Any) -> list[tuple[str, int]]:
    return [(name, count) for name, count in connection.execute(query)]


def _llm_to_dict(summary: LLMSummary) -> dict[str, Any]:
    return {
        "name": summary.llm.name,
        "backend": summary.llm.backend,
        "model": summary.llm.model,
        "total": _cell_to_dict(summary.total),
        "benchmarks": {name: _cell_to_dict(cell) for name, cell in summary.benchmarks.items()},
        "failures": dict(summary.failures),
        "usage": {name: getattr(summary.usage, name) for name in summary.usage.__slots__},
    }


def _cell_to_dict(cell: Cell) -> dict[str, Any]:
    counts = {name: getattr(cell, name) for name in cell.__slots__}
    return {"accuracy": cell.accuracy, "standard_error": cell.standard_error, **counts}
