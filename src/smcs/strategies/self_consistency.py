"""Self-consistency: the best LLM on the benchmark answers n times; the answer it states most often wins.

Where no response states an answer that can be compared (code, free text), universal self-consistency: the LLM picks the
response that agrees best with the others. The answer is always one of the responses as it was written.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from smcs.config import Settings as BaseSettings
from smcs.protocols import Observer
from smcs.strategies._answering import Story
from smcs.strategies._best import BestLLM
from smcs.strategies._calls import Calls
from smcs.strategies._collect import Ask, Collected, announce, collect
from smcs.strategies._consistency import pick_most_consistent
from smcs.strategies._parts import Parts, Turn
from smcs.strategies._voting import election
from smcs.types import NO_LIMITS, Answer, Limits, Message, Question


class Settings(BaseSettings):
    """Settings.

    Attributes:
        n: how many times it answers.
        llm: which LLM; by default the best on the question's benchmark.
        universal: when an LLM picks instead of a vote: ``auto`` is where there is nothing to vote on.
    """

    n: Annotated[int, Field(ge=1, le=1000)] = 8
    llm: str | None = None
    universal: Literal["auto", "always", "never"] = "auto"


def create(parts: Parts, settings: Settings) -> SelfConsistency:
    """Build the strategy.

    Raises:
        ConfigError: the pool has no such LLM.
    """
    return SelfConsistency(parts, settings)


class SelfConsistency:
    """Plurality over several responses of one LLM (see `smcs.protocols.Strategy`)."""

    def __init__(self, parts: Parts, settings: Settings) -> None:
        self._parts = parts
        self._settings = settings
        self._best = BestLLM(parts.pool, parts.bank, settings.llm)

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
        story.notes.append(f"{llm} answers {self._settings.n} times; its accuracy on {where} is {accuracy:.1%}")
        asks = [Ask(llm, accuracy, self._settings.n)]
        announce(calls, asks)
        collected = await collect(calls, turn, self._parts.method, asks)
        story.step("ask")
        story.require(collected)
        chosen = await self._choose(story, turn, collected, llm)
        story.step("choose")
        return story.of_reference(collected.references, chosen)

    async def _choose(self, story: Story, turn: Turn, collected: Collected, llm: str) -> int:
        places = [i for i, r in enumerate(collected.references) if r.completion]
        if self._settings.universal != "always":
            held, _ = await election(self._parts, turn.question, collected, [1.0] * len(collected.references))
            story.notes.append(held.note())
            if held.winner is not None:
                return held.winner
        if self._settings.universal == "never" or len(places) < 2:
            story.notes.append("the answer is the first response")
            return places[0]
        texts = [completion.text for _, completion in collected.present]
        picked, note = await pick_most_consistent(story.calls, self._parts, turn, llm, texts, after=collected.ends)
        story.notes.append(note if picked is not None else f"{note}; the answer is the first response")
        return places[picked or 0]
