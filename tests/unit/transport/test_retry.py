"""Waiting between tries: bounded, jittered, and as the endpoint asks."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smcs.errors import AuthenticationError, CallError, RateLimitError, ServerError
from smcs.transport.retry import RetryPolicy, retrying

POLICY = RetryPolicy(max_retries=4, max_backoff_s=8.0)


class Sleeper:
    """Waits no time and remembers how long it should have."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.waits.append(seconds)


class Failing:
    """Fails with the given errors, then answers."""

    def __init__(self, *errors: CallError) -> None:
        self.errors = list(errors)
        self.numbers: list[int] = []

    async def __call__(self, number: int) -> str:
        self.numbers.append(number)
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


async def test_tries_again_until_it_succeeds() -> None:
    sleep, call = Sleeper(), Failing(ServerError("down"), ServerError("still down"))
    assert await retrying(call, POLICY, random.Random(1), name="llm", sleep=sleep) == "answer"
    assert call.numbers == [1, 2, 3]
    assert len(sleep.waits) == 2


async def test_gives_up_after_its_retries_with_the_last_error_and_the_number_of_tries() -> None:
    sleep, call = Sleeper(), Failing(*(ServerError(f"down {i}") for i in range(9)))
    with pytest.raises(ServerError, match="down 4") as failed:
        await retrying(call, POLICY, random.Random(1), name="llm", sleep=sleep)
    assert failed.value.attempts == 5
    assert len(sleep.waits) == 4


async def test_does_not_repeat_what_would_fail_again() -> None:
    sleep, call = Sleeper(), Failing(AuthenticationError("wrong key"))
    with pytest.raises(AuthenticationError) as failed:
        await retrying(call, POLICY, random.Random(1), name="llm", sleep=sleep)
    assert (failed.value.attempts, call.numbers, sleep.waits) == (1, [1], [])


async def test_waits_at_least_as_long_as_asked() -> None:
    sleep, call = Sleeper(), Failing(RateLimitError("slow down", retry_after=5.0))
    await retrying(call, POLICY, random.Random(1), name="llm", sleep=sleep)
    (wait,) = sleep.waits
    assert 5.0 <= wait <= 5.5


async def test_gives_up_at_once_when_asked_to_wait_longer_than_allowed_and_says_so() -> None:
    sleep, call = Sleeper(), Failing(RateLimitError("slow down", status=429, retry_after=3600.0))
    with pytest.raises(RateLimitError, match=r"slow down; .*wait 3600 s.* max_backoff_s = 8") as failed:
        await retrying(call, POLICY, random.Random(1), name="llm", sleep=sleep)
    assert (failed.value.attempts, failed.value.status, sleep.waits) == (1, 429, [])


async def test_does_not_go_on_when_told_not_to() -> None:
    call = Failing(ServerError("down"))
    with pytest.raises(ServerError):
        await retrying(call, POLICY, random.Random(1), name="llm", sleep=Sleeper(), go_on=lambda _: False)
    assert call.numbers == [1]


async def test_cancelling_ends_the_wait() -> None:
    waiting = asyncio.Event()

    async def sleep(_: float) -> None:
        waiting.set()
        await asyncio.Event().wait()

    call = Failing(ServerError("down"))
    task = asyncio.create_task(retrying(call, POLICY, random.Random(1), name="llm", sleep=sleep))
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert call.numbers == [1]


@given(attempts=st.integers(1, 20), cap=st.floats(0.01, 100), seed=st.integers())
def test_backoff_doubles_up_to_its_cap_with_full_jitter(attempts: int, cap: float, seed: int) -> None:
    policy = RetryPolicy(max_retries=20, max_backoff_s=cap)
    wait = policy.wait_s(ServerError("down"), attempts, random.Random(seed))
    assert wait is not None
    assert 0 <= wait <= min(cap, 0.5 * 2 ** (attempts - 1))


def test_a_refusal_without_a_time_is_waited_for_longer() -> None:
    rng = random.Random(0)
    waits = [POLICY.wait_s(RateLimitError("slow down"), 1, rng) or 0.0 for _ in range(200)]
    assert 1.5 < max(waits) <= 2.0


def test_jitter_spreads_over_the_whole_range() -> None:
    rng = random.Random(0)
    waits = [POLICY.wait_s(ServerError("down"), 3, rng) or 0.0 for _ in range(200)]
    assert min(waits) < 0.2
    assert max(waits) > 1.8
