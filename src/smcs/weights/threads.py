"""Blocking work (downloads, loading, native code) beside the event loop, in threads that never hold up an exit."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Stopped(Exception):  # noqa: N818 - not an error: the caller gave up
    """The caller does not want the result any more."""


async def run_in_thread(work: Callable[[threading.Event], T], name: str = "smcs-worker") -> T:
    """Run `work` in a thread of its own and await what it returns or raises.

    The thread is a daemon: unlike one of the loop's executor it does not delay the end of the process. Where the
    awaiting task is cancelled, the event that `work` was given is set, and the thread is left to end by itself.

    Args:
        work: called with an event that tells it to stop; it may raise `Stopped` then.
        name: the thread's name.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()
    stop = threading.Event()

    def settle(result: T | None, error: BaseException | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]  # None is a T where work returns None

    def run() -> None:
        result: T | None = None
        problem: BaseException | None = None
        try:
            result = work(stop)
        except BaseException as error:  # noqa: BLE001 - it is raised again in the awaiting task
            problem = error
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, result, problem)

    threading.Thread(target=run, name=name, daemon=True).start()
    try:
        return await done
    except asyncio.CancelledError:
        stop.set()
        raise
