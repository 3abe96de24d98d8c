"""One LLM alone: the one that is named, or the best over the whole bank.

``single:llm=*`` stands for one strategy for each LLM of the pool.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from smcs.config import Settings as BaseSettings
from smcs.protocols import Observer
from smcs.strategies._answering import Story
from smcs.strategies._best import BestLLM
from smcs.strategies._calls import Calls
from smcs.strategies._collect import Ask, announce, collect
from smcs.strategies._parts import Parts, Turn
from smcs.types import NO_LIMITS, Answer, Limits, Message, Question


class Settings(BaseSettings):
    """Settings.

    Attributes:
        llm: which LLM; by default the best over the whole bank.
        n: how many responses it gives; the first is the answer, the others are `Answer.choices`.
    """

    llm: str | None = None
    n: Annotated[int, Field(ge=1, le=1000)] = 1


def create(parts: Parts, settings: Settings) -> Single:
    """Build the strategy.

    Raises:
        ConfigError: the pool has no such LLM.
    """
    return Single(parts, BestLLM(parts.pool, parts.bank, settings.llm), settings.n)


class Single:
    """One response of one LLM (see `smcs.protocols.Strategy`)."""

    def __init__(self, parts: Parts, best: BestLLM, n: int = 1) -> None:
        self._parts = parts
        self._best = best
        self._n = n

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
            NoAnswerError: the LLM failed.
        """
        calls, turn = Calls(self._parts.pool, observe, limits), Turn(question, tuple(history), seed)
        story, asks = Story(calls, seed), [Ask(self._best.overall(calls), samples=self._n)]
        announce(calls, asks)
        collected = await collect(calls, turn, self._parts.method, asks)
        story.step("ask")
        story.require(collected)
        return story.of_reference(collected.references, *range(self._n))
