"""What the tables and figures that can be made of recorded answers have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smcs.core.measures import accuracy_with_error, paired_difference
from smcs.experiments.exhibit import Contrast, Measured
from smcs.experiments.groups import Group, groups_of, shared_sources
from smcs.experiments.replay import FloatArray, IntArray
from smcs.types import EmbedderInfo

EQUATION4 = "equation4"


@dataclass(frozen=True, slots=True)
class Replayed:
    """Recorded answers to replay.

    Attributes:
        groups: benchmarks with the same LLMs.
        embedder: what embedded the questions.
        k: LLMs that a prior selects.
        seed: of random pools, random selections and intervals.
        draws: random pools of each size, and random selections.
    """

    groups: Sequence[Group]
    embedder: EmbedderInfo
    k: int = 7
    seed: int = 0
    draws: int = 10

    @property
    def setting(self) -> str:
        """What is replayed, in one sentence."""
        parts = [
            f"{'+'.join(group.benchmarks)}: {len(group.pool)} LLMs, {len(group.bank)} bank questions"
            for group in self.groups
        ]
        return (
            f"Recorded answers of real LLMs ({'; '.join(parts)}), K = {self.k}, embedder {self.embedder.name}. "
            "Nothing is aggregated: the selected LLMs vote."
        )

    @property
    def columns(self) -> dict[str, str]:
        """A column for each benchmark, with its number of test questions."""
        return {
            name: f"{name} ({np.intersect1d(group.recorded.of(benchmark=name), group.test).size})"
            for group in self.groups
            for name in group.benchmarks
        }


async def read_replayed(
    data: Path, embedder: str, *, k: int, seed: int, draws: int, report: Any = lambda done, total: None
) -> Replayed:
    """Read the recorded answers of a data folder.

    Raises:
        QuestionError: it is no such folder.
        WeightsError: the embedder's weights cannot be had.
    """
    groups, info = await groups_of(shared_sources(data), embedder, report=report)
    return Replayed(groups, info, k, seed, draws)


def percent(score: NDArray[Any]) -> Measured:
    """Accuracy in per cent."""
    mean, error = accuracy_with_error(score)
    return Measured(100 * mean, 100 * error, int(np.size(score)))


def contrast(one: str, other: str, column: str, scores: Sequence[NDArray[Any]], seed: int) -> Contrast:
    """Paired difference of two scores on the same questions, in points of per cent."""
    found = paired_difference(scores[0], scores[1], np.random.default_rng(seed))
    return Contrast(one, other, column, 100 * found.mean, 100 * found.low, 100 * found.high, found.n)


def mean_over_draws(scores: Sequence[FloatArray]) -> FloatArray:
    """Expected score of each question over random draws."""
    return np.asarray(np.mean(np.stack(scores), axis=0))


def tested(group: Group, benchmark: str) -> IntArray:
    """Positions of a benchmark's test questions among all of the group's."""
    return np.intersect1d(group.recorded.of(benchmark=benchmark), group.test)


def banked(group: Group, benchmark: str) -> IntArray:
    """Positions of a benchmark's bank questions."""
    return np.intersect1d(group.recorded.of(benchmark=benchmark), group.bank)
