"""The question bank in memory: plain arrays beside the questions they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from smcs.errors import EmbedderMismatchError
from smcs.types import EmbedderInfo, Question

FloatArray: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class QuestionBank:
    """Labelled questions, their embeddings, and which LLM answers which of them correctly.

    Attributes:
        questions: the N questions.
        embeddings: float32 array of shape (N, d), each row of length 1.
        embedder: what made the embeddings.
        llms: names of the R LLMs.
        capability: uint8 array of shape (R, N): 1 correct, 0 wrong or not observed.
        observed: bool array of shape (R, N): whether the LLM's response to the question has been graded. A failed
            call, a response that cannot be graded and a question that was never asked are not observed.
        models: backend and model of each LLM as evaluated, such as ``openai/Qwen3-32B``; empty where not known.
    """

    questions: tuple[Question, ...]
    embeddings: NDArray[np.float32]
    embedder: EmbedderInfo
    llms: tuple[str, ...]
    capability: NDArray[np.uint8]
    observed: NDArray[np.bool_]
    models: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        n, r = len(self.questions), len(self.llms)
        if self.embeddings.shape != (n, self.embedder.dimension):
            raise ValueError(f"embeddings of shape {self.embeddings.shape}, not ({n}, {self.embedder.dimension})")
        if self.capability.shape != (r, n) or self.observed.shape != (r, n):
            raise ValueError(f"capability {self.capability.shape}, observed {self.observed.shape}, not ({r}, {n})")

    def __len__(self) -> int:
        return len(self.questions)

    def select(self, llms: Sequence[str]) -> QuestionBank:
        """The same bank with the rows of these LLMs, in this order.

        An LLM that the bank does not know gets a row in which nothing is observed.
        """
        rows = {name: i for i, name in enumerate(self.llms)}
        shape = (len(llms), len(self))
        capability, observed = np.zeros(shape, np.uint8), np.zeros(shape, np.bool_)
        for to, name in enumerate(llms):
            if name in rows:
                capability[to], observed[to] = self.capability[rows[name]], self.observed[rows[name]]
        models = tuple(self.models[rows[name]] if name in rows and self.models else "" for name in llms)
        return replace(self, llms=tuple(llms), capability=capability, observed=observed, models=models)

    def accuracy(self) -> FloatArray:
        """Share of correct among the observed, of shape (R,); NaN where nothing is observed."""
        return _mean(self.capability, self.observed)

    def accuracy_by_benchmark(self) -> dict[str, FloatArray]:
        """The same for the questions of each benchmark, in the order in which the benchmarks first occur."""
        columns: dict[str, list[int]] = {}
        for i, question in enumerate(self.questions):
            columns.setdefault(question.benchmark, []).append(i)
        return {name: _mean(self.capability[:, at], self.observed[:, at]) for name, at in columns.items()}

    def require_embedder(self, info: EmbedderInfo) -> None:
        """Check that a query embedded by this embedder can be compared with the bank's questions.

        Raises:
            EmbedderMismatchError: it cannot; says what differs.
        """
        require_same_embedder(self.embedder, info)


def require_same_embedder(bank: EmbedderInfo, at_hand: EmbedderInfo) -> None:
    """Check that embeddings made by the one can be compared with those made by the other.

    Raises:
        EmbedderMismatchError: they cannot; says what differs.
    """
    differing = [f.name for f in fields(EmbedderInfo) if getattr(bank, f.name) != getattr(at_hand, f.name)]
    if not differing:
        return

    def described(side: EmbedderInfo) -> str:
        shown = ", ".join(f"{name.replace('_', ' ')} {getattr(side, name)!r}" for name in differing if name != "name")
        return f"{side.name!r} with {shown}" if shown else f"{side.name!r}"

    raise EmbedderMismatchError(
        f"the bank's questions were embedded by {described(bank)}, but the embedder at hand is "
        f"{described(at_hand)}; use the bank's embedder, or make a bank with this one (smcs bank create)"
    )


def _mean(values: NDArray[np.uint8], observed: NDArray[np.bool_]) -> FloatArray:
    counts = observed.sum(axis=1)
    correct = (values * observed).sum(axis=1, dtype=np.float64)
    mean: FloatArray = np.divide(correct, counts, out=np.full(len(counts), np.nan), where=counts > 0)
    return mean
