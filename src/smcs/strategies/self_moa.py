"""Self-MoA (Li et al., 2025): the best LLM on the benchmark answers n times, and its responses are aggregated once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from smcs.config import Settings as BaseSettings
from smcs.protocols import Observer
from smcs.strategies._afford import Worst, lesser, within_limits
from smcs.strategies._aggregate import Aggregating, require_output
from smcs.strategies._aggregator import choose_aggregator
from smcs.strategies._answering import Story
from smcs.strategies._best import BestLLM
from smcs.strategies._calls import Calls
from smcs.strategies._collect import Ask, announce, collect
from smcs.strategies._parts import Parts, Turn
from smcs.types import NO_LIMITS, Answer, Limits, Message, Question


class Settings(BaseSettings):
    """Settings.

    Attributes:
        n: how many times it answers.
        llm: which LLM; by default the best on the question's benchmark.
        aggregated_by: ``itself``, as published, or the pool's ``aggregator``.
    """

    n: Annotated[int, Field(ge=1, le=1000)] = 8
    llm: str | None = None
    aggregated_by: Literal["itself", "aggregator"] = "itself"


def create(parts: Parts, settings: Settings) -> SelfMoA:
    """Build the strategy.

    Raises:
        ConfigError: the pool has no such LLM or aggregator.
    """
    return SelfMoA(parts, settings)


class SelfMoA:
    """One aggregation of several responses of one LLM (see `smcs.protocols.Strategy`)."""

    def __init__(self, parts: Parts, settings: Settings) -> None:
        self._parts = parts
        self._settings = settings
        self._best = BestLLM(parts.pool, parts.bank, settings.llm)
        bank = parts.bank.select(parts.pool.names)
        self._aggregator = choose_aggregator(parts.pool, bank, parts.method, logprobs=False)

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
            NoAnswerError: every call failed, or the aggregation did.
        """
        calls, turn = Calls(self._parts.pool, observe, limits), Turn(question, tuple(history), seed)
        llm, accuracy, where = self._best.on(question, calls)
        aggregator = llm if self._settings.aggregated_by == "itself" else self._aggregator
        require_output(calls.pool, aggregator, turn)
        story = Story(calls, seed, aggregator=aggregator)
        story.notes.append(f"{llm} answers {self._settings.n} times; its accuracy on {where} is {accuracy:.1%}")
        story.substitutes = not (question.output and question.output.features)
        asks, aggregates = self._affordable(Worst(calls, turn, self._parts.method), llm, accuracy, aggregator)
        subset = tuple(ask.llm for ask in asks for _ in range(ask.samples))
        announce(calls, asks, aggregator, (subset,) if aggregates else ())
        asked, part = (turn.for_references, 0.5) if aggregates else (turn, 1.0)
        collected = await collect(calls, asked, self._parts.method, asks, part=part)
        story.step("ask")
        story.require(collected)
        if not aggregates:
            return story.without_aggregation(collected.references, ())
        aggregating = Aggregating(calls, turn, self._parts.method, logprobs=False)
        done, _ = await aggregating.aggregate(aggregator, subset, collected.present, after=collected.ends)
        story.step("aggregate")
        story.notes += aggregating.notes
        return story.of_aggregation(collected.references, done)

    def _affordable(self, worst: Worst, llm: str, accuracy: float, aggregator: str) -> tuple[list[Ask], bool]:
        """The responses that the limits leave room for, and whether they leave any for the aggregation."""
        n = self._settings.n
        return within_limits(
            worst,
            [Ask(llm, accuracy, n)],
            lesser(n, 1),
            lambda effort, _: worst.aggregation(aggregator, [llm] * effort.referencers),
        )
