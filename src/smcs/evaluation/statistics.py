"""How sure a comparison is. Symbols: Q questions, S seeds; nan where there is no graded answer.

Answers to the same question from several seeds are no independent observations, so a question counts once, with the
mean over its seeds: everything here is over questions, clustered over seeds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smcs.core.measures import accuracy_with_error

FloatArray = NDArray[np.float64]
RESAMPLES = 5000
_AT_ONCE = 4_000_000


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over questions with its standard error; nan where there are too few. `questions` says of how many."""

    mean: float
    error: float
    questions: int


@dataclass(frozen=True, slots=True)
class Difference:
    """How much better one strategy is than another on the same questions, with a 95% interval."""

    mean: float
    low: float
    high: float
    questions: int

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0


def over_seeds(correct: FloatArray) -> FloatArray:
    """Mean over the graded seeds of each question.

    Args:
        correct: array of shape (Q, S).

    Returns:
        Array of shape (Q,); nan where no seed is graded.
    """
    graded = ~np.isnan(correct)
    count = graded.sum(axis=1)
    total = np.where(graded, correct, 0.0).sum(axis=1)
    mean: FloatArray = np.divide(total, count, out=np.full(len(correct), np.nan), where=count > 0)
    return mean


def accuracy(correct: FloatArray) -> Estimate:
    """Accuracy over questions with its standard error.

    Args:
        correct: array of shape (Q, S).
    """
    means = over_seeds(correct)
    means = means[~np.isnan(means)]
    mean, error = accuracy_with_error(means)
    return Estimate(mean, error, len(means))


def average(parts: Mapping[str, Estimate]) -> Estimate:
    """Unweighted mean over benchmarks, whose questions are independent; nan where one of them has none."""
    means = np.array([part.mean for part in parts.values()])
    errors = np.array([part.error for part in parts.values()])
    questions = sum(part.questions for part in parts.values())
    if not len(means):
        return Estimate(float("nan"), float("nan"), 0)
    return Estimate(float(means.mean()), float(np.sqrt((errors**2).sum()) / len(errors)), questions)


def paired_difference(
    one: Mapping[str, FloatArray], other: Mapping[str, FloatArray], *, resamples: int = RESAMPLES, seed: int = 0
) -> Difference:
    """Difference in accuracy between two strategies on the questions that both have answered.

    The interval is that of a percentile bootstrap over questions, each benchmark resampled by itself; of several
    benchmarks the difference is the unweighted mean.

    Args:
        one: by benchmark, array of shape (Q, S).
        other: the same questions and seeds.
        resamples: of the bootstrap.
        seed: of the bootstrap.
    """
    rng = np.random.default_rng(seed)
    means: list[float] = []
    resampled = np.zeros(resamples)
    questions = 0
    for benchmark, ours in one.items():
        # Only seeds that both have: a strategy must not gain by having failed on an unlucky one.
        both = ~np.isnan(ours) & ~np.isnan(other[benchmark])
        differences = over_seeds(np.where(both, ours - other[benchmark], np.nan))
        differences = differences[~np.isnan(differences)]
        if not differences.size:
            return Difference(float("nan"), float("nan"), float("nan"), questions)
        means.append(float(differences.mean()))
        resampled += _bootstrap_means(differences, resamples, rng)
        questions += differences.size
    if not means:
        return Difference(float("nan"), float("nan"), float("nan"), 0)
    low, high = np.quantile(resampled / len(means), [0.025, 0.975])
    return Difference(float(np.mean(means)), float(low), float(high), questions)


def _bootstrap_means(values: FloatArray, resamples: int, rng: np.random.Generator) -> FloatArray:
    """Means of resamples, array of shape (resamples,)."""
    means = np.empty(resamples)
    step = max(1, _AT_ONCE // values.size)
    for start in range(0, resamples, step):
        stop = min(start + step, resamples)
        means[start:stop] = values[rng.integers(0, values.size, (stop - start, values.size))].mean(axis=1)
    return means
