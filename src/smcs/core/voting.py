"""Votes over answers: plurality, votes weighted by a prior, the oracle. Symbols: T questions, R LLMs.

Answers are whole numbers of shape (T, R): equal numbers in a row are equal answers, a negative one is no vote. Members
are a boolean array of shape (T, R): who is asked at all, all where absent.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smcs.core.prior import BoolArray, FloatArray

_TIE = 1e-9  # sums of the same weights in another order differ in the last bits: that is a tie


def agreement(answers: NDArray[Any], members: NDArray[Any] | None = None) -> BoolArray:
    """Which LLMs give the same answer.

    Args:
        answers: array of shape (T, R).
        members: boolean array of shape (T, R).

    Returns:
        Boolean array of shape (T, R, R), symmetric; False in the row and column of an LLM that does not vote.
    """
    a, votes = _votes(answers, members)
    return np.asarray((a[:, :, None] == a[:, None, :]) & votes[:, :, None] & votes[:, None, :])


def winners(
    answers: NDArray[Any], weights: NDArray[Any] | None = None, members: NDArray[Any] | None = None
) -> BoolArray:
    """The LLMs whose answer has the largest sum of weights.

    Args:
        answers: array of shape (T, R).
        weights: array of shape (T, R), of any sign, or (R,); all 1 where absent. Where nobody who votes has a weight,
            all count the same.
        members: boolean array of shape (T, R).

    Returns:
        Boolean array of shape (T, R): every LLM that gives a winning answer, of all the answers that tie. A row without
        a vote is False throughout.

    Raises:
        ValueError: a weight that is not finite, or shapes that do not fit.
    """
    _, votes = _votes(answers, members)
    w = np.ones(votes.shape) if weights is None else np.broadcast_to(np.asarray(weights, np.float64), votes.shape)
    return _winning(agreement(answers, members), votes, w[:, :, None])[:, :, 0]


def split_evenly(winning: NDArray[Any], answers: NDArray[Any], correct: NDArray[Any]) -> FloatArray:
    """How right each question's vote is: of the answers that win, the share that is correct.

    Args:
        winning: boolean array of shape (T, R), from `winners`.
        answers: array of shape (T, R).
        correct: array of shape (T, R), 1 where the LLM's answer is correct.

    Returns:
        Array of shape (T,) in [0, 1]: 1/2 where a right and a wrong answer tie; 0 where nobody votes.
    """
    won = np.asarray(winning, dtype=bool)
    return _split(agreement(answers, won), won[:, :, None], correct)[:, 0]


def vote_accuracy(
    answers: NDArray[Any],
    correct: NDArray[Any],
    weights: NDArray[Any] | None = None,
    members: NDArray[Any] | None = None,
) -> FloatArray:
    """How right each question's vote is, ties split evenly: `winners`, then `split_evenly`."""
    w = np.ones(np.shape(answers)) if weights is None else np.broadcast_to(weights, np.shape(answers))
    return vote_accuracies(answers, correct, w[:, :, None], members)[:, 0]


def vote_accuracies(
    answers: NDArray[Any], correct: NDArray[Any], weights: NDArray[Any], members: NDArray[Any] | None = None
) -> FloatArray:
    """`vote_accuracy` under G choices of weights at once.

    Args:
        answers: array of shape (T, R).
        correct: array of shape (T, R).
        weights: array of shape (T, R, G).
        members: boolean array of shape (T, R).

    Returns:
        Array of shape (T, G).
    """
    _, votes = _votes(answers, members)
    same = agreement(answers, members)
    return _split(same, _winning(same, votes, np.asarray(weights, np.float64)), correct)


def oracle(correct: NDArray[Any], members: NDArray[Any] | None = None) -> FloatArray:
    """1 where at least one LLM is right: what no choice among the answers can exceed.

    Args:
        correct: array of shape (T, R).
        members: boolean array of shape (T, R).

    Returns:
        Array of shape (T,) of 0 and 1.
    """
    right = np.asarray(correct, dtype=bool)
    return np.asarray((right if members is None else right & np.asarray(members, bool)).any(axis=1), np.float64)


def top_k(prior: NDArray[Any], k: int, accuracy: NDArray[Any] | None = None) -> BoolArray:
    """The K LLMs with the largest prior on each question, as members; ties as in `select_referencers`.

    Args:
        prior: array of shape (T, R).
        k: from 1 to R.
        accuracy: array of shape (R,), breaks ties.

    Returns:
        Boolean array of shape (T, R) with k True in each row.
    """
    v = np.asarray(prior, dtype=np.float64)
    if not 1 <= k <= v.shape[1]:
        raise ValueError(f"k = {k} must be from 1 to the number of LLMs, {v.shape[1]}")
    tie_break = np.zeros(v.shape[1]) if accuracy is None else np.nan_to_num(np.asarray(accuracy), nan=-np.inf)
    # Two stable sorts, the less important key first; the pool's order decides last.
    by_accuracy = np.argsort(-tie_break, kind="stable")
    order = by_accuracy[np.argsort(-v[:, by_accuracy], axis=1, kind="stable")[:, :k]]
    members = np.zeros(v.shape, dtype=bool)
    np.put_along_axis(members, order, values=True, axis=1)
    return members


