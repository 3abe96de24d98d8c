"""The study of selection and voting on recorded answers: its parts, each a function of a group of benchmarks.

Nothing here calls an LLM. The same input gives the same numbers: all draws are seeded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smcs.experiments.figures import Json, accuracies, accuracy, differences, number, rankings
from smcs.experiments.groups import Group
from smcs.experiments.replay import RECOMMENDED, STRATEGIES, Arena, Outcome, play

IntArray = NDArray[np.int64]
ALL_PRIORS = (RECOMMENDED, "equation4", "global", "softmax", "shrinkage", "ridge", "kernel-ridge")
PAIRS = (
    ("weighted-k", "majority"),
    ("weighted-k", "best-single"),
    ("weighted-k", "majority-k"),
    ("weighted-k", "log-odds-k"),
    ("weighted", "majority"),
    ("weighted", "best-single"),
    ("weighted-k", "weighted-k:equation4"),
    ("retrieval-top1", "best-single"),
    ("majority-k", "majority"),
)
_SWEPT = ("best-single", "majority", "retrieval-top1", "majority-k", "log-odds-k", "weighted-k", "weighted", "oracle")


@dataclass(frozen=True, slots=True)
class Plan:
    """Settings of the study.

    Attributes:
        k: LLMs that a prior selects.
        strategies: which strategies are replayed.
        priors: which priors strategies are replayed by; the first is the one without a suffix.
        seed: of random pools and banks, and of intervals.
        draws: random pools, and random banks, of each size.
    """

    k: int = 7
    strategies: tuple[str, ...] = STRATEGIES
    priors: tuple[str, ...] = (RECOMMENDED, "equation4")
    seed: int = 0
    draws: int = 10


def main_table(group: Group, plan: Plan) -> Json:
    """Every strategy and prior on the whole pool and bank, with the LLMs outside the pool as references."""
    arena = group.arena()
    outcome = play(
        arena, group.pool, plan.k, strategies=plan.strategies, priors=plan.priors, ranked=ALL_PRIORS
    )  # fmt: skip
    made: Json = {}
    for benchmark, at in _parts(arena):
        made[benchmark] = {
            **_setting(group, arena, at, plan),
            "best_single_on_bank": outcome.best,
            "strategies": accuracies(outcome.scores, at),
            "differences": differences(PAIRS, outcome.scores, at, plan.seed),
            "priors": rankings(outcome, at, plan.seed),
            "outside_references": _outside(group, arena, at),
        }
    return made


def leave_out(group: Group, plan: Plan, without: Sequence[int] = (0, 1, 2, 4)) -> list[Json]:
    """Without the strongest LLMs: one that dominates hides what selection and voting do."""
    arena, ranked, rows = group.arena(), group.strongest_first(), []
    for count in without:
        pool = [name for name in group.pool if name not in ranked[:count]]
        if len(pool) < 2:
            continue
        outcome = play(arena, pool, plan.k, strategies=_swept(plan), priors=plan.priors, ranked=ALL_PRIORS)
        rows += [
            {
                "benchmark": benchmark,
                "without": ranked[:count],
                "llms": len(pool),
                "best_single_on_bank": outcome.best,
                "strategies": accuracies(outcome.scores, at),
                "differences": differences(PAIRS, outcome.scores, at, plan.seed),
                "priors": rankings(outcome, at, plan.seed),
            }
            for benchmark, at in _parts(arena)
        ]
    return rows


def by_k(group: Group, plan: Plan) -> list[Json]:
    """K from 1 to the size of the pool, on the whole pool and without its two strongest."""
    arena, ranked, rows = group.arena(), group.strongest_first(), []
    for count in (0, 2):
        pool = [name for name in group.pool if name not in ranked[:count]]
        for k in range(1, len(pool) + 1):
            outcome = play(arena, pool, k, strategies=_swept(plan), priors=plan.priors[:1])
            rows += [
                {"benchmark": benchmark, "without": count, "k": k, "strategies": accuracies(outcome.scores, at)}
                for benchmark, at in _parts(arena)
            ]
    return rows


def by_pool_size(group: Group, plan: Plan) -> list[Json]:
    """Random pools of every size from 3 on: mean over the draws, and their standard deviation."""
    arena, rng, rows = group.arena(), np.random.default_rng(plan.seed), []
    for size in range(3, len(group.pool) + 1):
        draws = plan.draws if size < len(group.pool) else 1
        pools = [sorted(rng.choice(len(group.pool), size, replace=False).tolist()) for _ in range(draws)]
        outcomes = [
            play(arena, [group.pool[i] for i in pool], plan.k, strategies=_swept(plan), priors=plan.priors[:1])
            for pool in pools
        ]
        rows += [
            {"benchmark": benchmark, "llms": size, "draws": draws, "strategies": _over_draws(outcomes, at)}
            for benchmark, at in _parts(arena)
        ]
    return rows


def by_bank_size(group: Group, plan: Plan, sizes: Sequence[int] = (50, 100, 200, 400, 800, 1600)) -> list[Json]:
    """Random banks of every size from 50 questions to all: mean over the draws, and their standard deviation."""
    rng, rows = np.random.default_rng(plan.seed), []
    ranked = ("global", "equation4")
    for size in [*(size for size in sizes if size < group.bank.size), int(group.bank.size)]:
        draws = max(plan.draws // 2, 1) if size < group.bank.size else 1
        outcomes = []
        for _ in range(draws):
            bank = np.sort(rng.choice(group.bank, size, replace=False))
            arena = group.arena(bank)
            outcomes.append(
                play(arena, group.pool, plan.k, strategies=_swept(plan), priors=plan.priors[:1], ranked=ranked)
            )
        rows += [
            {
                "benchmark": benchmark,
                "bank_questions": size,
                "draws": draws,
                "strategies": _over_draws(outcomes, at),
                "priors": _rankings_over_draws(outcomes, at),
            }
            for benchmark, at in _parts(group.arena())
        ]
    return rows


def transfer(group: Group, plan: Plan) -> list[Json]:
    """Banks of another benchmark than the one asked about; where questions have subjects, of all other subjects."""
    rows = []
    names = group.recorded.benchmarks
    banks = {name: np.intersect1d(group.recorded.of(benchmark=name), group.bank) for name in names}
    for name in names if len(names) > 1 else []:
        arena = group.arena(banks[name])
        outcome = play(arena, group.pool, plan.k, strategies=_swept(plan), priors=plan.priors, ranked=ALL_PRIORS)
        rows += [_transferred((arena, name), outcome, benchmark, at, plan) for benchmark, at in _parts(arena)]
    for name in group.benchmarks:
        rows += _across_subjects(group, name, banks[name], plan)
    return rows


PARTS: Mapping[str, Callable[[Group, Plan], list[Json]]] = {
    "leave-out": leave_out,
    "k": by_k,
    "pool-size": by_pool_size,
    "bank-size": by_bank_size,
    "transfer": transfer,
}
"""The parts of the study beside the main table."""


def _across_subjects(group: Group, benchmark: str, bank: IntArray, plan: Plan) -> list[Json]:
    test = np.intersect1d(group.recorded.of(benchmark=benchmark), group.test)
    subject = np.array([question.subject or "" for question in group.recorded.questions])
    subjects = sorted(set(subject[test]) & set(subject[bank]) - {""})
    if len(subjects) < 2:
        return []
    outcomes = []
    for name in subjects:
        arena = group.arena(bank[subject[bank] != name], test[subject[test] == name])
        # Untuned: a fit for each setting and subject would take minutes and change little.
        outcomes.append(
            play(arena, group.pool, plan.k, strategies=_swept(plan), priors=plan.priors, ranked=ALL_PRIORS, tuned=False)
        )
    whole = _concatenated(outcomes)
    at = np.arange(len(next(iter(whole.scores.values()))))
    arena = group.arena(bank, test)
    return [_transferred((arena, f"{benchmark}: the other subjects"), whole, benchmark, at, plan)]


def _transferred(bank: tuple[Arena, str], outcome: Outcome, benchmark: str, at: IntArray, plan: Plan) -> Json:
    arena, name = bank
    return {
        "bank": name,
        "benchmark": benchmark,
        "bank_questions": len(arena.bank.questions),
        "strategies": accuracies(outcome.scores, at),
        "differences": differences(PAIRS, outcome.scores, at, plan.seed),
        "priors": rankings(outcome, at, plan.seed),
    }


def _concatenated(outcomes: Sequence[Outcome]) -> Outcome:
    scores = {name: np.concatenate([outcome.scores[name] for outcome in outcomes]) for name in outcomes[0].scores}
    pairs = {
        name: (
            np.concatenate([outcome.pairs[name][0] for outcome in outcomes]),
            np.concatenate([outcome.pairs[name][1] for outcome in outcomes]),
        )
        for name in outcomes[0].pairs
    }
    return Outcome(scores, pairs, outcomes[0].settings, outcomes[0].best)


def _swept(plan: Plan) -> tuple[str, ...]:
    return tuple(name for name in plan.strategies if name in _SWEPT)


def _parts(arena: Arena) -> list[tuple[str, IntArray]]:
    return [(name, arena.test.of(benchmark=name)) for name in arena.test.benchmarks]


def _setting(group: Group, arena: Arena, at: IntArray, plan: Plan) -> Json:
    return {
        "llms": list(group.pool),
        "k": min(plan.k, len(group.pool)),
        "bank": {name: int(arena.bank.of(benchmark=name).size) for name in arena.bank.benchmarks},
        "test_questions": int(at.size),
        "test_questions_left_out": group.left_out,
        "support_set": _support_size(arena, at),
    }


def _support_size(arena: Arena, at: IntArray) -> Json:
    sizes = (arena.support()[at] > 0).sum(axis=1)
    return {"least": int(sizes.min()), "median": number(float(np.median(sizes))), "most": int(sizes.max())}


def _outside(group: Group, arena: Arena, at: IntArray) -> Json:
    return {
        name: accuracy(arena.test.correct[i][at].astype(float))
        for i, name in enumerate(arena.test.llms)
        if name not in group.pool and arena.test.observed[i][at].all()
    }


def _over_draws(outcomes: Sequence[Outcome], at: IntArray) -> Json:
    made: Json = {}
    for name in outcomes[0].scores:
        means = np.array([outcome.scores[name][at].mean() for outcome in outcomes])
        first = accuracy(outcomes[0].scores[name][at])
        made[name] = {
            "accuracy": number(float(means.mean())),
            "standard_deviation": number(float(means.std(ddof=1))) if len(means) > 1 else None,
            "standard_error": first["standard_error"],
            "n": first["n"],
        }
    return made


def _rankings_over_draws(outcomes: Sequence[Outcome], at: IntArray) -> Json:
    made: Json = {}
    for name in outcomes[0].pairs:
        scores = [outcome.pairs[name][0][at].sum() / max(outcome.pairs[name][1][at].sum(), 1) for outcome in outcomes]
        made[name] = {
            "pairwise_ranking_score": number(float(np.mean(scores))),
            "standard_deviation": number(float(np.std(scores, ddof=1))) if len(scores) > 1 else None,
        }
    return made
