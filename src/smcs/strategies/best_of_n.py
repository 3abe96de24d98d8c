"""Best of n: the best LLM on the benchmark answers n times; the response that surprises it least wins.

Surprise is perplexity, ``exp(-mean log p(token))`` over the response's own tokens; ties go to the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from smcs.config import Settings as BaseSettings
from smcs.core import exploitation
from smcs.protocols import Observer
from smcs.strategies._answering import Story
from smcs.strategies._best import BestLLM
from smcs.strategies._calls import Calls
from smcs.strategies._collect import Ask, announce, collect
from smcs.strategies._parts import Parts, Turn
from smcs.types import NO_LIMITS, Answer, Limits, Message, Question, Reference


class Settings(BaseSettings):
    """Settings.

    Attributes:
        n: how many times it answers.
        llm: which LLM; by default the best on the question's benchmark of those that give log-probabilities.
    """

    n: Annotated[int, Field(ge=1, le=1000)] = 8
    llm: str | None = None


def create(parts: Parts, settings: Settings) -> BestOfN:
    """Build the strategy.

    Raises:
        ConfigError: the pool has no such LLM, or none that gives log-probabilities.
    """
    return BestOfN(parts, settings)


class BestOfN:
    """The response of lowest perplexity (see `smcs.protocols.Strategy`)."""

    def __init__(self, parts: Parts, settings: Settings) -> None:
        self._parts = parts
        self._n = settings.n
        self._best = BestLLM(parts.pool, parts.bank, settings.llm, logprobs=True)

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
            NoAnswerError: every call failed.
        """
        calls, turn = Calls(self._parts.pool, observe, limits), Turn(question, tuple(history), seed)
        story = Story(calls, seed)
        llm, accuracy, where = self._best.on(question, calls)
        story.notes.append(f"{llm} answers {self._n} times; its accuracy on {where} is {accuracy:.1%}")
        asks = [Ask(llm, accuracy, self._n)]
        announce(calls, asks)
        collected = await collect(calls, turn, self._parts.method, asks, logprobs=True)
        story.step("ask")
        story.require(collected)
        perplexity = np.array([_perplexity(r) for r in collected.references])
        ranked = np.argsort(perplexity, kind="stable").tolist()
        story.notes.append("perplexities: " + ", ".join(f"{p:.3f}" for p in perplexity if np.isfinite(p)))
        return story.of_reference(collected.references, *ranked)


def _perplexity(reference: Reference) -> float:
    """Infinite for a failed call; next to it for a response without tokens."""
    if reference.completion is None:
        return float("inf")
    logprobs = reference.completion.token_logprobs
    return min(exploitation.perplexity(logprobs), 1e300) if logprobs else 1e300
