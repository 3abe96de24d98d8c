"""Estimators: how each question of the bank is weighed to foresee how accurate LLMs will be on a new one.

Equation 4 and alternatives to it, behind one interface. All are linear in what the bank has seen: an estimator turns a
question's embedding into one weight for each bank question, and an LLM's estimate is its overall accuracy plus the
weighted sum of how it departed from that, ``a_r + sum_i w_i (V_ri - a_r)`` (see `smcs.core.estimation`). Weights that
sum to 1 forget the overall accuracy, weights of 0 leave only that. They know nothing of the LLMs, so one set serves any
pool, and leaving a bank question out of its own estimate, which tuning needs, is exact and cheap.

Symbols: N bank questions, T questions, d embedding dimensions. Embeddings have rows of length 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from smcs.core.prior import FloatArray, support_set


class Fitted(Protocol):
    """An estimator that has seen the bank's embeddings."""

    def weights(self, questions: NDArray[Any]) -> FloatArray:
        """Weights of the bank questions for each question: array of shape (T, N) for questions of shape (T, d)."""
        ...

    def held_out(self) -> FloatArray:
        """Weights for each bank question from the others: array of shape (N, N), its diagonal 0."""
        ...


class Estimator(Protocol):
    """A way to weigh a bank's questions."""

    def fit(self, bank: NDArray[Any]) -> Fitted:
        """Look at the bank's embeddings, array of shape (N, d). Computes in their own precision."""
        ...


@dataclass(frozen=True, slots=True)
class GlobalAccuracy:
    """The overall accuracy, whatever the question."""

    def fit(self, bank: NDArray[Any]) -> Fitted:
        """See `Estimator.fit`."""
        return _ByFunction(_floats(bank), np.zeros_like)


@dataclass(frozen=True, slots=True)
class Equation4:
    """The paper's prior as a mean: successes on the support set, weighted by similarity [Equations 3 and 4].

    It ranks as Equation 4 does, and is that over the support set's summed similarity.

    Attributes:
        n_base: see `support_set`.
        gamma: see `support_set`.
    """

    n_base: int = 400
    gamma: float = 0.95

    def fit(self, bank: NDArray[Any]) -> Fitted:
        """See `Estimator.fit`."""
        return _ByFunction(_floats(bank), self._of)

    def _of(self, cosine: FloatArray) -> FloatArray:
        similarity = np.clip(cosine, 0.0, 1.0)
        weights = np.zeros_like(similarity)
        for row, s in zip(weights, similarity, strict=True):
            support = support_set(s, self.n_base, self.gamma)
            row[support] = s[support]
        return _normalised(weights)


@dataclass(frozen=True, slots=True)
class SoftmaxKernel:
    """A mean over the whole bank, weighted by ``exp(cosine / temperature)``.

    Attributes:
        temperature: the smaller, the more the nearest questions count.
    """

    temperature: float = 0.1

    def fit(self, bank: NDArray[Any]) -> Fitted:
        """See `Estimator.fit`."""
        return _ByFunction(_floats(bank), self._of)

    def _of(self, cosine: FloatArray) -> FloatArray:
        return _normalised(np.exp((cosine - cosine.max(axis=1, keepdims=True, initial=-1.0)) / self.temperature))


@dataclass(frozen=True, slots=True)
class Shrinkage:
    """A local mean, drawn towards the overall accuracy where there is little similar evidence.

    Each bank question is evidence ``max(cosine, 0) ** power``; the overall accuracy counts as much as `doubt`.

    Attributes:
        power: the larger, the more alike a question must be to count.
        doubt: evidence at which the local mean and the overall accuracy count the same.
    """

    power: float = 3.0
    doubt: float = 3.0

    def fit(self, bank: NDArray[Any]) -> Fitted:
        """See `Estimator.fit`."""
        return _ByFunction(_floats(bank), self._of)

    def _of(self, cosine: FloatArray) -> FloatArray:
        evidence = np.maximum(cosine, 0.0) ** self.power
        # The excluded question of `held_out` has cosine -inf, and so no evidence.
        return np.asarray(evidence / (evidence.sum(axis=1, keepdims=True) + self.doubt))


