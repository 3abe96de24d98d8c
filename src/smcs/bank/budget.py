"""Budgets that are never exceeded: a call starts only if the worst that all running ones can cost still fits."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one call: money, and tokens of prompt and answer."""

    usd: float = 0.0
    tokens: int = 0


class Budget:
    """What a run may spend. Used from one event loop.

    Args:
        usd: most US dollars; None for no limit.
        tokens: most tokens, prompts included; None for no limit.
    """

    def __init__(self, usd: float | None = None, tokens: int | None = None) -> None:
        self._usd, self._tokens = usd, tokens
        self._spent_usd, self._spent_tokens = 0.0, 0
        self._reserved_usd, self._reserved_tokens = 0.0, 0
        self._running = 0
        self._changed = asyncio.Event()
        self.exhausted = False

    async def reserve(self, worst: Cost) -> bool:
        """Set aside the worst that a call can cost; waits where running calls may leave enough when they end.

        Returns:
            False: it does not fit, whatever the running calls cost.
        """
        while not self._fits(worst):
            if self._running == 0:
                self.exhausted = True
                return False
            self._changed.clear()
            await self._changed.wait()
        self._reserved_usd += worst.usd
        self._reserved_tokens += worst.tokens
        self._running += 1
        return True

    def settle(self, worst: Cost, actual: Cost) -> None:
        """Put what a call did cost in the place of what was set aside for it."""
        self._running -= 1
        self._reserved_usd = self._reserved_usd - worst.usd if self._running else 0.0
        self._reserved_tokens -= worst.tokens
        self._spent_usd += actual.usd
        self._spent_tokens += actual.tokens
        self._changed.set()

    def _fits(self, worst: Cost) -> bool:
        usd = self._spent_usd + self._reserved_usd + worst.usd
        tokens = self._spent_tokens + self._reserved_tokens + worst.tokens
        return (self._usd is None or usd <= self._usd or worst.usd == 0) and (
            self._tokens is None or tokens <= self._tokens
        )
