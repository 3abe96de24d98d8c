"""Running coroutines together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


async def all_of(coroutines: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Run coroutines at once and give their results in order.

    The first exception cancels the others and is raised as it is, not in a group.
    """
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(coroutine) for coroutine in coroutines]
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [task.result() for task in tasks]


_CLEANING_UP_S = 0.1
_left: set[asyncio.Task[Any]] = set()


async def unless(
    coroutine: Coroutine[Any, Any, T], ends: float | None = None, stop: asyncio.Event | None = None
) -> T | None:
    """Run a coroutine until it is done, the time is over, or `stop` is set.

    Where it is ended early, it is cancelled; its cleaning up goes on by itself after a tenth of a second.

    Args:
        coroutine: what to run.
        ends: when to end it, by the monotonic clock.
        stop: ends it, too.

    Returns:
        Its result; None where it was ended early.
    """
    if ends is None and stop is None:
        return await coroutine
    task = asyncio.ensure_future(coroutine)
    stopped = asyncio.ensure_future(stop.wait()) if stop else None
    waiting: set[asyncio.Future[Any]] = {task, stopped} if stopped else {task}
    timeout = None if ends is None else max(0.0, ends - time.monotonic())
    try:
        await asyncio.wait(waiting, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        if stopped:
            stopped.cancel()
        if not task.done():
            task.cancel()
            _left.add(task)
            task.add_done_callback(_left.discard)
            await asyncio.wait(waiting, timeout=_CLEANING_UP_S)
