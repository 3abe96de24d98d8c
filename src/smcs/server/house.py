"""What the server serves: a system (pool, bank, embedder) that requests borrow."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from smcs.system import System


class House:
    """Lends the system to requests.

    Args:
        system: open; the house closes it.
    """

    def __init__(self, system: System) -> None:
        self._system = system

    @property
    def system(self) -> System:
        """The system as it is now, for what needs it only for a moment and makes no calls."""
        return self._system

    @asynccontextmanager
    async def lease(self) -> AsyncIterator[System]:
        """Borrow the system for one request: it stays open until it is given back."""
        yield self._system

    async def aclose(self) -> None:
        """Close the system."""
        await self._system.aclose()
