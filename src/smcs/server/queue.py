"""A bounded queue in front of the pool: some requests are answered, some wait, the rest are told to come back."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from smcs.errors import OverloadedError

_LONGEST_WAIT_S = 120
_WEIGHT = 0.2


class Queue:
    """Places for requests.

    Args:
        running: most that hold a place at once.
        waiting: most that wait for one.
    """

    def __init__(self, running: int, waiting: int) -> None:
        self._free = asyncio.Semaphore(running)
        self._most_running = running
        self._most_waiting = waiting
        self._seconds = 1.0
        self.running = 0
        """Requests that hold a place."""
        self.waiting = 0
        """Requests that wait for one."""

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Wait for a place and hold it. Whoever leaves while waiting frees its place in the queue.

        Raises:
            OverloadedError: too many wait already; says when it may be worth trying again.
        """
        if self._free.locked() and self.waiting >= self._most_waiting:
            raise OverloadedError(
                f"{self.running} requests are being answered and {self.waiting} are waiting, which is as many as this "
                "server takes; try again later",
                retry_after=self.retry_after(),
            )
        self.waiting += 1
        try:
            await self._free.acquire()
        finally:
            self.waiting -= 1
        self.running += 1
        begin = time.monotonic()
        try:
            yield
        finally:
            self.running -= 1
            self._free.release()
            self._seconds += _WEIGHT * (time.monotonic() - begin - self._seconds)

    def retry_after(self) -> int:
        """Whole seconds until the requests before have probably been answered."""
        seconds = self._seconds * (self.waiting + self.running) / self._most_running
        return max(1, min(_LONGEST_WAIT_S, math.ceil(seconds)))
