"""Mixture of Agents (Wang et al., 2024): layers in which every LLM works on what all LLMs of the layer before wrote.

In the first layer all LLMs answer; in each further one every LLM aggregates the responses of the layer before; at the
end the aggregator does. ``layers`` counts the layers before the aggregator: 1, the default, is all LLMs as referencers
and one aggregation, as in the comparison of the SMCS paper; the published system's three layers are ``layers=2``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

from smcs.config import Settings as BaseSettings
from smcs.errors import ConfigError
from smcs.pool.budget import NOTHING, Cost
from smcs.protocols import Observer
from smcs.registry import did_you_mean
from smcs.strategies._afford import Effort, Worst, lesser, within_limits
from smcs.strategies._aggregate import Aggregating, require_output
from smcs.strategies._aggregator import choose_aggregator
from smcs.strategies._answering import Story
from smcs.strategies._calls import Calls, Stop
from smcs.strategies._collect import Ask, announce, collect, hasten
from smcs.strategies._parts import Parts, Turn
from smcs.strategies._retrieve import Retriever
from smcs.types import NO_LIMITS, Aggregation, Answer, Completion, Limits, Message, Question


class Settings(BaseSettings):
    """Settings.

    Attributes:
        layers: layers before the aggregator.
        llms: which LLMs; all by default.
    """

    layers: Annotated[int, Field(ge=1, le=10)] = 1
    llms: tuple[str, ...] = ()


def create(parts: Parts, settings: Settings) -> MoA:
    """Build the strategy.

    Raises:
        ConfigError: the pool has no such LLM or aggregator.
    """
    return MoA(parts, settings)


class MoA:
    """All LLMs answer, one aggregates (see `smcs.protocols.Strategy`)."""

    def __init__(self, parts: Parts, settings: Settings) -> None:
        for name in settings.llms:
            if name not in parts.pool:
                raise ConfigError(f"the pool has no LLM {name!r}{did_you_mean(name, parts.pool.names)}")
        self._parts = parts
        self._layers = settings.layers
        retriever = Retriever.of(parts)
        self._overall = retriever.overall()
        ranking = retriever.ranking(self._overall.prior)
        self._llms = tuple(name for name in ranking if not settings.llms or name in settings.llms)
        self.aggregator = choose_aggregator(parts.pool, retriever.bank, parts.method, logprobs=False)

    async def answer(
        self,
        question: Question,
        *,
        seed: int,
        history: Sequence[Message] = (),
        observe: Observer = lambda _: None,
        limits: Limits = NO_LIMITS,
    ) -> Answer:
        """Answer one question.

        Raises:
            NoAnswerError: every LLM of some layer failed, or the aggregation did.
        """
        calls, turn = Calls(self._parts.pool, observe, limits), Turn(question, tuple(history), seed)
        require_output(calls.pool, self.aggregator, turn)
        story = Story(calls, seed, retrieval=self._overall, aggregator=self.aggregator)
        story.substitutes = not (question.output and question.output.features)
        asks, aggregates = self._affordable(calls, turn)
        llms = tuple(ask.llm for ask in asks)
        later = (self._layers - 1) * len(llms)
        announce(calls, asks, self.aggregator, (llms,) * (later + 1) if aggregates else ())
        part = 1 / (self._layers + 1) if aggregates else 1.0
        collected = await collect(
            calls, turn.for_references if aggregates else turn, self._parts.method, asks, part=part
        )
        story.step("layer 1")
        story.require(collected)
        if not aggregates:
            return story.without_aggregation(collected.references, ())
        aggregating = Aggregating(calls, turn.for_references, self._parts.method, logprobs=False)
        layer, aggregations = _Layer(collected.present, collected.ends), list[Aggregation]()
        for number in range(2, self._layers + 1):
            until = calls.ledger.part_of_time(number * part)
            made = await self._layer(aggregating, llms, layer, len(aggregations), until)
            aggregations += made.made
            if made.present or not calls.ledger.limited:
                layer = made
            story.step(f"layer {number}")
        answering = Aggregating(calls, turn, self._parts.method, logprobs=False)
        index = len(aggregations)
        last, _ = await answering.aggregate(self.aggregator, llms, layer.present, (index,), after=layer.ends)
        story.step("aggregate")
        story.notes += dict.fromkeys([*aggregating.notes, *answering.notes])
        return story.of_aggregation(collected.references, [*aggregations, *last])

    def _affordable(self, calls: Calls, turn: Turn) -> tuple[list[Ask], bool]:
        """The LLMs that the limits leave room for, and whether they leave any for aggregation."""
        worst = Worst(calls, turn, self._parts.method)

        def aggregations(_: Effort, some: Sequence[Ask]) -> Cost:
            names = [ask.llm for ask in some]
            layer = sum((worst.aggregation(name, names) for name in names), NOTHING)
            return layer.times(self._layers - 1) + worst.aggregation(self.aggregator, names)

        asks = [Ask(name, self._overall.by_name[name]) for name in calls.usable(self._llms)]
        return within_limits(worst, asks, lesser(len(asks), 1), aggregations)

    async def _layer(
        self, aggregating: Aggregating, llms: Sequence[str], before: _Layer, first: int, until: float | None
    ) -> _Layer:
        """Every LLM aggregates what the layer before wrote, all at once.

        Args:
            first: index of the layer's first aggregation.
            until: when those that are in will do, by the monotonic clock.
        """
        stop = Stop()
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(
                    aggregating.aggregate(name, tuple(llms), before.present, (i,), after=before.ends, stop=stop)
                )
                for i, name in enumerate(llms, first)
            ]
            hurry = group.create_task(hasten(tasks, until, stop, lambda done: bool(done[0][0].completion)))
            done = [await task for task in tasks]
            hurry.cancel()
        made = [aggregation for (aggregation,), _ in done]
        present = [(name, a.completion) for name, a in zip(llms, made, strict=True) if a.completion]
        return _Layer(present, max(ends for _, ends in done), made)


@dataclass(frozen=True, slots=True)
class _Layer:
    """What a layer wrote, when it was there, and its aggregations, none of which the first one has."""

    present: list[tuple[str, Completion]]
    ends: float
    made: list[Aggregation] = field(default_factory=list)
