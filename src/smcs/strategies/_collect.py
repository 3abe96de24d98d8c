"""References: what LLMs answer by themselves, asked for the same way by every strategy.

The same LLM, question and seed make the same call whatever strategy makes it, so that strategies that are compared on
the same questions can share what was answered.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from smcs.config import SMCSSettings
from smcs.prompts import reference_messages
from smcs.strategies._calls import Calls, Made, Reporter, Stop, call_seed
from smcs.strategies._parts import Turn
from smcs.types import Completion, Message, Planned, Reference, Sampling

T = TypeVar("T")


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
    return replace(settings.sampling.to_sampling().wanting(turn.question.output), seed=seed, logprobs=logprobs)


async def reference(
    calls: Calls,
    turn: Turn,
    settings: SMCSSettings,
    llm: str,
    indices: tuple[int, ...],
    *,
    logprobs: bool = False,
    after: float = 0.0,
    stop: Stop | None = None,
) -> Made:
    """Ask one LLM for as many references as there are indices."""
    reporter = Reporter(calls.observe, "reference", indices, llm, time.monotonic())
    sampling = reference_sampling(turn, llm, settings, logprobs=logprobs)
    return await calls.ask(llm, messages_to(turn, settings), sampling, reporter, after=after, stop=stop)


async def collect(
    calls: Calls,
    turn: Turn,
    settings: SMCSSettings,
    asks: Sequence[Ask],
    *,
    logprobs: bool = False,
    after: float = 0.0,
    part: float = 1.0,
) -> Collected:
    """Ask all for their references at once. Failures are in their place, typed.

    Args:
        part: of the answer's time, if that is limited: when it is over, those that are in will do.
    """
    first, places = 0, []
    for ask in asks:
        places.append(tuple(range(first, first + ask.samples)))
        first += ask.samples
    until = calls.ledger.part_of_time(part) if part < 1 else None
    stop = Stop() if until is not None else None
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(
                reference(calls, turn, settings, ask.llm, indices, logprobs=logprobs, after=after, stop=stop)
            )
            for ask, indices in zip(asks, places, strict=True)
        ]
        hurry = group.create_task(hasten(tasks, until, stop, is_in)) if stop else None
        made = [await task for task in tasks]
        if hurry:
            hurry.cancel()
    references = [
        Reference(ask.llm, ask.prior, completion=result)
        if isinstance(result, Completion)
        else Reference(ask.llm, ask.prior, failure=result)
        for ask, one in zip(asks, made, strict=True)
        for result in one.results
    ]
    return Collected(tuple(references), max((one.ends for one in made), default=0.0))


async def hasten(tasks: Sequence[asyncio.Task[T]], until: float | None, stop: Stop, is_in: Callable[[T], bool]) -> None:
    """From some time on, wait for no more calls than are in; where none is, for the first one.

    Args:
        tasks: that make the calls.
        until: the time, by the monotonic clock; None for never.
        stop: of these tasks.
        is_in: whether a task's result is something to go on with.
    """
    if until is None:
        return
    await asyncio.sleep(max(0.0, until - time.monotonic()))
    pending = {task for task in tasks if not task.done()}
    while pending and not any(task.done() and is_in(task.result()) for task in tasks):
        _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
    if pending:
        stop.now("deadline", "not in when its part of the time was over")


def is_in(made: Made) -> bool:
    """Whether a request gave something."""
    return any(isinstance(result, Completion) for result in made.results)


def announce(
    calls: Calls, asks: Sequence[Ask], aggregator: str = "", subsets: tuple[tuple[str, ...], ...] = ()
) -> None:
    """Tell the observer what is planned."""
    names = tuple(ask.llm for ask in asks for _ in range(ask.samples))
    calls.observe(Planned(names, subsets, aggregator))
