"""References and aggregations, on the method's schedule.

All references are asked for at once. The aggregation of a subset starts the moment its own references are in, so a
straggler that a subset has dropped does not delay it. Equal subsets are one request with several samples.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from smcs.config import SMCSSettings
from smcs.errors import SmcsError
from smcs.pool import Pool, PooledLLM
from smcs.prompts import aggregation_messages, reference_messages
from smcs.protocols import Observer
from smcs.strategies._calls import LEAST_ANSWER_TOKENS, Reporter, call_seed, fits, most_tokens, sample
from smcs.strategies._fit import fit_references
from smcs.types import Aggregation, Completion, Failure, Message, Question, Reference, Sampling

CUT_OFF = "\n[this response was cut off by the token limit]"


@dataclass(frozen=True, slots=True)
class Turn:
    """What is asked: the question, the turns before it, and the seed of all randomness."""

    question: Question
    history: tuple[Message, ...]
    seed: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What is known before any reference is in.

    Attributes:
        referencers: names, best prior first.
        prior: their priors.
        distribution: what the kept references were drawn from [Equation 6].
        subsets: the n subsets in draw order, each best prior first.
        aggregator: name.
    """

    referencers: tuple[str, ...]
    prior: tuple[float, ...]
    distribution: tuple[float, ...]
    subsets: tuple[tuple[str, ...], ...]
    aggregator: str


async def explore(
    pool: Pool, plan: Plan, settings: SMCSSettings, turn: Turn, observe: Observer
) -> tuple[tuple[Reference, ...], tuple[Aggregation, ...], list[str]]:
    """Collect the references and aggregate each subset.

    Returns:
        The references in the order of the plan, the aggregations in draw order, and notes on what differed from the
        plan. Failures are in their place, typed. A reference that no subset kept is not waited for.
    """
    run = _Run(pool, plan, settings, turn, observe)
    async with asyncio.TaskGroup() as group:
        references = {
            name: group.create_task(run.reference(index, name), name=f"reference {name}")
            for index, name in enumerate(plan.referencers)
        }
        aggregations = [
            group.create_task(run.aggregate(subset, references), name=f"aggregation {subset}")
            for subset in dict.fromkeys(plan.subsets)
        ]
        done = [item for task in aggregations for item in await task]
        for name, task in references.items():
            if not task.done() and not any(name in subset for subset in plan.subsets):
                task.cancel()
    by_index = dict(done)
    return (
        tuple(run.outcome(name, references[name]) for name in plan.referencers),
        tuple(by_index[i] for i in range(len(plan.subsets))),
        run.notes,
    )


