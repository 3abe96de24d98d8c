"""A bank's capability counted by groups of questions: its benchmarks, or what a key of their metadata says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from smcs.bank.arrays import QuestionBank
from smcs.errors import ConfigError
from smcs.registry import did_you_mean
from smcs.types import Question

IntArray: TypeAlias = NDArray[np.intp]
FloatArray: TypeAlias = NDArray[np.float64]
BENCHMARK = "benchmark"
NONE = "(none)"
_MOST_GROUPS = 80


@dataclass(frozen=True, eq=False)
class Groups:
    """How each of R LLMs does on each of G groups of questions.

    Attributes:
        llms: names of the LLMs.
        names: names of the groups.
        questions: of shape (G,), the questions of each group.
        correct: of shape (R, G), responses graded as correct.
        graded: of shape (R, G), responses with a grade.
    """

    llms: tuple[str, ...]
    names: tuple[str, ...]
    questions: IntArray
    correct: IntArray
    graded: IntArray

    @property
    def accuracy(self) -> FloatArray:
        """Share of correct among the graded, of shape (R, G); NaN where nothing is graded."""
        return _ratio(self.correct, self.graded)

    @property
    def standard_error(self) -> FloatArray:
        """Of the accuracy, as of a sample of independent questions; NaN below two graded."""
        p = self.accuracy
        return np.sqrt(_ratio(p * (1 - p), self.graded - 1))

    @property
    def coverage(self) -> FloatArray:
        """Share of the questions with a graded response, of shape (R, G)."""
        return _ratio(self.graded, np.broadcast_to(self.questions, self.graded.shape))

    def with_total(self, name: str) -> Groups:
        """The same with all questions as one more group."""

        def added(values: IntArray) -> IntArray:
            return np.concatenate([values, values.sum(axis=-1, keepdims=True)], axis=-1)

        names = (*self.names, name)
        return Groups(self.llms, names, added(self.questions), added(self.correct), added(self.graded))

    def ordered(self) -> Groups:
        """The same with LLMs that were asked the same groups next to each other, most groups first, best first."""
        asked = self.graded > 0
        total = _ratio(self.correct.sum(axis=1), self.graded.sum(axis=1))
        first = {pattern.tobytes(): i for i, pattern in reversed(list(enumerate(asked)))}

        def place(row: int) -> tuple[int, int, float]:
            return -int(asked[row].sum()), first[asked[row].tobytes()], -float(np.nan_to_num(total[row]))

        rows = sorted(range(len(self.llms)), key=place)
        return Groups(
            tuple(self.llms[r] for r in rows), self.names, self.questions, self.correct[rows], self.graded[rows]
        )


def grouped(bank: QuestionBank, by: str = BENCHMARK) -> Groups:
    """Count a bank's grades by groups of its questions, which come in the order in which they first occur.

    Args:
        bank: the bank.
        by: ``benchmark``, or a key of the questions' ``meta``; questions without it are a group of their own.

    Raises:
        ConfigError: no question has this key, or nearly every one has a value of its own.
    """
    values = [_value(question, by) for question in bank.questions]
    names = list(dict.fromkeys(value for value in values if value is not None))
    if not names:
        raise ConfigError(f"no question of the bank has {by!r}{did_you_mean(by, _keys(bank.questions))}")
    if len(names) > _MOST_GROUPS:
        raise ConfigError(f"the bank's questions have {len(names)} values of {by!r}: too many for a plot")
    names += [NONE] if None in values else []
    place = {name: i for i, name in enumerate(names)}
    member = np.zeros((len(values), len(names)), np.intp)
    member[np.arange(len(values)), [place[NONE if value is None else value] for value in values]] = 1
    observed = bank.observed.astype(np.intp)
    return Groups(bank.llms, tuple(names), member.sum(axis=0), (observed * bank.capability) @ member, observed @ member)


def _value(question: Question, by: str) -> str | None:
    if by == BENCHMARK:
        return question.benchmark
    value = question.meta.get(by)
    return str(value) if isinstance(value, str | int | float) else None


def _keys(questions: Sequence[Question]) -> list[str]:
    """What questions can be grouped by."""
    values: dict[str, set[str]] = {}
    for question in questions:
        for key in question.meta:
            value = _value(question, key)
            if value is not None:
                values.setdefault(key, set()).add(value)
    return [BENCHMARK, *sorted(key for key, found in values.items() if len(found) <= _MOST_GROUPS)]


def _ratio(over: NDArray[np.generic], under: NDArray[np.generic]) -> FloatArray:
    top, bottom = np.asarray(over, np.float64), np.asarray(under, np.float64)
    ratio: FloatArray = np.divide(top, bottom, out=np.full(bottom.shape, np.nan), where=bottom > 0)
    return ratio
