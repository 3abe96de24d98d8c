"""SMCS: retrieve, select referencers, collect references, explore, exploit.

The five steps are `SMCS._retrieve` [Equations 2-4], `SMCS._select` [5], `SMCS._plan` [6], the calls of `_explore`, and
`SMCS._exploit` [7]; `SMCS.answer` walks through them. Each component can be switched off or to something simpler
(`SMCSSettings.prior`, `drop`, `posterior`).
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from smcs.bank import QuestionBank
from smcs.config import Settings as BaseSettings
from smcs.config import SMCSSettings
from smcs.core import exploitation, exploration
from smcs.core.prior import FloatArray
from smcs.errors import CallError, ConfigError, NoAnswerError
from smcs.pool import Pool
from smcs.protocols import Embedder, Observer
from smcs.strategies._aggregate import require_output
from smcs.strategies._aggregator import check_aggregator, choose_aggregator
from smcs.strategies._calls import Calls, call_seed
from smcs.strategies._explore import Plan, explore
from smcs.strategies._parts import Parts, Turn
from smcs.strategies._retrieve import Retrieval, Retriever, available
from smcs.types import (
    NO_LIMITS,
    Aggregation,
    Answer,
    Completion,
    Limits,
    Message,
    Planned,
    Question,
    Retrieved,
    Scored,
    SupportItem,
    Trace,
)


class Settings(BaseSettings):
    """None of its own: all of SMCS's settings are the method's."""


def create(parts: Parts, settings: Settings) -> SMCS:
    """Build the strategy."""
    return SMCS(parts.pool, parts.bank, parts.embedder, parts.method)


class SMCS:
    """The method of the paper, over a pool and a question bank.

    Args:
        pool: the LLMs.
        bank: the question bank; its LLMs are matched to the pool's by name.
        embedder: the one that made the bank's embeddings.
        settings: K, n, lambda and so on.

    Raises:
        ConfigError: settings that this pool cannot meet.
    """

    def __init__(self, pool: Pool, bank: QuestionBank, embedder: Embedder, settings: SMCSSettings) -> None:
        self._pool = pool
        self._embedder = embedder
        self._settings = settings
        self._retriever = Retriever(pool, bank, embedder, settings)
        if settings.k > len(pool):
            raise ConfigError(
                f"k = {settings.k} referencers are more than the pool's {len(pool)} LLMs; "
                f"add LLMs, or set k to {len(pool)} or less (preset 'local' takes 3)"
            )
        self.aggregator = choose_aggregator(pool, self._retriever.bank, settings, logprobs=settings.needs_logprobs)
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
            CallError: the question could not be embedded.
        """
        begin = time.monotonic()
        retrieval = await self._retrieve(question)
        retrieved = time.monotonic()
        observe(Retrieved(retrieval.support, retrieval.by_name, retrieved - begin))
        turn, calls = Turn(question, tuple(history), seed), Calls(self._pool, observe, limits)
        selected, notes = await self._select(retrieval, turn)
        plan = self._plan(retrieval, selected, seed)
        require_output(self._pool, plan.aggregator, turn)
        observe(Planned(plan.referencers, plan.subsets, plan.aggregator))
        references, aggregations, more_notes = await explore(calls, plan, self._settings, turn)
        explored = time.monotonic()
        scored, best, last_notes = await self._exploit(aggregations)
        if best is not None:
            observe(Scored(scored, best))
        end = time.monotonic()
        trace = Trace(
            embedder=self._retriever.bank.embedder.name,
            aggregator=plan.aggregator,
            support=retrieval.support,
            prior=retrieval.by_name,
            fallbacks=retrieval.fallbacks,
            referencers=references,
            subsets=plan.subsets,
            drop_distribution=plan.distribution,
            aggregations=scored,
            winner=best,
            notes=(*notes, *more_notes, *last_notes),
            seconds={
                "retrieve": retrieved - begin,
                "explore": explored - retrieved,
                "exploit": end - explored,
                "longest chain of calls": calls.longest_chain,
            },
        )
        if best is None:
            raise NoAnswerError(_why_no_answer(trace), trace)
        choices = _ranked(scored, best)
        return Answer(choices[0].text, seed, end - begin, calls.usage, trace, choices)

    async def _retrieve(self, question: Question) -> Retrieval:
        """Similar questions of the bank, and each LLM's prior by them [Equations 2-4]."""
        if self._settings.prior == "global":
            return self._retriever.overall()
        return await self._retriever.retrieve(question)

    async def _select(self, retrieval: Retrieval, turn: Turn) -> tuple[list[str], list[str]]:
        """The K referencers [Equation 5] among the LLMs whose context holds the question; best first."""
        ranking = self._retriever.ranking(retrieval.prior)
        order = list(ranking)
        if self._settings.prior == "random":
            rng = np.random.default_rng(call_seed(turn.seed, "referencers"))
            order = [self._pool.names[i] for i in rng.permutation(len(self._pool))]
        chosen, notes = await available(self._pool, order, self._settings.k, turn.for_references, self._settings)
        if len(chosen) < self._settings.k:
            notes.append(f"only {len(chosen)} of k = {self._settings.k} referencers are available")
        return sorted(chosen, key=ranking.index), notes

    def _plan(self, retrieval: Retrieval, selected: Sequence[str], seed: int) -> Plan:
        """Draw the subsets [Equation 6], from the prior alone: before any reference is in."""
        by_name = retrieval.by_name
        prior = np.array([by_name[name] for name in selected])
        equally = np.full(len(selected), 1 / len(selected))
        distribution = exploration.drop_distribution(prior) if self._settings.drop == "prior" else equally
        n_drop = 0 if self._settings.drop == "none" else min(self._settings.n_drop, len(selected) - 1)
        rng = np.random.default_rng(seed)
        drawn = exploration.sample_subsets(distribution, self._settings.n_aggregations, n_drop, rng)
        return Plan(
            referencers=tuple(selected),
            prior=tuple(float(p) for p in prior),
            distribution=tuple(float(p) for p in distribution),
            subsets=tuple(tuple(selected[i] for i in subset) for subset in drawn),
            aggregator=self._aggregator_for(retrieval.support),
        )

    async def _exploit(
        self, aggregations: Sequence[Aggregation]
    ) -> tuple[tuple[Aggregation, ...], int | None, list[str]]:
        """Score the aggregations that came, and choose the winner [Equation 7]."""
        present = [i for i, a in enumerate(aggregations) if a.completion]
        if not present:
            return tuple(aggregations), None, []
        texts = [a.completion.content for a in aggregations if a.completion]
        posterior, weight = self._settings.posterior, self._settings.ppl_weight
        perplexity = np.array([_perplexity(a.completion) for a in aggregations if a.completion])
        similarity, notes = np.full(len(texts), np.nan), list[str]()
        if self._settings.needs_logprobs and np.isnan(perplexity).any():  # some backends give none with calls of tools
            posterior, weight = "similarity", 0.0
            notes.append("perplexity does not count: the aggregator gave no log-probabilities with its calls of tools")
        if posterior in {"both", "similarity"}:
            similarity, more_notes = await self._similarity(texts)
            notes += more_notes
        if posterior == "first":
            scores = -np.arange(len(texts), dtype=np.float64)
        elif posterior == "perplexity":
            scores = exploitation.posterior_scores(np.zeros(len(texts)), perplexity, 1.0, self._settings.ppl_score)
        else:
            weight = weight if posterior == "both" else 0.0
            scores = exploitation.posterior_scores(similarity, perplexity, weight, self._settings.ppl_score)
        best = present[exploitation.winner(scores, perplexity)]
        scored = list(aggregations)
        for row, i in enumerate(present):
            scored[i] = Aggregation(
                subset=aggregations[i].subset,
                seen=aggregations[i].seen,
                completion=aggregations[i].completion,
                similarity=_known(similarity[row]),
                perplexity=_known(perplexity[row]),
                score=float(scores[row]) if posterior != "first" else None,
                sample_index=aggregations[i].sample_index,
            )
        return tuple(scored), best, notes

    async def _similarity(self, texts: Sequence[str]) -> tuple[FloatArray, list[str]]:
        try:
            return exploitation.mean_pairwise_similarity(await self._embedder.embed(texts, "document")), []
        except CallError as error:  # the aggregations are paid for: choose among them by what is known
            note = f"the aggregations could not be embedded, so similarity does not count: {error}"
            return np.zeros(len(texts)), [note]

    def _aggregator_for(self, support: Sequence[SupportItem]) -> str:
        """The aggregator named for the benchmark that most of the support set, by similarity, is of."""
        if not self._settings.aggregators or not support:
            return self.aggregator
        weight: dict[str, float] = {}
        for item in support:
            weight[item.benchmark] = weight.get(item.benchmark, 0.0) + item.similarity
        return self._settings.aggregators.get(max(weight, key=weight.__getitem__), self.aggregator)


def _ranked(scored: Sequence[Aggregation], best: int) -> tuple[Completion, ...]:
    """The aggregations that came, the winner first and the others by their score."""
    order = sorted(range(len(scored)), key=lambda i: (i != best, -(scored[i].score or 0.0), i))
    return tuple(completion for i in order if (completion := scored[i].completion) is not None)


def _perplexity(completion: Completion | None) -> float:
    if completion is None or not completion.token_logprobs:
        return float("nan")
    return exploitation.perplexity(completion.token_logprobs)


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _why_no_answer(trace: Trace) -> str:
    failed = [r.failure for r in trace.referencers if r.failure]
    if trace.referencers and len(failed) == len(trace.referencers):
        return f"every referencer failed; the first: {failed[0].llm}: {failed[0].message}"
    first = next(a.failure for a in trace.aggregations if a.failure)
    return f"every aggregation failed; the first: {first.llm}: {first.message}"
