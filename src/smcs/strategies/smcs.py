"""SMCS: retrieve, select referencers, collect references, explore, exploit.

The five steps are `SMCS._retrieve` [Equations 2-4], `SMCS._select` [5], `SMCS._plan` [6], the calls of `_calls_of`, and
`SMCS._exploit` [7]; `SMCS.answer` walks through them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from smcs.bank import QuestionBank
from smcs.config import SMCSSettings
from smcs.core import exploitation, exploration
from smcs.core import prior as priors
from smcs.errors import CallError, ConfigError, NoAnswerError, QuestionError
from smcs.pool import Pool
from smcs.prompts import reference_messages
from smcs.protocols import Embedder, Observer
from smcs.registry import did_you_mean
from smcs.strategies._calls import LEAST_ANSWER_TOKENS, fits, prompt_tokens
from smcs.strategies._explore import Plan, Turn, explore
from smcs.types import (
    Aggregation,
    Answer,
    Completion,
    Message,
    Planned,
    Question,
    Retrieved,
    Scored,
    SupportItem,
    TotalUsage,
    Trace,
)

INSTRUCTION_BENCHMARKS = ("ifeval", "instructions")
"""Benchmarks whose accuracy chooses the aggregator where none is named."""


@dataclass(frozen=True, slots=True)
class _Retrieval:
    support: tuple[SupportItem, ...]
    prior: priors.FloatArray
    fallbacks: dict[str, str]


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
        self._bank = bank.select(pool.names)
        self._embedder = embedder
        self._settings = settings
        self._accuracy = priors.whole_bank_accuracy(self._bank.capability, self._bank.observed)
        if settings.k > len(pool):
            raise ConfigError(
                f"k = {settings.k} referencers are more than the pool's {len(pool)} LLMs; "
                f"add LLMs, or set k to {len(pool)} or less (preset 'local' takes 3)"
            )
        self.aggregator = settings.aggregator or self._best_instruction_follower()
        for name in (self.aggregator, *settings.aggregators.values()):
            self._check_aggregator(name)

    async def answer(
        self, question: Question, *, seed: int, history: Sequence[Message] = (), observe: Observer = lambda _: None
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
        observe(Retrieved(retrieval.support, self._by_name(retrieval.prior), retrieved - begin))
        turn = Turn(question, tuple(history), seed)
        selected, notes = await self._select(retrieval.prior, turn)
        plan = self._plan(retrieval, selected, seed)
        observe(Planned(plan.referencers, plan.subsets, plan.aggregator))
        references, aggregations, more_notes = await explore(self._pool, plan, self._settings, turn, observe)
        explored = time.monotonic()
        scored, best, last_notes = await self._exploit(aggregations)
        if best is not None:
            observe(Scored(scored, best))
        end = time.monotonic()
        trace = Trace(
            embedder=self._bank.embedder.name,
            aggregator=plan.aggregator,
            support=retrieval.support,
            prior=self._by_name(retrieval.prior),
            fallbacks=retrieval.fallbacks,
            referencers=references,
            subsets=plan.subsets,
            drop_distribution=plan.distribution,
            aggregations=scored,
            winner=best,
            notes=(*notes, *more_notes, *last_notes),
            seconds={"retrieve": retrieved - begin, "explore": explored - retrieved, "exploit": end - explored},
        )
        if best is None:
            raise NoAnswerError(_why_no_answer(trace), trace)
        winner = scored[best].completion
        assert winner is not None
        return Answer(winner.text, seed, end - begin, _usage(trace, self._pool), trace)

    async def _retrieve(self, question: Question) -> _Retrieval:
        """Similar questions of the bank, and each LLM's prior by them [Equations 2-4]."""
        embedding = (await self._embedder.embed([question.text], "query"))[0]
        similarity = priors.cosine_similarity(self._bank.embeddings, embedding, normalised=True)
        support = priors.support_set(similarity, self._settings.n_base, self._settings.gamma)
        prior = priors.prior_scores(self._bank.capability, similarity, support, self._bank.observed)
        fallbacks = priors.prior_fallbacks(similarity, support, self._bank.observed)
        nearest = support[np.argsort(-similarity[support], kind="stable")]
        return _Retrieval(
            tuple(self._support_item(i, similarity[i]) for i in nearest),
            prior,
            {name: f for name, f in zip(self._pool.names, fallbacks, strict=True) if f},
        )

    async def _select(self, prior: priors.FloatArray, turn: Turn) -> tuple[list[int], list[str]]:
        """The K referencers [Equation 5] among the LLMs whose context holds the question; best first."""
        ranking = priors.select_referencers(prior, len(self._pool), self._accuracy)
        selected: list[int] = []
        notes: list[str] = []
        longest, tokens = 0, None
        for position in ranking:
            if len(selected) == self._settings.k:
                break
            llm = self._pool[self._pool.names[position]]
            messages = reference_messages(turn.question, history=turn.history, system=self._settings.reference_prompt)
            tokens = await prompt_tokens(llm, messages)
            if fits(llm, tokens):
                selected.append(int(position))
            else:
                longest = max(longest, llm.info.context_length or 0)
                notes.append(
                    f"{llm.name} is passed over: the question takes {tokens} of its "
                    f"{llm.info.context_length} tokens of context"
                )
        if not selected:
            raise QuestionError(
                f"the question is too long for every LLM of the pool: about {tokens} tokens, where the longest "
                f"context is {longest} and an answer needs {LEAST_ANSWER_TOKENS}; shorten it, or add an LLM with a "
                f"longer context"
            )
        if len(selected) < self._settings.k:
            notes.append(f"only {len(selected)} of k = {self._settings.k} referencers are available")
        return selected, notes

    def _plan(self, retrieval: _Retrieval, selected: Sequence[int], seed: int) -> Plan:
        """Draw the subsets [Equation 6], from the prior alone: before any reference is in."""
        prior = retrieval.prior[list(selected)]
        distribution = exploration.drop_distribution(prior)
        n_drop = min(self._settings.n_drop, len(selected) - 1)
        rng = np.random.default_rng(seed)
        drawn = exploration.sample_subsets(distribution, self._settings.n_aggregations, n_drop, rng)
        names = [self._pool.names[i] for i in selected]
        return Plan(
            referencers=tuple(names),
            prior=tuple(float(p) for p in prior),
            distribution=tuple(float(p) for p in distribution),
            subsets=tuple(tuple(names[i] for i in subset) for subset in drawn),
            aggregator=self._aggregator_for(retrieval.support),
        )

    async def _exploit(
        self, aggregations: Sequence[Aggregation]
    ) -> tuple[tuple[Aggregation, ...], int | None, list[str]]:
        """Score the aggregations that came, and choose the winner [Equation 7]."""
        present = [i for i, a in enumerate(aggregations) if a.completion]
        if not present:
            return tuple(aggregations), None, []
        texts = [a.completion.text for a in aggregations if a.completion]
        notes: list[str] = []
        try:
            similarity = exploitation.mean_pairwise_similarity(await self._embedder.embed(texts, "document"))
        except CallError as error:  # the aggregations are paid for: choose among them by what is known
            similarity = np.zeros(len(texts))
            notes.append(f"the aggregations could not be embedded, so similarity does not count: {error}")
        weight = self._settings.ppl_weight
        perplexity = np.array([_perplexity(a.completion) for a in aggregations if a.completion])
        scores = exploitation.posterior_scores(similarity, perplexity, weight, self._settings.ppl_score)
        best = present[exploitation.winner(scores, perplexity)]
        scored = list(aggregations)
        for row, i in enumerate(present):
            scored[i] = Aggregation(
                subset=aggregations[i].subset,
                seen=aggregations[i].seen,
                completion=aggregations[i].completion,
                similarity=float(similarity[row]),
                perplexity=None if np.isnan(perplexity[row]) else float(perplexity[row]),
                score=float(scores[row]),
                sample_index=aggregations[i].sample_index,
            )
        return tuple(scored), best, notes

    def _best_instruction_follower(self) -> str:
        """The LLM with the best instruction-following accuracy in the bank, that gives what lambda needs."""
        usable = [
            i for i, llm in enumerate(self._pool) if self._settings.ppl_weight == 0 or llm.info.logprobs is not False
        ]
        if not usable:
            self._check_aggregator(self._pool.names[0])
        of_kind = np.array([q.benchmark in INSTRUCTION_BENCHMARKS for q in self._bank.questions], dtype=bool)
        following = priors.whole_bank_accuracy(self._bank.capability[:, of_kind], self._bank.observed[:, of_kind])
        rank = np.nan_to_num(np.stack([following, self._accuracy]), nan=-1.0)
        return self._pool.names[max(usable, key=lambda i: (rank[0, i], rank[1, i], -i))]

    def _check_aggregator(self, name: str) -> None:
        if name not in self._pool.names:
            raise ConfigError(f"the aggregator {name!r} is not in the pool{did_you_mean(name, self._pool.names)}")
        info = self._pool[name].info
        if self._settings.ppl_weight != 0 and info.logprobs is False:
            raise ConfigError(
                f"the aggregator {name!r} (backend {info.backend!r}) gives no token log-probabilities, which the "
                f"perplexity score needs; set lambda = 0, or another aggregator"
            )

    def _aggregator_for(self, support: Sequence[SupportItem]) -> str:
        """The aggregator named for the benchmark that most of the support set, by similarity, is of."""
        if not self._settings.aggregators or not support:
            return self.aggregator
        weight: dict[str, float] = {}
        for item in support:
            weight[item.benchmark] = weight.get(item.benchmark, 0.0) + item.similarity
        return self._settings.aggregators.get(max(weight, key=weight.__getitem__), self.aggregator)

    def _support_item(self, index: int, similarity: float) -> SupportItem:
        question = self._bank.questions[index]
        return SupportItem(question.id, question.benchmark, float(similarity), question.text)

    def _by_name(self, values: priors.FloatArray) -> dict[str, float]:
        return {name: float(value) for name, value in zip(self._pool.names, values, strict=True)}


