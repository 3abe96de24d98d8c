"""From an estimator's weights to the estimated accuracy of each LLM, and what is tuned on the bank alone.

Symbols: R LLMs, N bank questions, T questions, d embedding dimensions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smcs.core.estimators import (
    Equation4,
    Estimator,
    Fitted,
    GlobalAccuracy,
    KernelRidge,
    Ridge,
    Shrinkage,
    SoftmaxKernel,
)
from smcs.core.measures import pairwise_ranking_score
from smcs.core.prior import FloatArray, whole_bank_accuracy


@dataclass(frozen=True, slots=True)
class Sharing:
    """How far LLMs share what they are good at.

    Strengths vary along few directions (LLMs that calculate well do so together), so an estimate is kept whole along
    the main ones and in part along the rest, which are mostly noise.

    Attributes:
        directions: how many are kept whole.
        own: what is kept of the rest, from 0 (nothing) to 1 (all).
    """

    directions: int = 2
    own: float = 0.5


@dataclass(frozen=True, slots=True)
class Prior:
    """An estimator, and whether LLMs share strengths: what is tuned and recommended as one."""

    estimator: Estimator
    sharing: Sharing | None = None


PRIORS: Mapping[str, tuple[Prior, ...]] = {
    "global": (Prior(GlobalAccuracy()),),
    "equation4": (Prior(Equation4()),),
    "softmax": tuple(Prior(SoftmaxKernel(t)) for t in (0.1, 0.05, 0.2)),
    "shrinkage": tuple(
        Prior(Shrinkage(p, d)) for p, d in ((3.0, 3.0), (2.0, 10.0), (2.0, 1.0), (4.0, 3.0), (6.0, 1.0))
    ),
    "ridge": tuple(Prior(Ridge(p)) for p in (30.0, 10.0, 100.0)),
    "kernel-ridge": tuple(Prior(KernelRidge(1.0, p)) for p in (20.0, 10.0, 40.0)),
    "kernel-ridge-shared": tuple(Prior(KernelRidge(1.0, p), Sharing()) for p in (20.0, 10.0, 40.0)),
}
"""Priors by name, each with the settings to choose among on a bank; the first are the ones to use untuned."""


def estimate(weights: NDArray[Any], capability: NDArray[Any], observed: NDArray[Any] | None = None) -> FloatArray:
    """Estimated accuracy of each LLM on each question.

    Args:
        weights: array of shape (T, N), from `Fitted.weights`.
        capability: array of shape (R, N).
        observed: boolean array of shape (R, N); all, where absent. The weight of what an LLM has not been asked goes to
            its overall accuracy.

    Returns:
        Array of shape (T, R); may leave [0, 1] by a little where weights are negative.
    """
    overall = whole_bank_accuracy(capability, observed, fill="mean")
    return np.asarray(overall + np.asarray(weights, np.float64) @ _departures(capability, observed, overall))


def estimate_held_out(
    weights: NDArray[Any], capability: NDArray[Any], observed: NDArray[Any] | None = None
) -> FloatArray:
    """Estimated accuracy on each bank question from the other ones alone.

    Args:
        weights: array of shape (N, N), from `Fitted.held_out`.
        capability: array of shape (R, N).
        observed: boolean array of shape (R, N).

    Returns:
        Array of shape (N, R).
    """
    overall = whole_bank_accuracy(capability, observed, fill="mean")
    departure = _departures(capability, observed, overall)
    seen = np.ones_like(departure) if observed is None else np.asarray(observed, np.float64).T
    # Without question i the overall accuracy is a - (v_i - a) / (n - 1); what depends on it moves with it.
    shift = -departure / np.maximum(seen.sum(axis=0) - 1, 1)
    w = np.asarray(weights, np.float64)
    return np.asarray(overall + w @ departure + shift * (1 - w @ seen))


def share_strengths(estimates: NDArray[Any], overall: NDArray[Any], directions: NDArray[Any], own: float) -> FloatArray:
    """Estimates drawn towards the directions along which LLMs' strengths vary most.

    Args:
        estimates: array of shape (T, R).
        overall: array of shape (R,), the LLMs' overall accuracies.
        directions: array of shape (R, k), from `main_directions`.
        own: what is kept of the rest.

    Returns:
        Array of shape (T, R). The mean over LLMs of each question stays.
    """
    departures = np.asarray(estimates, np.float64) - overall
    common = departures.mean(axis=1, keepdims=True)
    rest = departures - common
    main = rest @ directions @ np.asarray(directions).T
    return np.asarray(overall + common + main + own * (rest - main))


def main_directions(held_out: NDArray[Any], directions: int) -> FloatArray:
    """The directions along which the estimated strengths of LLMs vary most, beyond how hard a question is for all.

    Args:
        held_out: array of shape (N, R), from `estimate_held_out`.
        directions: how many.

    Returns:
        Array of shape (R, directions), orthonormal columns; fewer columns where the pool is smaller.
    """
    varying = np.asarray(held_out, np.float64)
    varying = varying - varying.mean(axis=0)
    varying = varying - varying.mean(axis=1, keepdims=True)
    _, vectors = np.linalg.eigh(varying.T @ varying)  # R x R, where N may be large
    return np.asarray(vectors[:, ::-1][:, :directions])


def best_ranking(
    held_out: Sequence[NDArray[Any]], capability: NDArray[Any], observed: NDArray[Any] | None = None
) -> int:
    """Which of several estimates ranks LLMs best on the bank's own questions [Equation 8]; the first of equals.

    Args:
        held_out: arrays of shape (N, R), each question estimated from the others.
        capability: array of shape (R, N).
        observed: boolean array of shape (R, N).
    """
    correct = np.asarray(capability).T
    seen = None if observed is None else np.asarray(observed).T
    scores = np.array([pairwise_ranking_score(estimates, correct, seen) for estimates in held_out])
    return 0 if np.isnan(scores).all() else int(np.nanargmax(scores))


class BankPrior:
    """A prior at work on a bank.

    Attributes:
        prior: the prior, with the settings that were chosen.
        held_out: array of shape (N, R): accuracies on the bank's own questions, each estimated from the others.
    """

    def __init__(
        self,
        candidates: Sequence[Prior],
        embeddings: NDArray[Any],
        capability: NDArray[Any],
        observed: NDArray[Any] | None = None,
    ) -> None:
        """Choose the settings that rank the bank's own questions best, each from the others.

        Args:
            candidates: a prior with several settings, such as one of `PRIORS`; one is taken as it is.
            embeddings: array of shape (N, d), rows of length 1.
            capability: array of shape (R, N).
            observed: boolean array of shape (R, N).
        """
        self._capability, self._observed = np.asarray(capability), observed
        self._overall = whole_bank_accuracy(capability, observed, fill="mean")
        best: tuple[Prior, Fitted, FloatArray | None, FloatArray] | None = None
        for prior in candidates:
            fitted = prior.estimator.fit(embeddings)
            plain = estimate_held_out(fitted.held_out(), capability, observed)
            directions = main_directions(plain, prior.sharing.directions) if prior.sharing else None
            held_out = self._finish(prior, plain, directions)
            if best is None or best_ranking([best[3], held_out], capability, observed) == 1:
                best = prior, fitted, directions, held_out
        if best is None:
            raise ValueError("no prior to choose among")
        self.prior, self._fitted, self._directions, self.held_out = best

    def estimate(self, questions: NDArray[Any]) -> FloatArray:
        """Estimated accuracies, array of shape (T, R), for embeddings of shape (T, d)."""
        plain = estimate(self._fitted.weights(questions), self._capability, self._observed)
        return self._finish(self.prior, plain, self._directions)

    def _finish(self, prior: Prior, plain: FloatArray, directions: FloatArray | None) -> FloatArray:
        if prior.sharing is None or directions is None:
            return plain
        return share_strengths(plain, self._overall, directions, prior.sharing.own)


def _departures(capability: NDArray[Any], observed: NDArray[Any] | None, overall: FloatArray) -> FloatArray:
    """How each answer departs from the LLM's overall accuracy, array of shape (N, R); 0 where not observed."""
    away = np.asarray(capability, np.float64).T - overall
    return away if observed is None else np.where(np.asarray(observed, dtype=bool).T, away, 0.0)