def log_odds(accuracy: NDArray[Any], wrong_answers: float | NDArray[Any] = 1.0, *, surest: float = 0.99) -> FloatArray:
    """Weight of a vote by an LLM of this accuracy: ``log(m p / (1 - p))`` with m wrong answers to choose from.

    With independent LLMs whose wrong answers spread evenly over the m, the answer with the largest sum is the likeliest
    one; for m = 1 that is the weighting of Nitzan and Paroush (1982). An LLM that guesses has weight 0.

    Args:
        accuracy: array of shape (..., R) in [0, 1].
        wrong_answers: m, from 1 up: the number of options less one, or `effective_wrong_answers`.
        surest: accuracies are taken as at most this and at least one minus this.
    """
    p = np.clip(np.asarray(accuracy, np.float64), 1 - surest, surest)
    return np.asarray(np.log(np.asarray(wrong_answers) * p / (1 - p)))


def sharpened(weights: NDArray[Any], sharpness: float) -> FloatArray:
    """Weights raised to a power; what is not above 0 becomes 0.

    Sharpness 0 makes every LLM with a weight equal, 1 keeps them, and a large one lets the strongest decide alone:
    independent votes would need 1, but LLMs err together, so that many weak ones must not outvote a strong one.

    Args:
        weights: array of any shape.
        sharpness: from 0 up.
    """
    w = np.maximum(np.asarray(weights, np.float64), 0.0)
    largest = w.max(axis=-1, keepdims=True, initial=0.0)
    scaled = np.divide(w, largest, out=np.zeros_like(w), where=largest > 0)  # no overflow; the order stays
    return np.asarray(np.where(w > 0, scaled**sharpness, 0.0))


def effective_wrong_answers(answers: NDArray[Any], correct: NDArray[Any]) -> float:
    """Among how many wrong answers those of the LLMs seem to spread: one over the chance that two wrong ones agree.

    Wrong LLMs agree more often than by chance, since a question has its tempting errors; so this is well below the
    number of options, and it exists for questions without options too.

    Args:
        answers: array of shape (T, R), of labelled questions.
        correct: array of shape (T, R).

    Returns:
        At least 1; 1 where no two LLMs are wrong on the same question, and at most the number of such pairs.
    """
    a, votes = _votes(answers, None)
    wrong = votes & ~np.asarray(correct, dtype=bool)
    together = wrong.sum(axis=1)
    pairs = int((together * (together - 1)).sum())
    agreeing = int(agreement(a, wrong).sum() - together.sum())
    if pairs == 0:
        return 1.0
    return max(1.0, pairs / max(agreeing, 1))


def _votes(answers: NDArray[Any], members: NDArray[Any] | None) -> tuple[NDArray[Any], BoolArray]:
    a = np.asarray(answers)
    m = np.ones(a.shape, dtype=bool) if members is None else np.asarray(members, dtype=bool)
    if a.ndim != 2 or m.shape != a.shape:
        raise ValueError(f"answers {a.shape} and members {m.shape} must have one shape (T, R)")
    return a, (a >= 0) & m


def _winning(same: BoolArray, votes: BoolArray, weights: FloatArray) -> BoolArray:
    """`winners` from the agreement, array of shape (T, R, R), for weights of shape (T, R, G)."""
    if not np.isfinite(weights[votes]).all():
        raise ValueError("weights of votes must be finite")
    here = votes[:, :, None]
    w = np.where(here, weights, 0.0)
    w = np.where((w == 0).all(axis=1, keepdims=True) & here, 1.0, w)
    totals = np.where(here, same.astype(np.float64) @ w, -np.inf)
    largest = totals.max(axis=1, keepdims=True, initial=-np.inf)
    scale = np.maximum(1.0, np.abs(w).sum(axis=1, keepdims=True))
    return np.asarray(here & (totals >= largest - _TIE * scale))


def _split(same: BoolArray, winning: BoolArray, correct: NDArray[Any]) -> FloatArray:
    """`split_evenly` for winners of shape (T, R, G)."""
    right = np.asarray(correct, dtype=np.float64)[:, :, None]
    won = winning.astype(np.float64)
    # Each answer counts once, however many give it.
    share = won / np.maximum(same.astype(np.float64) @ won, 1.0)
    distinct = share.sum(axis=1)
    score: FloatArray = np.divide(
        (share * right).sum(axis=1), distinct, out=np.zeros(distinct.shape), where=distinct > 0
    )
    return score
