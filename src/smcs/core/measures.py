"""Measures of selection and of strategies. Symbols: T test questions, R LLMs, n aggregations."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def pairwise_ranking_score(prior: NDArray[Any], correct: NDArray[Any]) -> float:
    """Share of (wrong LLM, right LLM) pairs of a question in which the right one has the strictly larger prior [8].

    As printed, Equation 8 has the two the wrong way round for a score of which more is better.

    Args:
        prior: array of shape (T, R).
        correct: array of shape (T, R), 1 where the LLM is right on the question.

    Returns:
        In [0, 1], over all pairs of all questions; nan where there is no such pair (every LLM right, or every one
        wrong, on each question).

    Raises:
        ValueError: shapes that differ.
    """
    v = np.asarray(prior, dtype=np.float64)
    right = np.asarray(correct).astype(bool)
    if v.ndim != 2 or v.shape != right.shape:
        raise ValueError(f"prior {v.shape} and correct {right.shape} must have one shape (T, R)")
    won = pairs = 0
    for scores, ok in zip(v, right, strict=True):
        won += int((scores[ok][:, None] > scores[~ok][None, :]).sum())
        pairs += int(ok.sum()) * int((~ok).sum())
    return won / pairs if pairs else float("nan")


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
