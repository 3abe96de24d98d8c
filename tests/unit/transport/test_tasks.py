"""Coroutines together."""

from __future__ import annotations

import asyncio

import pytest

from smcs.errors import ServerError
from smcs.transport.tasks import all_of


async def test_results_are_in_order() -> None:
    async def value(number: int) -> int:
        for _ in range(5 - number):
            await asyncio.sleep(0)
        return number

    assert await all_of(value(i) for i in range(5)) == [0, 1, 2, 3, 4]
    assert await all_of([]) == []


async def test_the_first_error_is_raised_as_it_is_and_ends_the_others() -> None:
    ended = asyncio.Event()

    async def waits() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def fails() -> None:
        await asyncio.sleep(0)
        raise ServerError("down")

    with pytest.raises(ServerError, match="down"):
        await all_of([waits(), fails()])
    assert ended.is_set()


async def test_cancelling_ends_all() -> None:
    ended = []

    async def waits(number: int) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(number)

    task = asyncio.create_task(all_of([waits(0), waits(1)]))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(ended) == [0, 1]
