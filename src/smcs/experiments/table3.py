"""Table 3: what bank the LLMs are selected by. One of another benchmark, one of all, or none (random selection)."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from smcs.core.voting import top_k, vote_accuracy
from smcs.evaluation.statistics import paired_difference
from smcs.experiments.called import Arm, Made, Setting, columns_of
from smcs.experiments.exhibit import Contrast, Exhibit, Row
from smcs.experiments.groups import Group
from smcs.experiments.printed import printed
from smcs.experiments.replay import RECOMMENDED, Arena, FloatArray, IntArray, play
from smcs.experiments.replayed import EQUATION4, Replayed, banked, contrast, mean_over_draws, percent, tested

TITLE = "accuracy by question bank, per cent"
_BANKS = ("another benchmark's questions only", "all benchmarks", "its own questions only", "none (random selection)")
_OTHER, _ALL, _OWN, _NONE = _BANKS
_STRATEGIES = {
    "majority-k": "majority of the K selected",
    "retrieval-top1": "the one selected first",
    "weighted-k": f"weighted vote of the K, prior {RECOMMENDED}",
}
_SHORT = {_OTHER: "other bank", _ALL: "all", _OWN: "own bank", _NONE: "random"}
_PRINTED = {
    _OTHER: "MMLU-PRO only (5,512 questions)",
    _ALL: "unified (eight benchmarks)",
    _NONE: "none (random selection)",
}
_RANDOM = "smcs:prior=random:drop=random"
PAPER_COLUMNS = {"aime": "AIME", "mbpp": "MBPP", "gpqa_diamond": "GPQA-Diamond", "medmcqa": "MedMCQA"}
BENCHMARKS = tuple(PAPER_COLUMNS)
Scores: TypeAlias = Mapping[str, FloatArray]


def paper_row(label: str) -> Mapping[str, float]:
    """What the paper prints for a bank."""
    return next(row.values for row in printed(3) if row.label == label)


def from_recorded(replayed: Replayed) -> Exhibit:
    """Select by each kind of bank, and vote among the selected."""
    cells: dict[tuple[str, str], dict[str, FloatArray]] = {}
    for group in replayed.groups:
        for benchmark in group.benchmarks:
            for bank, scores in _by_bank(group, benchmark, replayed):
                for strategy, score in scores.items():
                    cells.setdefault((bank, strategy), {})[benchmark] = score
    rows = [
        Row(bank, {name: percent(score) for name, score in cells[bank, strategy].items()}, group=heading)
        for strategy, heading in _STRATEGIES.items()
        for bank in _BANKS
        if (bank, strategy) in cells
    ]
    rows += [Row(f"SMCS, {bank}", paper=paper_row(label), group="printed") for bank, label in _PRINTED.items()]
    return Exhibit(
        "Table 3", TITLE, "recorded", replayed.setting, {**replayed.columns, **PAPER_COLUMNS}, rows,
        contrasts=_contrasts(cells, replayed.seed),
        notes=[
            "The LLMs are selected by Equation 4 but for the weighted vote, which has no random selection: without a "
            "bank there are no weights.",
            "mmlu_pro has no other benchmark with its LLMs: there the other questions are those of all other subjects.",
        ],
    )  # fmt: skip


def _by_bank(group: Group, benchmark: str, replayed: Replayed) -> Iterator[tuple[str, Scores]]:
    test, own = tested(group, benchmark), banked(group, benchmark)
    others = np.setdiff1d(group.bank, own)
    if others.size:
        yield _OTHER, _played(group.arena(others, test), group, replayed)
        yield _OWN, _played(group.arena(own, test), group, replayed)
        yield _ALL, _played(group.arena(group.bank, test), group, replayed)
    else:
        yield from _OtherSubjects(group, own, test, replayed).scores()
        yield _ALL, _played(group.arena(own, test), group, replayed)
    yield _NONE, _at_random(group, test, replayed)


def _played(arena: Arena, group: Group, replayed: Replayed, *, tuned: bool = True) -> Scores:
    plain = ("majority-k", "retrieval-top1")
    selected = play(arena, group.pool, replayed.k, strategies=plain, priors=(EQUATION4,), tuned=tuned)
    weighted = play(arena, group.pool, replayed.k, strategies=("weighted-k",), priors=(RECOMMENDED,), tuned=tuned)
    return {**selected.scores, **weighted.scores}


class _OtherSubjects:
    """Each subject's questions by the bank questions of all other subjects."""

    def __init__(self, group: Group, own: IntArray, test: IntArray, replayed: Replayed) -> None:
        self._group, self._own, self._test, self._replayed = group, own, test, replayed
        self._subject = np.array([question.subject or "" for question in group.recorded.questions])

    def scores(self) -> Iterator[tuple[str, Scores]]:
        """Nothing where there are no subjects."""
        subject, own, test = self._subject, self._own, self._test
        subjects = sorted(set(subject[test]) & set(subject[own]) - {""})
        if len(subjects) < 2 or not np.isin(subject[test], subjects).all():
            return
        whole: dict[str, FloatArray] = {name: np.empty(len(test)) for name in _STRATEGIES}
        for name in subjects:
            there = subject[test] == name
            arena = self._group.arena(own[subject[own] != name], test[there])
            # Untuned: a fit for each setting and subject would take minutes and change little.
            for strategy, score in _played(arena, self._group, self._replayed, tuned=False).items():
                whole[strategy][there] = score
        yield _OTHER, whole