class _Run:
    """One exploration: what all its calls share."""

    def __init__(self, pool: Pool, plan: Plan, settings: SMCSSettings, turn: Turn, observe: Observer) -> None:
        self._pool = pool
        self._plan = plan
        self._settings = settings
        self._turn = turn
        self._observe = observe
        self.notes: list[str] = []

    async def reference(self, index: int, name: str) -> Completion | Failure:
        """Ask one referencer."""
        reporter = Reporter(self._observe, "reference", (index,), name, time.monotonic())
        sampling = replace(self._settings.sampling.to_sampling(), seed=call_seed(self._turn.seed, "reference", name))
        messages = reference_messages(
            self._turn.question, history=self._turn.history, system=self._settings.reference_prompt
        )
        try:
            (result,) = await sample(self._pool[name], messages, sampling, reporter)
        except asyncio.CancelledError:
            reporter.state("cancelled")
            raise
        return result

    def outcome(self, name: str, task: asyncio.Task[Completion | Failure]) -> Reference:
        """A referencer's part in the trace."""
        prior = self._plan.prior[self._plan.referencers.index(name)]
        if task.cancelled():
            reason = "no subset kept this reference, and it was not in when the aggregations were"
            return Reference(name, prior, failure=Failure(name, "cancelled", reason))
        result = task.result()
        if isinstance(result, Failure):
            return Reference(name, prior, failure=result)
        return Reference(name, prior, completion=result)

    async def aggregate(
        self, subset: tuple[str, ...], references: Mapping[str, asyncio.Task[Completion | Failure]]
    ) -> list[tuple[int, Aggregation]]:
        """Aggregate one subset, as often as it was drawn, once its own references are in."""
        indices = tuple(i for i, drawn in enumerate(self._plan.subsets) if drawn == subset)
        aggregator = self._pool[self._plan.aggregator]
        await asyncio.wait([references[name] for name in subset])
        present = [(name, result) for name in subset if isinstance(result := references[name].result(), Completion)]
        if not present:
            failure = Failure(aggregator.name, "no_references", "every reference of this subset failed")
            return [(i, Aggregation(subset, failure=failure, sample_index=s)) for s, i in enumerate(indices)]
        reporter = Reporter(self._observe, "aggregation", indices, aggregator.name, time.monotonic())
        try:
            seen, results = await self._aggregations(aggregator, subset, present, reporter)
        except asyncio.CancelledError:
            reporter.state("cancelled")
            raise
        return [
            (
                index,
                Aggregation(
                    subset,
                    seen,
                    completion=result if isinstance(result, Completion) else None,
                    failure=result if isinstance(result, Failure) else None,
                    sample_index=s,
                ),
            )
            for s, (index, result) in enumerate(zip(indices, results, strict=True))
        ]

    async def _aggregations(
        self,
        aggregator: PooledLLM,
        subset: tuple[str, ...],
        present: Sequence[tuple[str, Completion]],
        reporter: Reporter,
    ) -> tuple[tuple[str, ...], Sequence[Completion | Failure]]:
        """Ask the aggregator; whose references it saw, and a result for each of the reporter's indices."""
        sampling = self._aggregation_sampling(subset)
        try:
            seen, messages = await self._prompt(aggregator, present, sampling)
        except SmcsError as error:  # it could not be made ready to count its tokens
            return (), [Failure(aggregator.name, "not_ready", str(error))] * len(reporter.indices)
        if not seen:
            reason = f"the question leaves no room for a reference in {aggregator.name}'s context"
            return (), [Failure(aggregator.name, "context_length", reason)] * len(reporter.indices)
        return seen, await sample(aggregator, messages, sampling, reporter, keep_system=True)

    def _aggregation_sampling(self, subset: tuple[str, ...]) -> Sampling:
        own = self._settings.aggregation_sampling.to_sampling()
        sampling = self._settings.sampling.to_sampling().overridden_by(own)
        seed = call_seed(self._turn.seed, "aggregation", *subset)
        return replace(sampling, seed=seed, logprobs=self._settings.ppl_weight != 0)

    async def _prompt(
        self, aggregator: PooledLLM, present: Sequence[tuple[str, Completion]], sampling: Sampling
    ) -> tuple[tuple[str, ...], tuple[Message, ...]]:
        """The aggregation prompt with the references that fit, and whose they are: nobody's where none fits."""
        texts = [self._reference_text(name, completion) for name, completion in present]

        def messages(references: Sequence[str]) -> tuple[Message, ...]:
            return aggregation_messages(
                self._turn.question, references, history=self._turn.history, system=self._settings.aggregator_prompt
            )

        async def count(references: Sequence[str]) -> int:
            return await aggregator.count_tokens(messages(references), keep_system=True)

        context = aggregator.info.context_length
        wanted = aggregator.settings.sampling.max_tokens or sampling.max_tokens or LEAST_ANSWER_TOKENS
        # References are cut before the answer is, but for an answer's share of at most half of the context.
        room = context - min(wanted, context // 2) if context is not None else None
        if room is None or most_tokens(messages(texts)) <= room:
            return tuple(name for name, _ in present), messages(texts)
        kept, tokens = await fit_references(texts, room, count)
        for (name, _), before, after in zip(present, texts, kept, strict=True):
            if after != before:
                how = "left out of" if after is None else "shortened in"
                self._note(
                    f"{name}'s reference is {how} an aggregation: {aggregator.name}'s context is {context} tokens"
                )
        if not fits(aggregator, tokens):
            return (), ()
        seen = tuple(name for (name, _), text in zip(present, kept, strict=True) if text is not None)
        return seen, messages([text for text in kept if text is not None])

    def _reference_text(self, name: str, completion: Completion) -> str:
        text = completion.text
        if self._pool[name].settings.include_reasoning and completion.reasoning:
            text = f"{completion.reasoning}\n\n{text}"
        return text + CUT_OFF if completion.finish_reason == "length" else text

    def _note(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)
