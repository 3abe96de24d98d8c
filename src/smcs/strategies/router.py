"""Simple router: the LLM with the best accuracy on that benchmark's part of the bank answers."""

from __future__ import annotations

from collections.abc import Sequence

from smcs.config import Settings as BaseSettings
from smcs.protocols import Observer
from smcs.strategies._answering import Story
from smcs.strategies._best import BestLLM
from smcs.strategies._calls import Calls
from smcs.strategies._collect import Ask, announce, collect
from smcs.strategies._parts import Parts, Turn
from smcs.types import NO_LIMITS, Answer, Limits, Message, Question


class Settings(BaseSettings):
    """None."""


def create(parts: Parts, settings: Settings) -> Router:
    """Build the strategy."""
    return Router(parts)


class Router:
    """One response of the LLM that is best on the question's benchmark (see `smcs.protocols.Strategy`)."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._best = BestLLM(parts.pool, parts.bank)

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
        story = Story(calls, seed)
        llm, accuracy, where = self._best.on(question, calls)
        story.notes.append(f"{llm} is the best on {where} ({accuracy:.1%})")
        asks = [Ask(llm, accuracy)]
        announce(calls, asks)
        collected = await collect(calls, turn, self._parts.method, asks)
        story.step("ask")
        story.require(collected)
        return story.of_reference(collected.references, 0)
