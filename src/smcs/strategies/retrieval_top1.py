"""Retrieval-based selection alone: the LLM with the largest prior answers [Equations 2-5 with K = 1]."""

from __future__ import annotations

from collections.abc import Sequence

from smcs.config import Settings as BaseSettings
from smcs.protocols import Observer
from smcs.strategies._answering import Story
from smcs.strategies._calls import Calls
from smcs.strategies._collect import Ask, announce, collect
from smcs.strategies._parts import Parts, Turn
from smcs.strategies._retrieve import Retriever, available
from smcs.types import NO_LIMITS, Answer, Limits, Message, Question, Retrieved


class Settings(BaseSettings):
    """None of its own; n_base and gamma are the method's."""


def create(parts: Parts, settings: Settings) -> RetrievalTop1:
    """Build the strategy."""
    return RetrievalTop1(parts)


class RetrievalTop1:
    """One response of the LLM with the largest prior (see `smcs.protocols.Strategy`)."""

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
            NoAnswerError: the LLM failed.
            QuestionError: the question fits no LLM's context.
            CallError: the question could not be embedded.
        """
        calls, turn = Calls(self._parts.pool, observe, limits), Turn(question, tuple(history), seed)
        story = Story(calls, seed, embedder=self._parts.bank.embedder.name)
        story.retrieval = retrieval = await calls.in_time(self._retriever.retrieve(question))
        story.step("retrieve")
        observe(Retrieved(retrieval.support, retrieval.by_name, story.steps["retrieve"]))
        ranking = self._retriever.ranking(retrieval.prior)
        (llm, *_), notes = await calls.in_time(available(calls, ranking, 1, turn, self._parts.method))
        story.notes += notes
        asks = [Ask(llm, retrieval.by_name[llm])]
        announce(calls, asks)
        collected = await collect(calls, turn, self._parts.method, asks)
        story.step("ask")
        story.require(collected)
        return story.of_reference(collected.references, 0)
