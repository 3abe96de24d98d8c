"""Mixture of Agents (Wang et al., 2024): layers in which every LLM works on what all LLMs of the layer before wrote.

In the first layer all LLMs answer; in each further one every LLM aggregates the responses of the layer before; at the
end the aggregator does. ``layers`` counts the layers before the aggregator: 1, the default, is all LLMs as referencers
and one aggregation, as in the comparison of the SMCS paper; the published system's three layers are ``layers=2``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from smcs.config import Settings as BaseSettings
from smcs.errors import ConfigError
from smcs.protocols import Observer
from smcs.registry import did_you_mean
from smcs.strategies._aggregate import Aggregating, require_output
from smcs.strategies._aggregator import choose_aggregator
from smcs.strategies._answering import Story
from smcs.strategies._calls import Calls
from smcs.strategies._collect import Ask, announce, collect
from smcs.strategies._parts import Parts, Turn
from smcs.strategies._retrieve import Retriever
from smcs.transport.tasks import all_of
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
        asks = [Ask(name, self._overall.by_name[name]) for name in self._llms]
        later = (self._layers - 1) * len(self._llms)
        announce(calls, asks, self.aggregator, (self._llms,) * (later + 1))
        collected = await collect(calls, turn.for_references, self._parts.method, asks)
        story.step("layer 1")
        story.require(collected)
        aggregating = Aggregating(calls, turn.for_references, self._parts.method, logprobs=False)
        present, ends, aggregations = collected.present, collected.ends, list[Aggregation]()
        for layer in range(2, self._layers + 1):
            done = await self._layer(aggregating, present, len(aggregations), ends)
            aggregations += [aggregation for aggregation, _ in done]
            ends = max(end for _, end in done)
            present = _present(self._llms, [aggregation for aggregation, _ in done])
            story.step(f"layer {layer}")
        answering = Aggregating(calls, turn, self._parts.method, logprobs=False)
        last, _ = await answering.aggregate(self.aggregator, self._llms, present, (len(aggregations),), after=ends)
        story.step("aggregate")
        story.notes += dict.fromkeys([*aggregating.notes, *answering.notes])
        return story.of_aggregation(collected.references, [*aggregations, *last])

    async def _layer(
        self, aggregating: Aggregating, present: Sequence[tuple[str, Completion]], first: int, after: float
    ) -> list[tuple[Aggregation, float]]:
        """Every LLM aggregates what the layer before wrote, all at once."""

        async def one(position: int, name: str) -> tuple[Aggregation, float]:
            (done,), ends = await aggregating.aggregate(name, self._llms, present, (first + position,), after=after)
            return done, ends

        return await all_of(one(position, name) for position, name in enumerate(self._llms))


def _present(names: Sequence[str], aggregations: Sequence[Aggregation]) -> list[tuple[str, Completion]]:
    return [(name, a.completion) for name, a in zip(names, aggregations, strict=True) if a.completion]
