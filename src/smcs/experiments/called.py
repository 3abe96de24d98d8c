"""What the tables and figures that need calls have in common: a pool, arms of strategies, and what they came to.

An arm is some strategies on one pool and one bank. A table whose rows differ in these has several arms; all share their
calls through the results file, which is the one of ``smcs eval``: answers that are there are not asked for again.
"""

from __future__ import annotations

import dataclasses
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from smcs.bank import QuestionBank
from smcs.errors import BankError, ConfigError
from smcs.evaluation import Comparison, EvaluationProgress, Report, ResultsStore, evaluate, prepare
from smcs.evaluation.report import StrategyRow, answers_and_grades, make_report
from smcs.evaluation.run import Tested, Watcher
from smcs.evaluation.setup import make_setups
from smcs.evaluation.statistics import Estimate, FloatArray
from smcs.experiments.exhibit import Contrast, Measured, Source
from smcs.pool import Pool
from smcs.registry import did_you_mean
from smcs.strategies import Parts, parse_specs
from smcs.types import Question


@dataclass(frozen=True, slots=True)
class Setting:
    """What is at hand.

    Attributes:
        source: ``live`` or ``paper``.
        parts: pool, bank, embedder and the method's settings.
        questions: all that are tested.
        limit: most of each benchmark.
        seeds: repetitions of everything; None for the table's own.
        seed: of what is drawn at random.
        bank: what to call the bank.
        sandbox: what programs are run in to grade them.
        options: the table's own options.
    """

    source: Source
    parts: Parts
    questions: Sequence[Question]
    limit: int | None = None
    seeds: int | None = None
    seed: int = 0
    bank: str = ""
    sandbox: str = "auto"
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def llms(self) -> list[str]:
        """Names of the pool's LLMs."""
        return self.parts.pool.names

    @property
    def k(self) -> int:
        """How many referencers the method selects."""
        return self.parts.method.k

    def described(self, comparison: Comparison) -> str:
        """What is measured, in one sentence."""
        counts: dict[str, int] = {}
        for one in comparison.tested:
            counts[one.question.benchmark] = counts.get(one.question.benchmark, 0) + 1
        questions = ", ".join(f"{count} {name}" for name, count in counts.items())
        method, seeds = self.parts.method, comparison.seeds
        return (
            f"{len(self.llms)} LLMs ({', '.join(self.llms)}); questions: {questions}; {seeds} seed"
            f"{'' if seeds == 1 else 's'}; bank {self.bank} of {len(comparison.parts.bank)} questions; K = {method.k}, "
            f"n = {method.n_aggregations}, at most {method.sampling.max_tokens} tokens."
        )


@dataclass(frozen=True, slots=True)
class Arm:
    """Strategies on one pool and one bank.

    Attributes:
        strategies: as ``smcs eval --strategy`` takes them.
        name: what tells it from the table's other arms.
        llms: the pool, where it is a part of the whole.
        benchmark: the bank holds only this benchmark's questions.
        seeds: repetitions, where the user names none.
    """

    strategies: tuple[str, ...]
    name: str = ""
    llms: tuple[str, ...] = ()
    benchmark: str | None = None
    seeds: int = 1


@dataclass(frozen=True, slots=True)
class Made:
    """What an arm came to."""

    arm: Arm
    comparison: Comparison
    report: Report
    store: ResultsStore
    digests: Mapping[str, str]

    @property
    def labels(self) -> list[str]:
        """Its strategies."""
        return [row.label for row in self.report.rows]

    def row(self, label: str) -> StrategyRow:
        """How one strategy did."""
        return next(row for row in self.report.rows if row.label == label)

    def cells(self, label: str) -> dict[str, Measured]:
        """Accuracy by benchmark, and on average where there are several (column ``Avg``)."""
        row = self.row(label)
        made = {name: measured(estimate) for name, estimate in row.benchmarks.items()}
        return made if len(made) < 2 else {**made, "Avg": measured(row.average)}

    async def grades(self, label: str) -> dict[str, FloatArray]:
        """By benchmark, array of shape (Q, S); questions stand in the order of the comparison's."""
        comparison = self.comparison
        _, grades = await answers_and_grades(self.store, self.digests[label], comparison.tested, comparison.seeds)
        return grades

    async def traces(self, label: str) -> list[tuple[Tested, int, dict[str, Any]]]:
        """The trace of each answer that was given: question, seed, trace."""
        tested = {one.digest: one for one in self.comparison.tested}
        found = []
        for (question, seed), answer in (await self.store.answers(self.digests[label])).items():
            if question in tested and seed < self.comparison.seeds and answer.text is not None:
                packed = await self.store.trace(answer.key)
                found.append((tested[question], seed, json.loads(zlib.decompress(packed))))
        return found

    def contrasts(self, one: str, others: Sequence[str]) -> list[Contrast]:
        """One strategy less others, averaged over benchmarks."""
        made = []
        for pair in self.report.pairs:
            if one in {pair.one, pair.other} and {pair.one, pair.other} - {one} <= set(others):
                d, sign = pair.difference, 100 if pair.one == one else -100
                low, high = sorted((sign * d.low, sign * d.high))
                other = pair.other if pair.one == one else pair.one
                column = "Avg" if len(self.report.benchmarks) > 1 else next(iter(self.report.benchmarks))
                made.append(Contrast(one, other, column, sign * d.mean, low, high, d.questions))
        return made


