"""Table 4: how well a prior ranks LLMs: in which share of (wrong, right) pairs it puts the right one first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np

from smcs.bank import QuestionBank
from smcs.core.estimation import PRIORS, BankPrior
from smcs.core.measures import bootstrap_interval, ranked_pairs
from smcs.core.prior import whole_bank_accuracy
from smcs.evaluation.run import Tested
from smcs.evaluation.statistics import over_seeds
from smcs.experiments.called import Arm, Made, Setting, columns_of
from smcs.experiments.exhibit import Contrast, Exhibit, Measured, Row
from smcs.experiments.groups import Group
from smcs.experiments.printed import printed
from smcs.experiments.replay import RECOMMENDED, Arena, FloatArray, IntArray, play
from smcs.experiments.replayed import EQUATION4, Replayed, banked, tested

TITLE = "pairwise ranking score, per cent"
PAPER_COLUMNS = {
    "math500": "MATH",
    "mbpp": "MBPP",
    "medmcqa": "MedMCQA",
    "livecodebench": "LiveCodeBench",
    "aime": "AIME",
}
_SMCS = "SMCS: similarity-weighted successes (Equation 4)"
_LABELS = {
    EQUATION4: _SMCS,
    RECOMMENDED: f"the prior recommended here ({RECOMMENDED})",
    "global": "accuracy over the whole bank",
}
_BY_KIND = "accuracy on the question's subject or benchmark"
_ELSEWHERE = "with a bank of other benchmarks or subjects only"
_PRINTED = {_SMCS: "SMCS", "Symbolic-MoE": "Symbolic-MoE"}
_BY_BENCHMARK = "accuracy on the question's benchmark"
_MOE = "Symbolic-MoE"
_SYMBOLIC = "symbolic-moe:variant=compared"
BENCHMARKS = tuple(PAPER_COLUMNS)
Pairs: TypeAlias = tuple[IntArray, IntArray]


def from_recorded(replayed: Replayed) -> Exhibit:
    """Rank recorded LLMs by each prior, with the whole bank and with one of other benchmarks or subjects only."""
    whole: dict[str, dict[str, Pairs]] = {}
    elsewhere: dict[str, dict[str, Pairs]] = {}
    for group in replayed.groups:
        for benchmark in group.benchmarks:
            for label, pairs in _ranked(group, group.bank, tested(group, benchmark)).items():
                whole.setdefault(label, {})[benchmark] = pairs
            for label, pairs in _ranked_elsewhere(group, benchmark).items():
                elsewhere.setdefault(label, {})[benchmark] = pairs
    rows = [
        Row(
            label,
            {name: score_of(pairs, replayed.seed) for name, pairs in by_benchmark.items()},
            printed_score("SMCS") if label == _SMCS and not heading else {},
            heading,
        )
        for heading, part in (("", whole), (_ELSEWHERE, elsewhere))
        for label, by_benchmark in part.items()
    ]
    rows.insert(4, Row("Symbolic-MoE", paper=printed_score("Symbolic-MoE")))
    return Exhibit(
        "Table 4", TITLE, "recorded", replayed.setting, {**replayed.columns, **PAPER_COLUMNS}, rows,
        contrasts=_contrasts(whole, elsewhere, replayed.seed),
        notes=[
            "Symbolic-MoE has an LLM name the skills of a question, which recorded answers do not hold; the accuracy "
            "on the question's subject, or benchmark where there is none, stands in for its profiles.",
            "Intervals: bootstrap over questions.",
        ],
    )  # fmt: skip


def score_of(pairs: Pairs, seed: int) -> Measured:
    """The score in per cent with its 95% interval over questions."""
    won, all_pairs = pairs
    total = int(all_pairs.sum())
    if not total:
        return Measured(float("nan"), n=len(won))
    low, high = bootstrap_interval(won, np.random.default_rng(seed), over=all_pairs)
    return Measured(100 * int(won.sum()) / total, n=len(won), low=100 * low, high=100 * high)


def printed_score(method: str) -> Mapping[str, float]:
    """What the paper prints for a method."""
    return next(row.values for row in printed(4) if row.label == method)


def _ranked(group: Group, bank: IntArray, test: IntArray) -> dict[str, Pairs]:
    arena = group.arena(bank, test)
    outcome = play(arena, group.pool, 1, strategies=(), priors=(), ranked=tuple(_LABELS))
    return {**{_LABELS[name]: pairs for name, pairs in outcome.pairs.items()}, _BY_KIND: _by_kind(arena, group)}


def _ranked_elsewhere(group: Group, benchmark: str) -> dict[str, Pairs]:
    others = np.setdiff1d(group.bank, banked(group, benchmark))
    test = tested(group, benchmark)
    if others.size:
        ranked = _ranked(group, others, test)
        return {label: pairs for label, pairs in ranked.items() if label != _BY_KIND}
    subject = np.array([question.subject or "" for question in group.recorded.questions])
    subjects = sorted(set(subject[test]) & set(subject[group.bank]) - {""})
    if len(subjects) < 2:
        return {}
    parts: dict[str, list[Pairs]] = {}
    for name in subjects:
        arena = group.arena(group.bank[subject[group.bank] != name], test[subject[test] == name])
        # Untuned: a fit for each setting and subject would take minutes and change little.
        outcome = play(arena, group.pool, 1, strategies=(), priors=(), ranked=tuple(_LABELS), tuned=False)
        for prior, pairs in outcome.pairs.items():
            parts.setdefault(_LABELS[prior], []).append(pairs)
    return {
        label: (np.concatenate([won for won, _ in made]), np.concatenate([pairs for _, pairs in made]))
        for label, made in parts.items()
    }


def _by_kind(arena: Arena, group: Group) -> Pairs:
    """Ranked by accuracy on the bank questions of the same subject, or of the same benchmark where there is none."""
    at = [arena.bank.llms.index(name) for name in group.pool]
    correct, observed = arena.bank.correct[at], arena.bank.observed[at]
    kinds = np.array([f"{q.benchmark}/{q.subject or ''}" for q in arena.bank.questions])
    overall = whole_bank_accuracy(correct, observed, fill="mean")
    known: dict[str, FloatArray] = {}
    for kind in np.unique(kinds):
        there = kinds == kind
        known[str(kind)] = whole_bank_accuracy(correct[:, there], observed[:, there], fill="mean")
    prior = np.stack([known.get(f"{q.benchmark}/{q.subject or ''}", overall) for q in arena.test.questions])
    return ranked_pairs(prior, arena.test.correct[at].T, arena.test.observed[at].T)


def _contrasts(
    whole: Mapping[str, Mapping[str, Pairs]], elsewhere: Mapping[str, Mapping[str, Pairs]], seed: int
) -> list[Contrast]:
    made = []
    for suffix, part in (("", whole), (", other bank", elsewhere)):
        for one, other in ((EQUATION4, "global"), (RECOMMENDED, EQUATION4)):
            first, second = part.get(_LABELS[one], {}), part.get(_LABELS[other], {})
            made += [
                _difference(f"{one}{suffix}", other, name, (first[name], second[name]), seed)
                for name in first
                if name in second
            ]
    return made


def _difference(one: str, other: str, column: str, ranked: tuple[Pairs, Pairs], seed: int) -> Contrast:
    first, second = ranked
    won, pairs = first[0] - second[0], first[1]
    low, high = bootstrap_interval(won, np.random.default_rng(seed), over=pairs)
    return Contrast(one, other, column, 100 * float(won.sum() / pairs.sum()), 100 * low, 100 * high, len(won))


def arms(setting: Setting) -> list[Arm]:
    """Every LLM alone, whose answers are what is ranked; and Symbolic-MoE, which ranks as it recruits."""
    return [Arm((_SYMBOLIC, *(f"single:llm={name}" for name in setting.llms)))]


async def from_calls(made: Sequence[Made], setting: Setting) -> Exhibit:
    """A row for each prior."""
    one = made[0]
    singles = [await one.grades(f"single:llm={name}") for name in setting.llms]
    correct = {
        name: np.stack([over_seeds(grades[name]) for grades in singles], axis=1) for name in one.report.benchmarks
    }
    bank = one.comparison.parts.bank.select(setting.llms)
    priors = await _live_priors(one, bank, setting)
    rows, ranked = [], dict[str, dict[str, Pairs]]()
    for label, prior in priors.items():
        ranked[label] = {name: _ranked_here(prior[name], right) for name, right in correct.items()}
        cells = {name: score_of(pairs, setting.seed) for name, pairs in ranked[label].items()}
        rows.append(Row(label, cells, printed_score(_PRINTED[label]) if label in _PRINTED else {}))
    return Exhibit(
        "Table 4", TITLE, setting.source, setting.described(one.comparison),
        _columns(one), rows, contrasts=_contrasts(ranked, {}, setting.seed),
        notes=[
            f"{_MOE} ranks by the chance with which it recruits an LLM; the LLM that names skills is the aggregator. "
            "With several seeds an LLM counts as right where it is more often right than not.",
            "Intervals: bootstrap over questions.",
            *one.report.notes,
        ],
    )  # fmt: skip


async def _live_priors(made: Made, bank: QuestionBank, setting: Setting) -> dict[str, dict[str, FloatArray]]:
    """By prior and benchmark, array of shape (Q, R); nan where a prior says nothing of a question."""
    by_benchmark: dict[str, list[Tested]] = {}
    for one in made.comparison.tested:
        by_benchmark.setdefault(one.question.benchmark, []).append(one)
    overall = whole_bank_accuracy(bank.capability, bank.observed, fill="mean")
    named = {name: BankPrior(PRIORS[name], bank.embeddings, bank.capability, bank.observed) for name in _LABELS}
    recruited = {
        question.digest: [trace["prior"].get(name, np.nan) for name in setting.llms]
        for question, seed, trace in await made.traces(_SYMBOLIC)
        if seed == 0 and trace["prior"]
    }
    nothing = [np.nan] * len(setting.llms)
    found: dict[str, dict[str, FloatArray]] = {}
    for benchmark, asked in by_benchmark.items():
        vectors = await made.comparison.parts.embedder.embed([one.question.text for one in asked], "query")
        for name, prior in named.items():
            found.setdefault(_LABELS[name], {})[benchmark] = prior.estimate(vectors)
        there = np.array([question.benchmark == benchmark for question in bank.questions], dtype=bool)
        part = overall
        if there.any():
            part = whole_bank_accuracy(bank.capability[:, there], bank.observed[:, there], fill="mean")
        found.setdefault(_BY_BENCHMARK, {})[benchmark] = np.tile(part, (len(asked), 1))
        found.setdefault(_MOE, {})[benchmark] = np.array([recruited.get(one.digest, nothing) for one in asked])
    return found


def _columns(made: Made) -> dict[str, str]:
    return {name: label for name, label in columns_of(made, tuple(PAPER_COLUMNS)).items() if name != "Avg"}


def _ranked_here(prior: FloatArray, correct: FloatArray) -> Pairs:
    known = ~np.isnan(correct) & ~np.isnan(prior)
    return ranked_pairs(np.nan_to_num(prior), np.nan_to_num(correct) > 0.5, known)
