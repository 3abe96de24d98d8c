"""How sharply votes favour the strongest LLMs, chosen for each question on the bank questions like it.

Where one LLM dominates, or where LLMs err together, the strongest should decide nearly alone; where errors are spread,
many weak votes correct a strong one. Which is the case differs from task to task. The bank knows it: its questions are
labelled, so the vote can be held on them at every sharpness, and what does best on a question's support set is used.

Symbols: R LLMs, N bank questions, T questions, G values of sharpness.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smcs.core.prior import FloatArray, IntArray
from smcs.core.voting import sharpened, vote_accuracies

SHARPNESS: tuple[float, ...] = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, float("inf"))
"""From one vote each to the strongest alone."""


def votes_by_sharpness(
    log_odds: NDArray[Any],
    answers: NDArray[Any],
    correct: NDArray[Any],
    members: NDArray[Any] | None = None,
    grid: tuple[float, ...] = SHARPNESS,
) -> FloatArray:
    """How right the vote on each question is, at each sharpness.

    Args:
        log_odds: array of shape (T, R), from `smcs.core.voting.log_odds`.
        answers: array of shape (T, R).
        correct: array of shape (T, R).
        members: boolean array of shape (T, R).
        grid: the values of sharpness.

    Returns:
        Array of shape (T, G) in [0, 1].
    """
    votes = np.asarray(answers) >= 0
    if members is not None:
        votes = votes & np.asarray(members, dtype=bool)
    strengths = np.where(votes, log_odds, -np.inf)  # sharpness is relative to the strongest who votes
    weights = np.stack([sharpened(strengths, value) for value in grid], axis=2)
    return vote_accuracies(answers, correct, weights, members)


def local_sharpness(support_weights: NDArray[Any], bank_votes: NDArray[Any]) -> IntArray:
    """Which sharpness does best on each question's support set.

    Args:
        support_weights: array of shape (T, N), how much each bank question speaks for a question; not negative.
        bank_votes: array of shape (N, G), from `votes_by_sharpness` on the bank, with held-out estimates.

    Returns:
        Positions in the grid, of shape (T,): ties by what does best on the whole bank, then the first.
    """
    votes = np.asarray(bank_votes, np.float64)
    weights = np.asarray(support_weights, np.float64)
    overall = votes.mean(axis=0) if len(votes) else np.zeros(votes.shape[1])
    total = weights.sum(axis=1, keepdims=True)
    means = np.divide(weights @ votes, total, out=np.zeros((len(weights), votes.shape[1])), where=total > 0)
    # Rounded, since equal votes may give means that differ in the last bits; the overall mean only breaks ties.
    return np.asarray((np.round(means, 9) + 1e-10 * overall).argmax(axis=1))
