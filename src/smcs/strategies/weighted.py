"""Prior-weighted voting: each vote counts by how accurate the bank says its LLM is on questions like this one.

The weight is the log odds of the retrieval prior's accuracy estimate, with the number of answer options taken into
account (`smcs.core.voting.log_odds`). The text is the response with the largest prior among those that state the
winning answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from smcs.config import Settings as BaseSettings
from smcs.core import voting
from smcs.protocols import Observer
from smcs.strategies._answering import Story
from smcs.strategies._calls import Calls
from smcs.strategies._collect import Ask, announce, collect
from smcs.strategies._estimates import BankEstimates, BankVotes
from smcs.strategies._parts import Parts, Turn
from smcs.strategies._retrieve import Retrieval, Retriever, available
from smcs.strategies._votes import options_of
from smcs.strategies._voting import chosen_by_vote
from smcs.types import NO_LIMITS, Answer, Limits, Message, Question, Retrieved


class Settings(BaseSettings):
    """Settings.

    Attributes:
        voters: ``all`` LLMs, or the K ``retrieved`` ones with the largest priors (K is the method's).
        sharpness: exponent of the weights: above 1 favours the strongest LLMs, which counts where LLMs err together.
            ``tuned`` takes what does best on the question's support set.
        open_options: how many answers a question without options is taken to have.
    """

    voters: Literal["all", "retrieved"] = "all"
    sharpness: Annotated[float, Field(ge=0, le=20)] | Literal["tuned"] = 1.0
    open_options: Annotated[int, Field(ge=2)] = 10


def create(parts: Parts, settings: Settings) -> Weighted:
    """Build the strategy."""
    return Weighted(parts, settings)


class Weighted:
    """Prior-weighted vote (see `smcs.protocols.Strategy`)."""

    def __init__(self, parts: Parts, settings: Settings) -> None:
        self._parts = parts
        self._settings = settings
        self._retriever = Retriever.of(parts)
        self._bank_votes: BankVotes | None = None
        if settings.sharpness == "tuned":
            bank = self._retriever.bank
            estimates = self._retriever.estimates or BankEstimates(bank, "equation4")
            self._bank_votes = BankVotes(bank, estimates, self._voters(len(bank.llms)), settings.open_options)

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
            QuestionError: the question fits no LLM's context.
            CallError: the question could not be embedded.
        """
        calls, turn = Calls(self._parts.pool, observe, limits), Turn(question, tuple(history), seed)
        story = Story(calls, seed, embedder=self._parts.bank.embedder.name)
        story.retrieval = retrieval = await calls.in_time(self._retriever.retrieve(question))
        story.step("retrieve")
        observe(Retrieved(retrieval.support, retrieval.by_name, story.steps["retrieve"]))
        ranking = self._retriever.ranking(retrieval.prior)
        k = self._voters(len(ranking))
        voters, notes = await calls.in_time(available(calls, ranking, k, turn, self._parts.method))
        story.notes += notes
        asks = [Ask(name, retrieval.by_name[name]) for name in voters]
        announce(calls, asks)
        collected = await collect(calls, turn, self._parts.method, asks)
        story.step("ask")
        story.require(collected)
        weights = await self._weights(story, question, retrieval, voters)
        chosen = await chosen_by_vote(story, self._parts, question, collected, weights)
        return story.of_reference(collected.references, chosen)

    def _voters(self, llms: int) -> int:
        """How many of so many LLMs vote."""
        return min(self._parts.method.k, llms) if self._settings.voters == "retrieved" else llms

    async def _weights(
        self, story: Story, question: Question, retrieval: Retrieval, voters: Sequence[str]
    ) -> list[float]:
        """What each voter's vote counts."""
        options = options_of(question) or self._settings.open_options
        accuracy = np.array([retrieval.accuracy[retrieval.names.index(name)] for name in voters])
        sharpness = self._settings.sharpness
        if self._bank_votes is not None:
            similarity = np.array([item.similarity for item in retrieval.support])
            sharpness = await self._bank_votes.sharpness(retrieval.positions, similarity)
            story.notes.append(f"votes of sharpness {sharpness:g} do best on the support set")
        assert not isinstance(sharpness, str)
        weights = voting.sharpened(voting.log_odds(accuracy, max(1, options - 1)), sharpness)
        return [float(weight) for weight in weights]
