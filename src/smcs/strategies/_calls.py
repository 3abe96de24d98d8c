"""Calls to the pool as a strategy makes them: seeded, and reported while they run."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from smcs.errors import SmcsError
from smcs.pool import Pool, PooledLLM
from smcs.protocols import Observer, Progress
from smcs.types import (
    NO_LIMITS,
    CallState,
    CallUpdate,
    Completion,
    Failure,
    Limits,
    Message,
    Request,
    Sampling,
    TotalUsage,
)

LEAST_ANSWER_TOKENS = 64
"""A prompt that leaves an LLM fewer tokens than this to answer in does not fit its context."""


def call_seed(seed: int, *parts: str) -> int:
    """A seed for one call, from the answer's seed and what the call is: any change gives an unrelated one.

    Returns:
        From 0 to 2**31 - 1, which every backend accepts.
    """
    digest = hashlib.sha256("\x1f".join([str(seed), *parts]).encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


@dataclass(frozen=True, slots=True)
class Reporter:
    """Tells an observer how one call goes on, under one or several indices (samples of one request)."""

    observe: Observer
    stage: Literal["reference", "aggregation"]
    indices: tuple[int, ...]
    llm: str
    since: float

    def state(self, state: CallState, *, index: int | None = None, tokens: int = 0, message: str = "") -> None:
        """Report a state, for one index or all."""
        seconds = time.monotonic() - self.since
        for i in self.indices if index is None else (index,):
            self.observe(CallUpdate(self.stage, i, self.llm, state, tokens, seconds, message))

    def progress(self) -> Progress:
        """What the pool is given to report to. Tokens of a request are shared out evenly among its samples."""
        return Progress(
            loading=lambda loading: self.state("loading" if loading else "running"),
            tokens=lambda tokens: self.state("running", tokens=tokens // len(self.indices)),
        )

    def result(self, index: int, result: Completion | Failure) -> None:
        """Report how one sample ended."""
        if isinstance(result, Completion):
            self.state("done", index=index, tokens=result.completion_tokens)
        else:
            self.state("cancelled" if result.kind == "cancelled" else "failed", index=index, message=result.message)


@dataclass(frozen=True, slots=True)
class Made:
    """What one request gave.

    Attributes:
        results: one a sample, in order.
        ends: seconds from the beginning of the answer at which it is there, if nothing had to wait for a free place.
    """

    results: list[Completion | Failure]
    ends: float


class Calls:
    """The calls of one answer: made, reported and added up.

    Args:
        pool: the LLMs.
        observe: told how each call goes on.
        limits: what they may take in all.
    """

    def __init__(self, pool: Pool, observe: Observer = lambda _: None, limits: Limits = NO_LIMITS) -> None:
        self.pool = pool
        self.observe = observe
        self.limits = limits
        self.longest_chain = 0.0
        """Seconds of the longest chain of calls that had to wait for each other, waiting for a free place left out."""
        self._requests = 0
        self._completions: list[Completion] = []

    async def ask(
        self,
        llm: str,
        messages: Sequence[Message],
        sampling: Sampling,
        reporter: Reporter | None = None,
        *,
        n: int = 1,
        keep_system: bool = False,
        after: float = 0.0,
    ) -> Made:
        """Ask one LLM for samples.

        Args:
            llm: its name in the pool.
            reporter: where to report; its indices say how many samples.
            n: how many samples, where nothing is reported.
            keep_system: the system message holds more than instructions, so the LLM's own does not take its place.
            after: when what this call needs was there (`Made.ends` of the calls before it).
        """
        asked, begin = self.pool[llm], time.monotonic()
        report = reporter or Reporter(lambda _: None, "reference", tuple(range(n)), llm, begin)
        request = Request(tuple(messages), sampling, n=len(report.indices))
        self._requests += 1 if asked.info.multiple_samples else request.n
        report.state("waiting")
        try:
            results = await asked.complete(request, report.progress(), keep_system=keep_system)
        except asyncio.CancelledError:
            report.state("cancelled")
            raise
        except SmcsError as error:  # its settings cannot be used: one LLM less, not the end of the answer
            results = [Failure(llm, "not_ready", str(error), seconds=time.monotonic() - begin)] * request.n
        for index, result in zip(report.indices, results, strict=True):
            report.result(index, result)
        self._completions += [result for result in results if isinstance(result, Completion)]
        ends = after + max(result.seconds for result in results)
        self.longest_chain = max(self.longest_chain, ends)
        return Made(results, ends)

    @property
    def usage(self) -> TotalUsage:
        """What all calls took. Samples of one request are one call, and count its prompt once."""
        costs = [completion.cost_usd for completion in self._completions]
        return TotalUsage(
            calls=self._requests,
            prompt_tokens=sum(completion.prompt_tokens for completion in self._completions),
            completion_tokens=sum(completion.completion_tokens for completion in self._completions),
            cost_usd=None if None in costs else sum(cost for cost in costs if cost is not None),
        )


def most_tokens(messages: Sequence[Message]) -> int:
    """More tokens than these messages can make: no tokenizer makes more of a text than it has bytes."""
    return sum(len(m.content.encode()) + 16 for m in messages)


async def prompt_tokens(llm: PooledLLM, messages: Sequence[Message], *, keep_system: bool = False) -> int | None:
    """Tokens of a prompt where its length may matter to the LLM's context; None where it certainly does not.

    Counting may have to load the LLM first, and most prompts are short enough not to need it.
    """
    context = llm.info.context_length
    if context is None or most_tokens(messages) + LEAST_ANSWER_TOKENS <= context:
        return None
    try:
        return await llm.count_tokens(messages, keep_system=keep_system)
    except SmcsError:  # it cannot be made ready: the call will say so, and be recorded
        return None


def fits(llm: PooledLLM, tokens: int | None) -> bool:
    """Whether a prompt of this length leaves the LLM room for an answer."""
    context = llm.info.context_length
    return context is None or tokens is None or tokens + LEAST_ANSWER_TOKENS <= context
