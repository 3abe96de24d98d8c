"""What the server serves: a system (pool, bank, embedder) that requests borrow."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from smcs.server.configuration import secrets_of
from smcs.system import System


class House:
    """Lends the system to requests. `smcs.server.living.LivingHouse` follows changes of pool file and bank.

    Args:
        system: open; the house closes it.

    Attributes:
        problem: why the pool file or bank as it is now is not in use; None where it is.
        on_change: each told, after an attempt to take up a change, whether it succeeded.
    """

    def __init__(self, system: System) -> None:
        self._system = system
        self.problem: str | None = None
        self.on_change: list[Callable[[bool], None]] = []

    @property
    def system(self) -> System:
        """The system as it is now, for what needs it only for a moment and makes no calls."""
        return self._system

    @property
    def secrets(self) -> Sequence[str]:
        """Keys that the LLMs are reached with, so that they can be kept out of what is stored."""
        return secrets_of([llm.settings for llm in self.system.pool])

    def keep_out(self, secrets: Sequence[str]) -> None:
        """Let these secrets not be kept. This house keeps nothing."""

    async def watch(self) -> None:
        """Follow changes until cancelled. This house's system never changes."""

    @asynccontextmanager
    async def lease(self) -> AsyncIterator[System]:
        """Borrow the system for one request: it stays open until it is given back."""
        yield self._system

    async def aclose(self) -> None:
        """Close the system."""
        await self._system.aclose()