def _perplexity(completion: Completion | None) -> float:
    if completion is None or not completion.token_logprobs:
        return float("nan")
    return exploitation.perplexity(completion.token_logprobs)


def _why_no_answer(trace: Trace) -> str:
    failed = [r.failure for r in trace.referencers if r.failure]
    if trace.referencers and len(failed) == len(trace.referencers):
        return f"every referencer failed; the first: {failed[0].llm}: {failed[0].message}"
    first = next(a.failure for a in trace.aggregations if a.failure)
    return f"every aggregation failed; the first: {first.llm}: {first.message}"


def _usage(trace: Trace, pool: Pool) -> TotalUsage:
    """What all calls of a trace took. Samples of one request count as one call, and its prompt once."""
    made = [*(r.completion for r in trace.referencers), *(a.completion for a in trace.aggregations)]
    completions = [completion for completion in made if completion]
    costs = [c.cost_usd for c in completions]
    together = pool[trace.aggregator].info.multiple_samples
    requests = {a.subset if together else i for i, a in enumerate(trace.aggregations) if a.completion or a.seen}
    return TotalUsage(
        calls=len(trace.referencers) + len(requests),
        prompt_tokens=sum(c.prompt_tokens for c in completions),
        completion_tokens=sum(c.completion_tokens for c in completions),
        cost_usd=None if None in costs else sum(cost for cost in costs if cost is not None),
    )
