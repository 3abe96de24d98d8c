"""Whether an LLM can be reached, and what it gives."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from smcs.errors import BadRequestError, LogprobsUnavailableError, RateLimitError, SmcsError
from smcs.pool.calling import PooledLLM
from smcs.types import Completion, Message, Request, Sampling

_MESSAGES = (Message("user", "Reply with the one word: ready"),)
_MAX_TOKENS = 8
_MOST_REFUSALS = 3
_LONGEST_WAIT_S = 5.0


@dataclass(frozen=True, slots=True)
class LLMCheck:
    """What a small real call to an LLM showed.

    Attributes:
        name: of the LLM in the pool.
        ok: whether it answered.
        seconds: that the call took, loading included.
        logprobs: whether it gave token log-probabilities.
        samples: whether several samples of one prompt came from one request.
        message: one sentence for people: what it gives, or what is wrong.
    """

    name: str
    ok: bool
    seconds: float
    logprobs: bool
    samples: bool
    message: str


async def check_llm(llm: PooledLLM, *, timeout_s: float = 60.0) -> LLMCheck:
    """Make a small real call, and plainer ones where it is refused: of one sample, then without log-probabilities.

    Args:
        llm: whom to call.
        timeout_s: most seconds for each call; loading is not included.
    """
    begin = time.perf_counter()
    n = 2 if llm.info.multiple_samples else 1
    wants = llm.info.logprobs is not False
    ways = list(dict.fromkeys([(n, wants), (1, wants), (1, False)]))
    try:
        completions = await _first_that_is_not_refused(llm, ways, timeout_s)
    except SmcsError as error:
        return LLMCheck(llm.name, False, time.perf_counter() - begin, False, False, str(error))
    return _judged(llm, completions, time.perf_counter() - begin)


async def _first_that_is_not_refused(
    llm: PooledLLM, ways: Sequence[tuple[int, bool]], timeout_s: float
) -> Sequence[Completion]:
    """The completions of the first call that the endpoint does not refuse for what it asks.

    Args:
        llm: whom to call.
        ways: how many samples to ask for, and whether with log-probabilities.
        timeout_s: most seconds for each.
    """
    for n, logprobs in ways[:-1]:
        try:
            return await _patiently(llm, _request(llm, n, logprobs=logprobs), timeout_s)
        except (BadRequestError, LogprobsUnavailableError) as error:
            if error.status == 404:
                raise
    n, logprobs = ways[-1]
    return await _patiently(llm, _request(llm, n, logprobs=logprobs), timeout_s)


async def _patiently(llm: PooledLLM, request: Request, timeout_s: float) -> Sequence[Completion]:
    """One try, or a few where the endpoint only asks to wait a little: one that is busy is not one that is wrong."""
    for _ in range(_MOST_REFUSALS):
        try:
            return await llm.once(request, timeout_s=timeout_s)
        except RateLimitError as error:
            if (error.retry_after or 0) > _LONGEST_WAIT_S:
                raise
            await asyncio.sleep(error.retry_after or 1.0)
    return await llm.once(request, timeout_s=timeout_s)


def _request(llm: PooledLLM, n: int, *, logprobs: bool) -> Request:
    sampling = Sampling(max_tokens=_MAX_TOKENS, logprobs=logprobs, extra=llm.settings.sampling.extra)
    return Request(_MESSAGES, sampling, n)


def _judged(llm: PooledLLM, given: Sequence[Completion], seconds: float) -> LLMCheck:
    if not given:
        return LLMCheck(llm.name, False, seconds, False, False, "it answered without a completion")
    logprobs = all(c.token_logprobs is not None for c in given)
    samples = len(given) > 1
    parts = ["it answers"]
    if not logprobs:
        parts.append("gives no log-probabilities, so it cannot be the aggregator unless lambda = 0")
    if llm.info.multiple_samples and not samples:
        parts.append("gives one sample a request, so several are several requests (multiple_samples = false says so)")
    return LLMCheck(
        llm.name, True, seconds, logprobs, samples, ", but ".join(parts[:2]) + "".join(f", and {p}" for p in parts[2:])
    )
