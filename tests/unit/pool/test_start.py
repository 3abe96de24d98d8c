"""Starting and closing an LLM."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from smcs.errors import ConfigError, ConnectionFailedError, ServerError, WeightsError
from smcs.pool import PooledLLM, calling
from smcs.testing.scripted import ScriptedLLM
from smcs.types import Completion, Failure, Message, Request

MakePooled = Callable[..., PooledLLM]
ASK = Request((Message("user", "Why?"),), n=2)


async def test_many_calls_start_it_once(pooled: MakePooled) -> None:
    backend = ScriptedLLM()
    llm = pooled(backend)
    results = await asyncio.gather(*(llm.complete(ASK) for _ in range(10)))
    assert len(results) == 10
    assert backend.starts == 1


async def test_a_cancelled_start_is_made_by_the_next_call(pooled: MakePooled) -> None:
    backend = ScriptedLLM()
    backend.free.clear()
    llm = pooled(backend)
    first, second = asyncio.create_task(llm.complete(ASK)), asyncio.create_task(llm.complete(ASK))
    await asyncio.sleep(0.01)
    first.cancel()
    backend.free.set()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert all(isinstance(r, Completion) for r in await second)
    assert backend.starts == 2


async def test_weights_that_cannot_be_had_are_a_failure_of_each_sample(pooled: MakePooled) -> None:
    backend = ScriptedLLM()
    backend.start_errors = [WeightsError("no network")]
    assert await pooled(backend).complete(ASK) == [Failure("mine", "weights", "no network", 1, 0.0)] * 2


async def test_a_failed_start_is_not_repeated_at_once_but_later(
    pooled: MakePooled, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = ScriptedLLM()
    backend.start_errors = [ConnectionFailedError("nobody there")]
    llm = pooled(backend)
    for _ in range(3):
        (one, _) = await llm.complete(ASK)
        assert isinstance(one, Failure)
        assert one.kind == "connection_failed"
    assert backend.starts == 1
    monkeypatch.setattr(calling, "_START_AGAIN_S", 0.0)
    (one, _) = await llm.complete(ASK)
    assert isinstance(one, Completion)


async def test_settings_that_cannot_be_used_are_raised(pooled: MakePooled) -> None:
    backend = ScriptedLLM()
    backend.start_errors = [ConfigError("no such file")]
    with pytest.raises(ConfigError, match="no such file"):
        await pooled(backend).complete(ASK)


async def test_what_the_backend_learns_when_it_starts_is_known_afterwards(pooled: MakePooled) -> None:
    backend = ScriptedLLM()
    llm = pooled(backend)
    backend.info = ScriptedLLM(context_length=512).info
    assert llm.info.context_length is None
    await llm.start()
    assert llm.info.context_length == 512


async def test_after_closing_calls_are_refused_and_none_is_tried_again(pooled: MakePooled, waits: list[float]) -> None:
    backend = ScriptedLLM()
    llm = pooled(backend)
    await llm.start()
    backend.free.clear()
    backend.script = [ServerError("gone")]
    task = asyncio.create_task(llm.complete(Request(ASK.messages)))
    await asyncio.sleep(0.01)
    await llm.aclose()
    backend.free.set()
    (result,) = await task
    assert isinstance(result, Failure)
    assert (backend.closed, waits) == (True, [])
    with pytest.raises(RuntimeError, match="closed"):
        await llm.complete(ASK)