@dataclass(frozen=True, slots=True)
class Ridge:
    """Ridge regression of each LLM's successes on the embedding, about the bank's mean.

    Attributes:
        penalty: on the squared coefficients.
    """

    penalty: float = 30.0

    def fit(self, bank: NDArray[Any]) -> Fitted:
        """See `Estimator.fit`."""
        return _FittedRidge(_floats(bank), self.penalty)


@dataclass(frozen=True, slots=True)
class KernelRidge:
    """Kernel ridge regression: the mean of a Gaussian process with covariance ``exp((cosine - 1) / width)``.

    A question that is equally like everything gets the overall accuracy, whatever range an embedder's cosines have;
    bank questions that say the same count less than ones that say different things. Fitting costs N^3: for banks of up
    to some 10,000 questions.

    Attributes:
        width: of the covariance.
        penalty: variance of one graded answer over that of what is to be estimated.
    """

    width: float = 1.0
    penalty: float = 20.0

    def fit(self, bank: NDArray[Any]) -> Fitted:
        """See `Estimator.fit`."""
        return _FittedKernelRidge(_floats(bank), self.width, self.penalty)


def _floats(array: NDArray[Any]) -> NDArray[Any]:
    a = np.asarray(array)
    return a if a.dtype in (np.float32, np.float64) else a.astype(np.float64)


def _normalised(weights: FloatArray) -> FloatArray:
    total = weights.sum(axis=1, keepdims=True)
    shares: FloatArray = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)
    return shares


@dataclass(frozen=True, slots=True)
class _ByFunction:
    """Weights that are a function of the cosines, row by row."""

    bank: FloatArray
    of: Callable[[FloatArray], FloatArray]

    def weights(self, questions: NDArray[Any]) -> FloatArray:
        return self.of(_floats(questions) @ self.bank.T)

    def held_out(self) -> FloatArray:
        n = len(self.bank)
        if n < 2:
            return np.zeros((n, n))
        cosine = self.bank @ self.bank.T
        # The least similar that can be: no evidence, and the last in every order, as in a bank without it.
        np.fill_diagonal(cosine, -np.inf)
        return self.of(cosine)


class _FittedRidge:
    def __init__(self, bank: FloatArray, penalty: float) -> None:
        self._mean = bank.sum(axis=0) / max(len(bank), 1)
        centred = bank - self._mean
        self._hat = np.linalg.solve(centred.T @ centred + penalty * np.eye(bank.shape[1]), centred.T)
        self._centred = centred

    def weights(self, questions: NDArray[Any]) -> FloatArray:
        return np.asarray((_floats(questions) - self._mean) @ self._hat)

    def held_out(self) -> FloatArray:
        hat = self._centred @ self._hat
        # Leaving out one row of a linear smoother: its fit without itself is (fit - h y) / (1 - h).
        own = np.diag(hat).copy()
        np.fill_diagonal(hat, 0.0)
        return np.asarray(hat / (1.0 - own)[:, None])


class _FittedKernelRidge:
    def __init__(self, bank: FloatArray, width: float, penalty: float) -> None:
        self._bank, self._width = bank, width
        covariance = self._covariance(bank @ bank.T)
        covariance[np.diag_indices_from(covariance)] += penalty
        self._inverse = np.linalg.inv(covariance)

    def _covariance(self, cosine: FloatArray) -> FloatArray:
        return np.asarray(np.exp((cosine - 1.0) / self._width))

    def weights(self, questions: NDArray[Any]) -> FloatArray:
        return np.asarray(self._covariance(_floats(questions) @ self._bank.T) @ self._inverse)

    def held_out(self) -> FloatArray:
        weights = -self._inverse / np.diag(self._inverse)[:, None]
        np.fill_diagonal(weights, 0.0)
        return np.asarray(weights)
