"""SMCS: retrieve, select referencers, collect references, explore, exploit.

The five steps are `SMCS._retrieve` [Equations 2-4], `SMCS._select` [5], `SMCS._plan` [6], the calls of `_explore`, and
`Scoring.exploit` [7]; `SMCS.answer` walks through them. Each component can be switched off or to something simpler
(`SMCSSettings.prior`, `drop`, `posterior`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from smcs.bank import QuestionBank
from smcs.bank.grading import Graders
from smcs.config import Settings as BaseSettings
from smcs.config import SMCSSettings
from smcs.core import exploration
from smcs.errors import ConfigError
from smcs.pool import Pool
from smcs.pool.budget import Cost
from smcs.protocols import Embedder, Grader, Observer
from smcs.strategies._adaptive import Adaptive
from smcs.strategies._afford import Effort, Worst, lesser, within_limits
from smcs.strategies._aggregate import require_output
from smcs.strategies._aggregator import check_aggregator, rank_aggregators
from smcs.strategies._answering import Story
from smcs.strategies._calls import Calls, call_seed
from smcs.strategies._collect import Ask
from smcs.strategies._exploit import Scoring, ranked
from smcs.strategies._explore import Explored, Plan, explore
from smcs.strategies._parts import Parts, Turn
from smcs.strategies._retrieve import Retrieval, Retriever, available
from smcs.types import NO_LIMITS, Answer, Limits, Message, Planned, Question, Retrieved, Scored, SupportItem


class Settings(BaseSettings):
    """None of its own: all of SMCS's settings are the method's."""


def create(parts: Parts, settings: Settings) -> SMCS:
    """Build the strategy."""
    return SMCS(parts.pool, parts.bank, parts.embedder, parts.method, parts.grader)


class SMCS:
    """The method of the paper, over a pool and a question bank.

    Args:
        pool: the LLMs.
        bank: the question bank; its LLMs are matched to the pool's by name.
        embedder: the one that made the bank's embeddings.
        settings: K, n, lambda and so on.
        grader: a grader by its name, for what it can extract.

    Raises:
        ConfigError: settings that this pool cannot meet.
    """

    def __init__(
        self,
        pool: Pool,
        bank: QuestionBank,
        embedder: Embedder,
        settings: SMCSSettings,
        grader: Callable[[str], Grader] | None = None,
    ) -> None:
        self._pool = pool
        self._embedder = embedder
        self._settings = settings
        self._grader = grader or Graders().get
        self._retriever = Retriever(pool, bank, embedder, settings)
        if settings.k > len(pool):
            raise ConfigError(
                f"k = {settings.k} referencers are more than the pool's {len(pool)} LLMs; "
                f"add LLMs, or set k to {len(pool)} or less (preset 'local' takes 3)"
            )
        self._aggregators = rank_aggregators(pool, self._retriever.bank, settings, logprobs=settings.needs_logprobs)
        self.aggregator = self._aggregators[0]
        for name in settings.aggregators.values():
            check_aggregator(pool, name, logprobs=settings.needs_logprobs)

    async def answer(
        self,
        question: Question,
        *,
        seed: int,
        history: Sequence[Message] = (),
        observe: Observer = lambda _: None,
        limits: Limits = NO_LIMITS,
    ) -> Answer:
        """Answer one question (see `smcs.protocols.Strategy.answer`).

        Raises:
            QuestionError: the question fits no LLM's context.
            NoAnswerError: every reference, or every aggregation, failed.
            BudgetError: the limits leave no room for a call.
            DeadlineError: their time was over before anything was in.
            CallError: the question could not be embedded.
        """
        calls, turn = Calls(self._pool, observe, limits), Turn(question, tuple(history), seed)
        story = Story(calls, seed, embedder=self._retriever.bank.embedder.name)
        story.retrieval = retrieval = await calls.in_time(self._retrieve(question))
        story.step("retrieve")
        observe(Retrieved(retrieval.support, retrieval.by_name, story.steps["retrieve"]))
        selected, notes = await calls.in_time(self._select(retrieval, calls, turn.for_references))
        story.notes += notes
        plan = self._plan(retrieval, selected, calls, turn)
        require_output(self._pool, plan.aggregator, turn)
        story.substitutes = not (question.output and question.output.features)
        story.plan, story.aggregator = plan, plan.aggregator
        observe(Planned(plan.referencers, plan.subsets, plan.aggregator))
        scoring = Scoring(self._embedder, self._settings, calls.ledger)
        adaptive = None
        if self._settings.adaptive and story.substitutes:
            adaptive = Adaptive(self._settings, self._grader, scoring, calls.ledger, question)
        explored = await explore(calls, plan, self._settings, turn, adaptive)
        story.notes += explored.notes
        story.step("explore")
        scored, best, notes = await scoring.exploit(explored.aggregations)
        story.notes += notes
        story.step("exploit")
        return self._answer(story, replace(explored, aggregations=scored), best)

    def _answer(self, story: Story, explored: Explored, best: int | None) -> Answer:
        """The winner; where there is none, the reference that is the answer."""
        references, aggregations = explored.references, explored.aggregations
        if best is not None:
            story.calls.observe(Scored(aggregations, best))
            return story.answer(story.trace(references, aggregations, best), *ranked(aggregations, best))
        chosen = explored.chosen if aggregations else story.first(references)
        if chosen is not None:
            return story.of_reference(references, chosen, aggregations=aggregations)
        return story.without_aggregation(references, aggregations)

    async def _retrieve(self, question: Question) -> Retrieval:
        """Similar questions of the bank, and each LLM's prior by them [Equations 2-4]."""
        if self._settings.prior == "global":
            return self._retriever.overall()
        return await self._retriever.retrieve(question)

    async def _select(self, retrieval: Retrieval, calls: Calls, turn: Turn) -> tuple[list[str], list[str]]:
        """The K referencers [Equation 5] among the LLMs whose context holds the question; best first."""
        ranking = self._retriever.ranking(retrieval.prior)
        order = list(ranking)
        if self._settings.prior == "random":
            rng = np.random.default_rng(call_seed(turn.seed, "referencers"))
            order = [self._pool.names[i] for i in rng.permutation(len(self._pool))]
        chosen, notes = await available(calls, order, self._settings.k, turn, self._settings)
        if len(chosen) < self._settings.k:
            notes.append(f"only {len(chosen)} of k = {self._settings.k} referencers are available")
        return sorted(chosen, key=ranking.index), notes

    def _plan(self, retrieval: Retrieval, selected: Sequence[str], calls: Calls, turn: Turn) -> Plan:
        """Draw the subsets [Equation 6], from the prior alone: before any reference is in.

        Where calls, tokens or dollars are limited, with as many referencers as they leave room for.
        """
        by_name = retrieval.by_name
        aggregator = self._aggregator_for(retrieval.support, calls)
        asks, aggregates = self._affordable([Ask(name, by_name[name]) for name in selected], aggregator, calls, turn)
        names = [ask.llm for ask in asks]
        prior = np.array([ask.prior for ask in asks])
        equally = np.full(len(names), 1 / len(names))
        distribution = exploration.drop_distribution(prior) if self._settings.drop == "prior" else equally
        rng = np.random.default_rng(turn.seed)
        n = self._settings.n_aggregations if aggregates else 0
        drawn = exploration.sample_subsets(distribution, n, self._n_drop(len(names)), rng)
        return Plan(
            referencers=tuple(names),
            prior=tuple(float(p) for p in prior),
            distribution=tuple(float(p) for p in distribution),
            subsets=tuple(tuple(names[i] for i in subset) for subset in drawn),
            aggregator=aggregator,
        )

    def _affordable(self, asks: list[Ask], aggregator: str, calls: Calls, turn: Turn) -> tuple[list[Ask], bool]:
        """The referencers that the limits leave room for, and whether they leave any for aggregation."""
        worst = Worst(calls, turn, self._settings)

        def aggregations(effort: Effort, some: Sequence[Ask]) -> Cost:
            read = [ask.llm for ask in some][: len(some) - self._n_drop(len(some))]
            return worst.aggregation(aggregator, read).times(effort.aggregations)

        return within_limits(worst, asks, lesser(len(asks), self._settings.n_aggregations), aggregations)

    def _n_drop(self, k: int) -> int:
        return 0 if self._settings.drop == "none" else min(self._settings.n_drop, k - 1)

    def _aggregator_for(self, support: Sequence[SupportItem], calls: Calls) -> str:
        """The aggregator named for the benchmark that most of the support set, by similarity, is of.

        Where it is not to be asked (see `Calls.why_not`), the next one by the rule that chooses the aggregator.
        """
        ranked = self._aggregators
        if self._settings.aggregators and support:
            weight: dict[str, float] = {}
            for item in support:
                weight[item.benchmark] = weight.get(item.benchmark, 0.0) + item.similarity
            named = self._settings.aggregators.get(max(weight, key=weight.__getitem__))
            ranked = [named, *ranked] if named else ranked
        chosen = next((name for name in ranked if not calls.why_not(name)), ranked[0])
        if chosen != ranked[0]:
            calls.ledger.cut(f"{chosen} aggregates in place of {ranked[0]}: {calls.why_not(ranked[0])}")
        return chosen