def measured(estimate: Estimate) -> Measured:
    """An accuracy in per cent."""
    return Measured(100 * estimate.mean, 100 * estimate.error, estimate.questions)


def comparisons_of(setting: Setting, arms: Sequence[Arm]) -> list[Comparison]:
    """What each arm compares.

    Raises:
        BankError: the bank holds no question that an arm needs.
        ConfigError: an arm's strategies cannot be had.
    """
    return [
        prepare(
            _narrowed(setting.parts, arm), parse_specs(arm.strategies), setting.questions, limit=setting.limit,
            seeds=setting.seeds or arm.seeds,
        )
        for arm in arms
    ]  # fmt: skip


@dataclass(slots=True)
class Runner:
    """Carries arms out one after the other, within one budget.

    Attributes:
        stopped: why no more calls are made; empty where nothing has stopped it.
        complete: whether all answers are there.
        progress: of all arms so far.
    """

    store: ResultsStore
    setting: Setting
    budget_usd: float | None = None
    budget_tokens: int | None = None
    concurrency: int = 8
    watch: Watcher = lambda _: None
    stopped: str = ""
    complete: bool = True
    calls: int = 0

    async def run(self, arms: Sequence[Arm]) -> list[Made]:
        """Have all arms answer what they have not answered yet."""
        comparisons = comparisons_of(self.setting, arms)
        return [await self._arm(arm, comparison) for arm, comparison in zip(arms, comparisons, strict=True)]

    async def _arm(self, arm: Arm, comparison: Comparison) -> Made:
        setups = make_setups(comparison.specs, comparison.parts)
        if self.stopped:
            report = await make_report(
                self.store, setups, comparison.tested, comparison.seeds, pool=comparison.parts.pool.names,
                bank=self.setting.bank, notes=comparison.notes,
            )  # fmt: skip
        else:
            progress, report = await evaluate(
                self.store, comparison, budget_usd=self.budget_usd, budget_tokens=self.budget_tokens,
                concurrency=self.concurrency, sandbox=self.setting.sandbox, bank=self.setting.bank, watch=self.watch,
            )  # fmt: skip
            self._account(progress)
        return Made(arm, comparison, report, self.store, {setup.label: setup.digest for setup in setups})

    def _account(self, progress: EvaluationProgress) -> None:
        self.stopped = progress.stopped or ""
        self.complete = self.complete and progress.complete
        self.calls += progress.calls
        if self.budget_usd is not None:
            self.budget_usd = max(0.0, self.budget_usd - (progress.cost_usd or 0.0))
        if self.budget_tokens is not None:
            self.budget_tokens = max(0, self.budget_tokens - progress.prompt_tokens - progress.completion_tokens)


def _narrowed(parts: Parts, arm: Arm) -> Parts:
    """A part of the pool, and of the bank."""
    if arm.llms:
        parts = dataclasses.replace(parts, pool=Pool([parts.pool[name] for name in arm.llms]))
    if arm.benchmark is not None:
        parts = dataclasses.replace(parts, bank=only_benchmark(parts.bank, arm.benchmark))
    return parts


def only_benchmark(bank: QuestionBank, benchmark: str) -> QuestionBank:
    """A benchmark's part of a bank.

    Raises:
        BankError: there is none.
    """
    keep = np.array([question.benchmark == benchmark for question in bank.questions], dtype=bool)
    if not keep.any():
        known = sorted({question.benchmark for question in bank.questions})
        raise BankError(f"the bank holds no question of {benchmark!r}{did_you_mean(benchmark, known)}")
    return dataclasses.replace(
        bank,
        questions=tuple(q for q, kept in zip(bank.questions, keep, strict=True) if kept),
        embeddings=bank.embeddings[keep],
        capability=bank.capability[:, keep],
        observed=bank.observed[:, keep],
    )


def columns_of(made: Made, paper: Sequence[str]) -> dict[str, str]:
    """A column for each benchmark that was tested or is printed, with its number of questions, in the paper's order."""
    counts = made.report.benchmarks
    names = [*(name for name in paper if name != "Avg"), *(name for name in counts if name not in paper)]
    shown = {name: f"{name} ({counts[name]})" if name in counts else name for name in names}
    return {**shown, "Avg": "average"} if "Avg" in paper or len(counts) > 1 else shown


def require_several(llms: Sequence[str], least: int, what: str) -> None:
    """Refuse a pool that is too small for a figure.

    Raises:
        ConfigError: it is.
    """
    if len(llms) < least:
        raise ConfigError(f"{what} needs a pool of at least {least} LLMs, and this one has {len(llms)}")
