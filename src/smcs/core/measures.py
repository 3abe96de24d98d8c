"""Measures of selection and of strategies. Symbols: T test questions, R LLMs, n aggregations."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smcs.core.prior import IntArray


def pairwise_ranking_score(prior: NDArray[Any], correct: NDArray[Any], observed: NDArray[Any] | None = None) -> float:
    """Share of (wrong LLM, right LLM) pairs of a question in which the right one has the strictly larger prior [8].

    As printed, Equation 8 has the two the wrong way round for a score of which more is better.

    Args:
        prior: array of shape (T, R).
        correct: array of shape (T, R), 1 where the LLM is right on the question.
        observed: boolean array of shape (T, R); all, where absent. What is not observed is in no pair.

    Returns:
        In [0, 1], over all pairs of all questions; nan where there is no such pair (every LLM right, or every one
        wrong, on each question).

    Raises:
        ValueError: shapes that differ.
    """
    won, pairs = ranked_pairs(prior, correct, observed)
    total = int(pairs.sum())
    return int(won.sum()) / total if total else float("nan")


def ranked_pairs(
    prior: NDArray[Any], correct: NDArray[Any], observed: NDArray[Any] | None = None
) -> tuple[IntArray, IntArray]:
    """What `pairwise_ranking_score` is made of, question by question, so that it can be resampled.

    Returns:
        Of each question, the pairs that are ranked right and all its pairs: two arrays of shape (T,).

    Raises:
        ValueError: shapes that differ.
    """
    v = np.asarray(prior, dtype=np.float64)
    right = np.asarray(correct).astype(bool)
    known = np.ones_like(right) if observed is None else np.asarray(observed, dtype=bool)
    if v.ndim != 2 or v.shape != right.shape or v.shape != known.shape:
        raise ValueError(
            f"prior {v.shape}, correct {right.shape} and observed {known.shape} must have one shape (T, R)"
        )
    right, wrong = right & known, ~right & known
    won = np.zeros(len(v), dtype=np.intp)
    step = max(1, 4_000_000 // max(v.shape[1] ** 2, 1))  # bounds the memory
    for start in range(0, len(v), step):
        here = slice(start, start + step)
        above = v[here, :, None] > v[here, None, :]
        above &= right[here, :, None] & wrong[here, None, :]
        won[here] = above.sum(axis=(1, 2))
    return won, right.sum(axis=1) * wrong.sum(axis=1)


def oracle_aggregation_accuracy(correct: NDArray[Any], at_least: int = 1) -> float:
    """Share of questions on which at least so many of the aggregations are correct.

    Args:
        correct: array of shape (T, n), 1 where the aggregation is correct.
        at_least: 1 gives OCA, 2 gives MCA.

    Returns:
        In [0, 1]; nan for no questions.
    """
    right = np.asarray(correct).astype(bool)
    return float((right.sum(axis=1) >= at_least).mean()) if len(right) else float("nan")


def accuracy_with_error(correct: NDArray[Any]) -> tuple[float, float]:
    """Accuracy and its standard error.

    Args:
        correct: array of shape (T,), 0/1 or fractions (a vote that ties may be half right).

    Returns:
        Mean, and sample standard deviation over the square root of T (nan below two questions).
    """
    c = np.asarray(correct, dtype=np.float64)
    if c.size == 0:
        return float("nan"), float("nan")
    error = float(c.std(ddof=1) / np.sqrt(c.size)) if c.size > 1 else float("nan")
    return float(c.mean()), error


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """How much better one strategy does than another on the same questions.

    Attributes:
        mean: mean difference.
        low: lower end of its 95% interval.
        high: upper end.
        p_value: of McNemar's exact test that neither is better.
        n: questions.
    """

    mean: float
    low: float
    high: float
    p_value: float
    n: int


def paired_difference(
    one: NDArray[Any], other: NDArray[Any], rng: np.random.Generator, *, resamples: int = 2000
) -> PairedDifference:
    """Difference in accuracy between two strategies on the same questions, with the 95% interval of a bootstrap.

    Args:
        one: array of shape (T,), 0/1 or fractions.
        other: array of shape (T,), of the same questions.
        rng: source of the resamples.
        resamples: how many.

    Raises:
        ValueError: shapes that differ, or no question.
    """
    a, b = np.asarray(one, np.float64), np.asarray(other, np.float64)
    if a.shape != b.shape or a.ndim != 1 or not a.size:
        raise ValueError(f"scores {a.shape} and {b.shape} must be of the same questions, at least one")
    low, high = bootstrap_interval(a - b, rng, resamples=resamples)
    return PairedDifference(float((a - b).mean()), low, high, mcnemar(a, b), a.size)


def bootstrap_interval(
    values: NDArray[Any], rng: np.random.Generator, *, over: NDArray[Any] | None = None, resamples: int = 2000
) -> tuple[float, float]:
    """95% interval of a mean, or of a ratio of sums, by the percentiles of a bootstrap over questions.

    Args:
        values: array of shape (T,).
        rng: source of the resamples.
        over: array of shape (T,), what the sum of values is divided by; the number of questions where absent.
        resamples: how many.

    Returns:
        The 2.5th and 97.5th percentile.
    """
    v = np.asarray(values, np.float64)
    below = np.ones_like(v) if over is None else np.asarray(over, np.float64)
    means = np.empty(resamples)
    step = max(1, 2_000_000 // max(v.size, 1))  # bounds the memory
    for start in range(0, resamples, step):
        count = min(step, resamples - start)
        drawn = rng.integers(0, v.size, (count, v.size))
        total = below[drawn].sum(axis=1)
        ratio = np.divide(v[drawn].sum(axis=1), total, out=np.full(count, np.nan), where=total != 0)
        means[start : start + count] = ratio
    low, high = np.nanpercentile(means, [2.5, 97.5])
    return float(low), float(high)


def resamples_of(count: int, rng: np.random.Generator, *, resamples: int = 2000) -> NDArray[np.float32]:
    """How often each question is drawn in each resample: for many intervals over the same questions (`interval_over`).

    Args:
        count: questions, T.
        rng: source of the resamples.
        resamples: how many, B.

    Returns:
        Array of shape (B, T); rows sum to T.
    """
    drawn = rng.integers(0, count, (resamples, count)) + count * np.arange(resamples)[:, None]
    return np.bincount(drawn.ravel(), minlength=resamples * count).reshape(resamples, count).astype(np.float32)


def interval_over(
    resamples: NDArray[Any], values: NDArray[Any], over: NDArray[Any] | None = None
) -> tuple[float, float]:
    """`bootstrap_interval` by resamples that are drawn already.

    Args:
        resamples: array of shape (B, T), from `resamples_of`.
        values: array of shape (T,).
        over: array of shape (T,), what the sum of values is divided by; the number of questions where absent.
    """
    below = np.ones(np.shape(values)) if over is None else over
    sums, totals = (np.asarray(resamples @ np.asarray(a, np.float32), np.float64) for a in (values, below))
    ratio = np.divide(sums, totals, out=np.full(len(sums), np.nan), where=totals != 0)
    low, high = np.nanpercentile(ratio, [2.5, 97.5])
    return float(low), float(high)


def mcnemar(one: NDArray[Any], other: NDArray[Any]) -> float:
    """McNemar's exact test: two-sided p-value that of the questions on which two strategies differ each wins half.

    Args:
        one: array of shape (T,).
        other: array of shape (T,). Where scores are fractions, the larger one wins the question.

    Returns:
        In (0, 1]; 1 where they never differ.
    """
    a, b = np.asarray(one, np.float64), np.asarray(other, np.float64)
    wins, losses = int((a > b).sum()), int((a < b).sum())
    n, fewer = wins + losses, min(wins, losses)
    # P(X <= fewer) for X ~ Binomial(n, 1/2), summed in logarithms: n may be thousands.
    log_half = n * math.log(0.5)
    terms = [math.lgamma(n + 1) - math.lgamma(i + 1) - math.lgamma(n - i + 1) + log_half for i in range(fewer + 1)]
    return min(1.0, 2.0 * math.fsum(math.exp(t) for t in terms))
