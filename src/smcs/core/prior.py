"""Retrieval-based prior selection: from a question's similarity to the bank to the K referencers [Equations 2-5].

Symbols: R LLMs, N bank questions, d embedding dimensions, K referencers.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.intp]
BoolArray: TypeAlias = NDArray[np.bool_]


def cosine_similarity(
    bank_embeddings: NDArray[Any], question_embedding: NDArray[Any], *, normalised: bool = False
) -> FloatArray:
    """Similarity of a question to each bank question, ``clip(E e, 0, 1)`` [Equation 2].

    Args:
        bank_embeddings: array of shape (N, d), of any length per row; a row of zeros is similar to nothing.
        question_embedding: array of shape (d,).
        normalised: every bank row is known to have length 1; saves reading the bank a second time.

    Returns:
        Array of shape (N,) in [0, 1]: negative cosines count as 0, as the paper states the range.

    Raises:
        ValueError: the shapes do not fit.
    """
    bank = np.asarray(bank_embeddings)
    if bank.dtype not in (np.float32, np.float64):
        bank = bank.astype(np.float64)
    question = np.asarray(question_embedding)
    if bank.ndim != 2 or question.ndim != 1 or bank.shape[1] != question.shape[0]:
        raise ValueError(f"shapes {bank.shape} and {question.shape} do not fit (N, d) and (d,)")
    # The one product over the whole bank runs in the embeddings' own precision, which is what memory bandwidth allows.
    product = (bank @ question.astype(bank.dtype)).astype(np.float64)
    rows = 1.0 if normalised else np.sqrt(np.einsum("nd,nd->n", bank, bank, dtype=np.float64))
    lengths = np.broadcast_to(rows * np.linalg.norm(question.astype(np.float64)), product.shape)
    cosine = np.divide(product, lengths, out=np.zeros_like(product), where=lengths > 0)
    clipped: FloatArray = np.clip(cosine, 0.0, 1.0)
    return clipped


def support_set(similarity: NDArray[Any], n_base: int, gamma: float) -> IntArray:
    """The bank questions that speak for a question: as similar as gamma times the n_base-th, or more [Equation 3].

    Args:
        similarity: array of shape (N,) in [0, 1].
        n_base: at least this many questions, or the whole bank where it holds fewer.
        gamma: in (0, 1].

    Returns:
        Indices of shape (N_sup,), ascending; ties at the threshold stay in. Empty for an empty bank.

    Raises:
        ValueError: n_base below 1, or gamma outside (0, 1].
    """
    if n_base < 1 or not 0 < gamma <= 1:
        raise ValueError(f"n_base = {n_base} must be at least 1 and gamma = {gamma} in (0, 1]")
    s = np.asarray(similarity, dtype=np.float64)
    if s.size == 0:
        return np.empty(0, dtype=np.intp)
    k = min(n_base, s.size)
    kth_largest = np.partition(s, s.size - k)[s.size - k]
    return np.flatnonzero(s >= gamma * kth_largest)


def prior_scores(
    capability: NDArray[Any],
    similarity: NDArray[Any],
    support: NDArray[Any],
    observed: NDArray[Any] | None = None,
) -> FloatArray:
    """Prior of each LLM: its similarity-weighted successes on the support set, ``v_r = sum_i M_ri s_i`` [Equation 4].

    Where an LLM has not been asked all of the support set, the sum over what it was asked is rescaled by the share of
    similarity that this covers; where all is observed that is the paper's value exactly.

    Args:
        capability: array of shape (R, N), 1 where the LLM's answer was right, else 0.
        similarity: array of shape (N,).
        support: indices of shape (N_sup,).
        observed: boolean array of shape (R, N); all, where absent. What is not observed is never counted as wrong.

    Returns:
        Array of shape (R,). An LLM with nothing observed on the support set gets its accuracy over the whole bank, and
        one with nothing observed at all the mean of the pool's accuracies, on the same scale (times the support's
        summed similarity); `prior_fallbacks` tells which.
    """
    correct, seen = _capability(capability, observed)
    s = np.asarray(similarity, dtype=np.float64)[support]
    total = s.sum()
    # Summed row by row and not as a matrix product, whose rounding depends on the row: equal LLMs must tie exactly.
    near = seen[:, support]
    successes: FloatArray = ((correct[:, support] & near) * s).sum(axis=1)
    if near.all():
        return successes
    covered = (near * s).sum(axis=1)
    rate = whole_bank_accuracy(correct, seen, fill="mean")
    np.divide(successes, covered, out=rate, where=covered > 0)
    # Multiplying by total/covered only where needed keeps the fully observed case bit-equal to the printed sum.
    return np.asarray(np.where(near.all(axis=1), successes, rate * total))


def prior_fallbacks(similarity: NDArray[Any], support: NDArray[Any], observed: NDArray[Any]) -> list[str | None]:
    """What stands in for the support set in each LLM's prior: None, ``bank accuracy`` or ``pool mean``.

    Args:
        similarity: array of shape (N,).
        support: indices of shape (N_sup,).
        observed: boolean array of shape (R, N).
    """
    seen = np.asarray(observed, dtype=bool)
    s = np.asarray(similarity, dtype=np.float64)[support]
    on_support = np.atleast_1d(seen[:, support].all(axis=1) | ((seen[:, support] * s).sum(axis=1) > 0))
    anywhere = np.atleast_1d(seen.any(axis=1))
    return [
        None if near else "bank accuracy" if far else "pool mean"
        for near, far in zip(on_support, anywhere, strict=True)
    ]


def whole_bank_accuracy(
    capability: NDArray[Any], observed: NDArray[Any] | None = None, *, fill: str = "nan"
) -> FloatArray:
    """Accuracy of each LLM over what it was asked of the whole bank.

    Args:
        capability: array of shape (R, N).
        observed: boolean array of shape (R, N); all, where absent.
        fill: for an LLM with nothing observed: ``nan``, or ``mean`` for the mean of the others (0 if there are none).

    Returns:
        Array of shape (R,) in [0, 1].
    """
    correct, seen = _capability(capability, observed)
    n = seen.sum(axis=1)
    accuracy: FloatArray = np.divide((correct & seen).sum(axis=1), n, out=np.full(len(n), np.nan), where=n > 0)
    if fill == "mean":
        accuracy[n == 0] = float(accuracy[n > 0].mean()) if (n > 0).any() else 0.0
    return accuracy


def select_referencers(prior: NDArray[Any], k: int, accuracy: NDArray[Any] | None = None) -> IntArray:
    """The K LLMs with the largest prior [Equation 5].

    Args:
        prior: array of shape (R,).
        k: how many, from 1 to R.
        accuracy: array of shape (R,) that breaks ties, larger first (nan last); then the pool's order does.

    Returns:
        Positions of shape (k,), best first. The same input always gives the same positions.

    Raises:
        ValueError: k is below 1 or above R.
    """
    v = np.asarray(prior, dtype=np.float64)
    if not 1 <= k <= v.size:
        raise ValueError(f"k = {k} must be from 1 to the number of LLMs, {v.size}")
    tie_break = np.zeros_like(v) if accuracy is None else np.nan_to_num(np.asarray(accuracy, np.float64), nan=-np.inf)
    order = np.lexsort((np.arange(v.size), -tie_break, -v))
    return order[:k]


def _capability(capability: NDArray[Any], observed: NDArray[Any] | None) -> tuple[BoolArray, BoolArray]:
    correct = np.asarray(capability).astype(bool)
    seen = np.ones_like(correct) if observed is None else np.asarray(observed, dtype=bool)
    if correct.ndim != 2 or correct.shape != seen.shape:
        raise ValueError(f"capability {correct.shape} and observed {seen.shape} must have one shape (R, N)")
    return correct, seen
