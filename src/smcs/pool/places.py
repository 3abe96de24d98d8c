"""Limits of one LLM: how many calls at once, and not before the endpoint wants any."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from smcs.transport.retry import Sleep


class Places:
    """Places for calls to one LLM.

    Args:
        limit: most calls at once.
        longest_pause_s: longest time for which a refusal keeps other calls waiting.
        sleep: how to wait.
    """

    def __init__(self, limit: int, longest_pause_s: float, sleep: Sleep) -> None:
        self._limit = limit
        self._longest_pause_s = longest_pause_s
        self._sleep = sleep
        self._not_before = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._free = asyncio.Semaphore(limit)

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Wait for a place and hold it."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:  # a pool outlives an event loop where a program calls asyncio.run twice
            self._loop, self._free = loop, asyncio.Semaphore(self._limit)
        async with self._free:
            pause = self._not_before - time.monotonic()
            if pause > 0:
                await self._sleep(pause)
            yield

    def pause(self, seconds: float) -> None:
        """Start no call for a while: the endpoint has refused one, and would refuse the others."""
        self._not_before = max(self._not_before, time.monotonic() + min(seconds, self._longest_pause_s))
