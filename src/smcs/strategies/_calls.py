"""Calls to the pool as a strategy makes them: seeded, and reported while they run."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from smcs.errors import CallError, DeadlineError, SmcsError
from smcs.pool import Pool, PooledLLM
from smcs.pool.budget import most_tokens
from smcs.protocols import Observer, Progress
from smcs.strategies._ledger import Ledger
from smcs.transport.tasks import unless
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

T = TypeVar("T")
LEFT_OUT = frozenset({"cancelled", "not_needed", "deadline", "budget"})
"""Kinds of failures that are no failures of the LLM: the call was ended, or not made."""


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

    def progress(self, again: Callable[[CallError | None], bool], began: list[float]) -> Progress:
        """What the pool is given to report to. Tokens of a request are shared out evenly among its samples.

        Args:
            again: whether the limits allow another request.
            began: gets the time at which each try began, by the monotonic clock.
        """

        def tokens(count: int) -> None:
            if not count:
                began.append(time.monotonic())
            self.state("running", tokens=count // len(self.indices))

        return Progress(lambda loading: self.state("loading" if loading else "running"), tokens, again)

    def result(self, index: int, result: Completion | Failure) -> None:
        """Report how one sample ended."""
        if isinstance(result, Completion):
            self.state("done", index=index, tokens=result.completion_tokens)
        else:
            state: CallState = "cancelled" if result.kind in LEFT_OUT else "failed"
            self.state(state, index=index, message=result.message)


@dataclass(frozen=True, slots=True)
class Made:
    """What one request gave.

    Attributes:
        results: one a sample, in order.
        ends: seconds from the beginning of the answer at which it is there, if nothing had to wait for a free place.
    """

    results: list[Completion | Failure]
    ends: float


class Stop:
    """Ends calls that are under way: the answer goes on without them."""

    def __init__(self) -> None:
        self.event = asyncio.Event()
        self.kind = self.reason = ""

    def now(self, kind: str, reason: str) -> None:
        """End them; the first reason that is given stands."""
        if not self.event.is_set():
            self.kind, self.reason = kind, reason
            self.event.set()


class Calls:
    """The calls of one answer: made within its limits, reported and added up.

    Args:
        pool: the LLMs.
        observe: told how each call goes on.
        limits: what they may take in all; time counts from here.
    """

    def __init__(self, pool: Pool, observe: Observer = lambda _: None, limits: Limits = NO_LIMITS) -> None:
        self.pool = pool
        self.observe = observe
        self.ledger = Ledger(limits)
        self.longest_chain = 0.0
        """Seconds of the longest chain of calls that had to wait for each other, waiting for a free place left out."""
        self._requests = 0
        self._completions: list[Completion] = []

    def why_not(self, name: str) -> str | None:
        """Why an LLM is not to be asked where there is a choice: it only fails, or costs nobody knows what."""
        llm = self.pool[name]
        if self.ledger.unpriced(llm):
            return f"{name} is left out: its price is not known, and dollars are limited"
        if not llm.usable:
            return f"{name} is left out: it only fails (the last: {llm.breaker.health.last_error})"
        return None

    def usable(self, names: Sequence[str]) -> list[str]:
        """Those of some LLMs that may be asked, all where none may; what is left out is noted."""
        why = {name: self.why_not(name) for name in names}
        if all(why.values()):
            return list(names)
        for reason in why.values():
            if reason:
                self.ledger.cut(reason)
        return [name for name in names if not why[name]]

    async def in_time(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """What a coroutine gives, within the answer's time.

        Raises:
            DeadlineError: the time is over first.
        """
        result = await unless(coroutine, self.ledger.ends)
        if result is None:
            raise DeadlineError(f"the time of {self.ledger.limits.seconds:g} s was over before any LLM was asked")
        return result

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
        stop: Stop | None = None,
    ) -> Made:
        """Ask one LLM for samples.

        Args:
            llm: its name in the pool.
            reporter: where to report; its indices say how many samples.
            n: how many samples, where nothing is reported.
            keep_system: the system message holds more than instructions, so the LLM's own does not take its place.
            after: when what this call needs was there (`Made.ends` of the calls before it).
            stop: ends the call before its time.
        """
        asked, begin = self.pool[llm], time.monotonic()
        report = reporter or Reporter(lambda _: None, "reference", tuple(range(n)), llm, begin)
        request = Request(tuple(messages), sampling, n=len(report.indices))
        event = stop.event if stop else None
        began: list[float] = []
        report.state("waiting")
        try:
            making = self._within_budget(asked, request, report, began, keep_system=keep_system)
            results = await unless(making, self.ledger.ends, event)
        except asyncio.CancelledError:
            report.state("cancelled")
            raise
        except SmcsError as error:  # its settings cannot be used: one LLM less, not the end of the answer
            message = str(error)
            results = [Failure(llm, "not_ready", message, seconds=time.monotonic() - begin, charged=False)] * request.n
        if results is None:
            if began:  # and does not only wait for a free place
                asked.breaker.unanswered(time.monotonic() - began[0])
            results = [self._ended(llm, time.monotonic() - begin, stop)] * request.n
        for index, result in zip(report.indices, results, strict=True):
            report.result(index, result)
        self._completions += [result for result in results if isinstance(result, Completion)]
        ends = after + max(result.seconds for result in results)
        self.longest_chain = max(self.longest_chain, ends)
        return Made(results, ends)

    async def _within_budget(
        self, asked: PooledLLM, request: Request, report: Reporter, began: list[float], *, keep_system: bool
    ) -> list[Completion | Failure]:
        """The samples that the limits allow, and a failure in the place of each other one."""
        request = self.ledger.bounded(asked, request)
        entry = await self.ledger.open(asked, request, keep_system=keep_system)
        part, results = entry.request.n if entry else 0, list[Completion | Failure]()
        if entry:
            self._requests += 1 if asked.info.multiple_samples else part
            made = None
            try:
                progress = report.progress(entry.again, began)
                made = await asked.complete(entry.request, progress, keep_system=keep_system)
                results += made
            finally:
                entry.close(made)
        why = "the limits leave no room for it"
        return results + [Failure(asked.name, "budget", why, charged=False)] * (request.n - part)

    def _ended(self, llm: str, seconds: float, stop: Stop | None) -> Failure:
        """What stands in the place of a call that was ended before its time."""
        if stop and stop.event.is_set():
            return Failure(llm, stop.kind, stop.reason, seconds=seconds)
        return Failure(llm, "deadline", f"not in after {seconds:.1f} s, when the time was over", seconds=seconds)

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
