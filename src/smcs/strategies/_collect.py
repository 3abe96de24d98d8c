"""References: what LLMs answer by themselves, asked for the same way by every strategy.

The same LLM, question and seed make the same call whatever strategy makes it, so that strategies that are compared on
the same questions can share what was answered.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from smcs.config import SMCSSettings
from smcs.prompts import reference_messages
from smcs.strategies._calls import Calls, Made, Reporter, call_seed
from smcs.strategies._parts import Turn
from smcs.transport.tasks import all_of
from smcs.types import Completion, Message, Planned, Reference, Sampling


@dataclass(frozen=True, slots=True)
class Ask:
    """An LLM that is asked for some references.

    Attributes:
        prior: what it is ordered by.
    """

    llm: str
    prior: float = 0.0
    samples: int = 1


@dataclass(frozen=True, slots=True)
class Collected:
    """References, in the order in which they were asked for, and when all were there (see `Made.ends`)."""

    references: tuple[Reference, ...]
    ends: float

    @property
    def present(self) -> list[tuple[str, Completion]]:
        """Those that did not fail, with their LLMs' names."""
        return [(r.llm, r.completion) for r in self.references if r.completion]


def messages_to(turn: Turn, settings: SMCSSettings) -> tuple[Message, ...]:
    """What a referencer is asked."""
    return reference_messages(turn.question, history=turn.history, system=settings.reference_prompt)


def reference_sampling(turn: Turn, llm: str, settings: SMCSSettings, *, logprobs: bool = False) -> Sampling:
    """How a referencer generates."""
    seed = call_seed(turn.seed, "reference", llm)
    return replace(settings.sampling.to_sampling(), seed=seed, logprobs=logprobs, output=turn.question.output)


async def reference(
    calls: Calls,
    turn: Turn,
    settings: SMCSSettings,
    llm: str,
    indices: tuple[int, ...],
    *,
    logprobs: bool = False,
    after: float = 0.0,
) -> Made:
    """Ask one LLM for as many references as there are indices."""
    reporter = Reporter(calls.observe, "reference", indices, llm, time.monotonic())
    sampling = reference_sampling(turn, llm, settings, logprobs=logprobs)
    return await calls.ask(llm, messages_to(turn, settings), sampling, reporter, after=after)


async def collect(
    calls: Calls,
    turn: Turn,
    settings: SMCSSettings,
    asks: Sequence[Ask],
    *,
    logprobs: bool = False,
    after: float = 0.0,
) -> Collected:
    """Ask all for their references at once. Failures are in their place, typed."""
    first, places = 0, []
    for ask in asks:
        places.append(tuple(range(first, first + ask.samples)))
        first += ask.samples
    made = await all_of(
        reference(calls, turn, settings, ask.llm, indices, logprobs=logprobs, after=after)
        for ask, indices in zip(asks, places, strict=True)
    )
    references = [
        Reference(ask.llm, ask.prior, completion=result)
        if isinstance(result, Completion)
        else Reference(ask.llm, ask.prior, failure=result)
        for ask, one in zip(asks, made, strict=True)
        for result in one.results
    ]
    return Collected(tuple(references), max((one.ends for one in made), default=0.0))


def announce(
    calls: Calls, asks: Sequence[Ask], aggregator: str = "", subsets: tuple[tuple[str, ...], ...] = ()
) -> None:
    """Tell the observer what is planned."""
    names = tuple(ask.llm for ask in asks for _ in range(ask.samples))
    calls.observe(Planned(names, subsets, aggregator))
