"""Skipping aggregation where references agree, replayed on recorded answers of LLMs.

Recorded answers hold no aggregations. What skipping them costs is therefore bounded: an aggregator that finds the right
answer whenever one reference has it would lose the most by being skipped. Beside that stands the best LLM of the pool,
which answers by itself what the references agreed on.

Symbols: T questions, R LLMs, K referencers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smcs.bank.recorded import Recorded
from smcs.core.estimation import PRIORS
from smcs.core.measures import bootstrap_interval
from smcs.core.prior import whole_bank_accuracy
from smcs.core.voting import top_k
from smcs.experiments.figures import Json, number
from smcs.experiments.groups import Group

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]
MOST_LOST = 0.01
"""A share is chosen on the bank so that even that aggregator would lose no more than this."""


@dataclass(frozen=True, slots=True)
class Agreeing:
    """What the referencers of each question state.

    Attributes:
        share: of the referencers that state the most frequent answer, array of shape (T,); a response without an answer
            agrees with none.
        right: whether that answer is right, array of shape (T,).
        possible: whether some referencer is right, array of shape (T,).
        best: whether the LLM with the best accuracy on the bank is right, array of shape (T,).
    """

    share: FloatArray
    right: BoolArray
    possible: BoolArray
    best: BoolArray


def agreeing(answers: NDArray[np.int64], correct: BoolArray, members: BoolArray, best: int) -> Agreeing:
    """Find the most frequent answer among the members of each question; ties go to the LLM that comes first.

    Args:
        answers: array of shape (T, R): equal numbers are equal answers, negative ones are none.
        correct: array of shape (T, R).
        members: array of shape (T, R), the referencers.
        best: position of the best LLM.
    """
    stated = members & (answers >= 0)
    same = (answers[:, :, None] == answers[:, None, :]) & stated[:, :, None] & stated[:, None, :]
    counts = same.sum(axis=2)
    first = counts.argmax(axis=1)
    rows = np.arange(len(answers))
    return Agreeing(
        share=counts[rows, first] / members.sum(axis=1),
        right=correct[rows, first] & (counts[rows, first] > 0),
        possible=np.asarray((correct & members).any(axis=1)),
        best=correct[:, best],
    )


def skip_study(group: Group, k: int, seed: int) -> list[Json]:
    """For each benchmark and share, what skipping saves and costs; the share is chosen on the bank.

    The prior is Equation 4's. On the bank each question is estimated from the others.
    """
    arena = group.arena()
    at = np.array([arena.bank.llms.index(name) for name in group.pool])
    _, held_out, on_test = arena.prior(PRIORS["equation4"][:1], at)
    accuracy = whole_bank_accuracy(arena.bank.correct[at], arena.bank.observed[at], fill="mean")
    k, best = min(k, len(at)), int(accuracy.argmax())

    def found(recorded: Recorded, estimates: FloatArray) -> Agreeing:
        members = top_k(estimates, k, accuracy)
        return agreeing(recorded.answers[at].T, recorded.correct[at].T, members, best)

    bank, test = found(arena.bank, held_out), found(arena.test, on_test)
    rows: list[Json] = []
    for benchmark in group.benchmarks:
        on_bank, there = arena.bank.of(benchmark=benchmark), arena.test.of(benchmark=benchmark)
        shares = [count / k for count in range(k, k // 2, -1)]
        chosen = _chosen(bank, on_bank, shares)
        rows += [
            {
                "benchmark": benchmark,
                "k": k,
                "share": number(share),
                "chosen": share == chosen,
                "most_lost_on_bank": number(_most_lost(bank, on_bank, share).mean()),
                **_figures(test, there, share, seed),
            }
            for share in shares
        ]
    return rows


def _chosen(bank: Agreeing, at: NDArray[np.int64], shares: Sequence[float]) -> float | None:
    """The smallest share that costs little enough on the bank, and every larger one too; None where none does."""
    chosen = None
    for share in shares:
        if _most_lost(bank, at, share).mean() > MOST_LOST:
            break
        chosen = share
    return chosen


def _most_lost(found: Agreeing, at: NDArray[np.int64], share: float) -> FloatArray:
    """Of each question, whether it is skipped though the answer that they agree on is wrong and another is right."""
    skipped = found.share[at] >= share - 1e-9
    return np.asarray(skipped & ~found.right[at] & found.possible[at], dtype=np.float64)


def _figures(test: Agreeing, at: NDArray[np.int64], share: float, seed: int) -> Json:
    skipped = test.share[at] >= share - 1e-9
    lost = _most_lost(test, at, share)
    to_best = skipped * (test.best[at].astype(np.float64) - test.right[at])
    low, high = bootstrap_interval(lost, np.random.default_rng(seed))
    best_low, best_high = bootstrap_interval(to_best, np.random.default_rng(seed))
    right = test.right[at][skipped]
    return {
        "n": len(at),
        "skipped": number(skipped.mean()),
        "accuracy_where_skipped": number(right.mean()) if right.size else None,
        "most_lost": number(lost.mean()),
        "most_lost_low": number(low),
        "most_lost_high": number(high),
        "lost_to_best_llm": number(to_best.mean()),
        "lost_to_best_llm_low": number(best_low),
        "lost_to_best_llm_high": number(best_high),
    }
