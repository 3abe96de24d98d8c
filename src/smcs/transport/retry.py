"""Trying a call again: exponential backoff with full jitter, bounded, and as the endpoint asks."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from smcs.errors import CallError, RateLimitError

T = TypeVar("T")
Sleep: TypeAlias = Callable[[float], Awaitable[object]]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When to try again.

    Attributes:
        max_retries: tries after the first one.
        max_backoff_s: longest wait between two tries. An endpoint that asks for more is given up at once: waiting less
            than it asks would only annoy it.
        first_backoff_s: upper bound of the first wait; it doubles with every try. Four times as long after a refusal
            that does not say how long to wait: limits mostly are by the minute.
    """

    max_retries: int
    max_backoff_s: float
    first_backoff_s: float = 0.5

    def wait_s(self, error: CallError, attempts: int, rng: random.Random) -> float | None:
        """Seconds to wait before the next try, or None to give up.

        Args:
            error: why the last try failed.
            attempts: tries so far.
            rng: source of the jitter.
        """
        if not error.retryable or attempts > self.max_retries:
            return None
        if error.retry_after is not None:
            if error.retry_after > self.max_backoff_s:
                return None
            # A little late, so that all who were refused together do not come back together.
            return error.retry_after + rng.uniform(0, min(1.0, 0.1 * error.retry_after))
        first = self.first_backoff_s * (4 if isinstance(error, RateLimitError) else 1)
        return rng.uniform(0, min(self.max_backoff_s, first * 2.0 ** (attempts - 1)))

    def asks_too_long(self, error: CallError) -> bool:
        """Whether the endpoint asks for a longer wait than this policy allows."""
        return error.retryable and error.retry_after is not None and error.retry_after > self.max_backoff_s


async def retrying(
    attempt: Callable[[int], Awaitable[T]],
    policy: RetryPolicy,
    rng: random.Random,
    *,
    name: str,
    sleep: Sleep = asyncio.sleep,
    go_on: Callable[[CallError], bool] = lambda _: True,
) -> T:
    """Make a call, and make it again while it fails for a passing reason.

    Args:
        attempt: one try; given its number, from 1.
        policy: when to try again.
        rng: source of the jitter.
        name: who is called, for the log.
        sleep: how to wait.
        go_on: asked before another try, with the error of the last one, whether it is to be made.

    Raises:
        CallError: of the last try, with `attempts` set, and with words about the wait where the endpoint asked for a
            longer one than the policy allows.
    """
    number = 0
    while True:
        number += 1
        try:
            return await attempt(number)
        except CallError as error:
            error.attempts = number
            wait = policy.wait_s(error, number, rng)
            if wait is None or not go_on(error):
                if policy.asks_too_long(error):
                    error.args = (
                        f"{error}; the endpoint asks to wait {error.retry_after:g} s, which is more than "
                        f"max_backoff_s = {policy.max_backoff_s:g}",
                    )
                raise
            logger.info("%s: %s; trying again in %.2f s (%d of %d)", name, error, wait, number, policy.max_retries)
        await sleep(wait)
