"""Calls to the pool as a strategy makes them: seeded, and reported while they run."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from smcs.errors import SmcsError
from smcs.pool import PooledLLM
from smcs.protocols import Observer, Progress
from smcs.types import CallState, CallUpdate, Completion, Failure, Message, Request, Sampling

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


async def sample(
    llm: PooledLLM, messages: Sequence[Message], sampling: Sampling, reporter: Reporter, *, keep_system: bool = False
) -> list[Completion | Failure]:
    """Ask one LLM for as many samples as the reporter has indices, and report how it goes.

    Args:
        keep_system: the system message holds more than instructions, so the LLM's own does not take its place.
    """
    reporter.state("waiting")
    request = Request(tuple(messages), sampling, n=len(reporter.indices))
    try:
        results = await llm.complete(request, reporter.progress(), keep_system=keep_system)
    except SmcsError as error:  # its settings cannot be used: one LLM less, not the end of the answer
        seconds = time.monotonic() - reporter.since
        results = [Failure(llm.name, "not_ready", str(error), seconds=seconds)] * request.n
    for index, result in zip(reporter.indices, results, strict=True):
        reporter.result(index, result)
    return results


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