def _at_random(group: Group, test: IntArray, replayed: Replayed) -> Scores:
    """K LLMs at random for each question: the mean over draws. The first of them is any LLM."""
    at = [group.recorded.llms.index(name) for name in group.pool]
    answers = group.recorded.answers[at][:, test].T
    correct = group.recorded.correct[at][:, test].T.astype(np.float64)
    rng, some = np.random.default_rng(replayed.seed), min(replayed.k, len(at))
    votes = []
    for _ in range(replayed.draws):
        members = top_k(rng.random(correct.shape), some, np.zeros(len(at)))
        votes.append(vote_accuracy(answers, correct, members=members))
    return {"majority-k": mean_over_draws(votes), "retrieval-top1": correct.mean(axis=1)}


def _contrasts(cells: Mapping[tuple[str, str], Scores], seed: int) -> list[Contrast]:
    made: list[Contrast] = []
    for strategy in ("majority-k", "retrieval-top1"):
        for one, other in ((_ALL, _OTHER), (_ALL, _NONE), (_OTHER, _NONE)):
            first, second = cells.get((one, strategy), {}), cells.get((other, strategy), {})
            made += [
                contrast(f"{strategy}: {_SHORT[one]}", _SHORT[other], name, [first[name], second[name]], seed)
                for name in first
                if name in second
            ]
    return made


def arms(setting: Setting) -> list[Arm]:
    """SMCS on the whole bank and without one, and on one benchmark's part of the bank."""
    return [Arm(("smcs", _RANDOM)), Arm(("smcs",), name="one benchmark", benchmark=_only(setting))]


async def from_calls(made: Sequence[Made], setting: Setting) -> Exhibit:
    """A row for each bank."""
    whole, part = made
    only = _only(setting)
    rows = [
        Row(f"{only} only", part.cells("smcs"), paper_row(_PRINTED[_OTHER])),
        Row("the whole bank", whole.cells("smcs"), paper_row(_PRINTED[_ALL])),
        Row(_NONE, whole.cells(_RANDOM), paper_row(_PRINTED[_NONE])),
    ]
    one, other = await whole.grades("smcs"), await part.grades("smcs")
    between = paired_difference(one, other)
    contrasts = [
        *(dataclasses.replace(c, one="the whole bank", other=_NONE) for c in whole.contrasts("smcs", [_RANDOM])),
        Contrast(
            "the whole bank",
            f"{only} only",
            "Avg",
            100 * between.mean,
            100 * between.low,
            100 * between.high,
            between.questions,
        ),
    ]
    return Exhibit(
        "Table 3", TITLE, setting.source, setting.described(whole.comparison),
        columns_of(whole, tuple(PAPER_COLUMNS)), rows, contrasts=contrasts,
        notes=[
            f"Without a bank, K LLMs are drawn at random and each reference is as likely to be dropped ({_RANDOM}); "
            "the aggregator is the same.",
            *whole.report.notes, *part.report.notes,
        ],
    )  # fmt: skip


def _only(setting: Setting) -> str:
    """The benchmark whose part of the bank stands alone: the one named, the paper's, or the one with most questions."""
    named: str | None = setting.options.get("only_bank")
    counts = Counter(question.benchmark for question in setting.parts.bank.questions)
    if named:
        return named if named in counts else named.replace("-", "_")
    return "mmlu_pro" if "mmlu_pro" in counts else counts.most_common(1)[0][0]
