"""The circuit breaker of one LLM."""

from __future__ import annotations

import asyncio

import pytest

from smcs.config import LLMSettings
from smcs.errors import BadRequestError, ServerError
from smcs.pool import Pool, PooledLLM
from smcs.pool.health import Breaker
from smcs.testing.scripted import ScriptedLLM
from smcs.types import Message, Request

ASK = Request((Message("user", "question"),))


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def breaker_of(clock: Clock, failures: int = 3) -> Breaker:
    return Breaker(failures, 30.0, clock)


def state(breaker: Breaker) -> str:
    return breaker.health.state


def due(breaker: Breaker) -> bool:
    return breaker.is_due


def usable(llm: PooledLLM) -> bool:
    return llm.usable


def fail(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        breaker.failed("server", "down")


class TestBreaker:
    def test_opens_after_failures_in_a_row(self, clock: Clock) -> None:
        breaker = breaker_of(clock)
        fail(breaker, 2)
        breaker.answered(1.0)
        fail(breaker, 2)
        assert state(breaker) != "open"
        fail(breaker, 1)
        assert state(breaker) == "open"
        assert (breaker.health.failures, breaker.health.last_error, breaker.health.retry_in_s) == (3, "down", 30.0)

    def test_is_tried_after_a_while_and_closes_once_it_answers(self, clock: Clock) -> None:
        breaker = breaker_of(clock)
        fail(breaker, 3)
        clock.now = 29.9
        assert not due(breaker)
        clock.now = 30.0
        assert due(breaker)
        breaker.tried(None)
        assert state(breaker) == "trial"
        assert state(breaker) != "open"
        breaker.answered(1.0)
        assert state(breaker) == "closed"

    def test_on_trial_one_failure_opens_it_for_longer(self, clock: Clock) -> None:
        breaker = breaker_of(clock)
        fail(breaker, 3)
        for wait in (60.0, 120.0, 240.0, 240.0):
            breaker.tried(None)
            fail(breaker, 1)
            assert breaker.health.retry_in_s == wait

    def test_a_trial_that_fails_keeps_it_open(self, clock: Clock) -> None:
        breaker = breaker_of(clock)
        fail(breaker, 3)
        clock.now = 30.0
        breaker.tried("still down")
        assert state(breaker) == "open"
        assert not due(breaker)
        assert breaker.health.last_error == "still down"

    @pytest.mark.parametrize("kind", ["context_length", "bad_request", "cancelled", "budget"])
    def test_what_only_this_request_failed_for_does_not_count(self, clock: Clock, kind: str) -> None:
        breaker = breaker_of(clock, failures=1)
        breaker.failed(kind, "no")
        assert state(breaker) != "open"

    def test_zero_never_opens(self, clock: Clock) -> None:
        breaker = breaker_of(clock, failures=0)
        fail(breaker, 100)
        assert state(breaker) != "open"

    def test_calls_that_are_given_up_count_where_they_took_far_longer_than_answers(self, clock: Clock) -> None:
        breaker = breaker_of(clock, failures=1)
        breaker.unanswered(9.0)
        assert state(breaker) != "open", "nothing is known of how long it takes"
        for _ in range(5):
            breaker.answered(1.0)
        breaker.unanswered(3.9)
        assert state(breaker) != "open"
        breaker.unanswered(4.0)
        assert state(breaker) == "open"


async def test_calls_open_it_and_a_small_call_tries_it() -> None:
    backend = ScriptedLLM()
    settings = LLMSettings(name="mine", backend="scripted", max_retries=0, breaker_failures=2, breaker_s=1e-6)
    pool = Pool([PooledLLM(backend, settings)])
    llm = pool["mine"]
    assert pool.health["mine"].state == "closed"
    backend.script = [BadRequestError("no"), ServerError("down"), ServerError("down"), ServerError("down")]
    for _ in range(3):
        await llm.complete(ASK)
    assert state(llm.breaker) == "open"
    assert not usable(llm), "this begins the small call"
    for _ in range(20):
        await asyncio.sleep(0)
    assert state(llm.breaker) == "open", "which failed"
    assert not usable(llm)
    for _ in range(20):
        await asyncio.sleep(0)
    assert usable(llm)
    assert state(llm.breaker) == "trial"
    assert backend.requests[-1].sampling.max_tokens == 8
    await llm.complete(ASK)
    assert state(llm.breaker) == "closed"


async def test_closing_ends_the_small_call() -> None:
    backend = ScriptedLLM()
    llm = PooledLLM(backend, LLMSettings(name="mine", backend="scripted", breaker_s=1e-6))
    for _ in range(5):
        llm.breaker.failed("server", "down")
    backend.free.clear()
    assert not usable(llm)
    await asyncio.sleep(0)
    await llm.aclose()
    assert len(asyncio.all_tasks()) == 1
