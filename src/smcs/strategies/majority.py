"""Majority voting: all LLMs answer; the answer that most of them state wins.

The text is the response of the LLM with the best whole-bank accuracy among those that state it; ties between answers go
the same way. Where no response states an answer that can be compared (code, free text), it is the response of the
LLM with the best accuracy of all, and the trace says so.
"""

from __future__ import annotations

from collections.abc import Sequence

from smcs.config import Settings as BaseSettings
from smcs.protocols import Observer
from smcs.strategies._answering import Story
from smcs.strategies._calls import Calls
from smcs.strategies._collect import Ask, announce, collect
from smcs.strategies._parts import Parts, Turn
from smcs.strategies._retrieve import Retriever
from smcs.strategies._voting import chosen_by_vote
from smcs.types import NO_LIMITS, Answer, Limits, Message, Question


class Settings(BaseSettings):
    """None."""


def create(parts: Parts, settings: Settings) -> Majority:
    """Build the strategy."""
    return Majority(parts)


class Majority:
    """Plurality over what all LLMs state (see `smcs.protocols.Strategy`)."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._retriever = Retriever.of(parts)

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
            NoAnswerError: every LLM failed.
        """
        calls, turn = Calls(self._parts.pool, observe, limits), Turn(question, tuple(history), seed)
        story = Story(calls, seed)
        story.retrieval = overall = self._retriever.overall()
        names = calls.usable(self._retriever.ranking(overall.prior))
        asks = [Ask(name, overall.by_name[name]) for name in names]
        announce(calls, asks)
        collected = await collect(calls, turn, self._parts.method, asks)
        story.step("ask")
        story.require(collected)
        chosen = await chosen_by_vote(story, self._parts, question, collected, [1.0] * len(asks))
        return story.of_reference(collected.references, chosen)
