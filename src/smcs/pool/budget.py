"""Budgets that are never exceeded: a call starts only if the worst that all running ones can cost still fits."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass

from smcs.types import LLMInfo, Message, Output

_TOKENS_AROUND_A_MESSAGE = 16


@dataclass(frozen=True, slots=True)
class Cost:
    """Of some calls: money, tokens of prompts and answers, and how many requests they are."""

    usd: float = 0.0
    tokens: int = 0
    calls: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.usd + other.usd, self.tokens + other.tokens, self.calls + other.calls)

    def times(self, count: int) -> Cost:
        """So many of these."""
        return Cost(self.usd * count, self.tokens * count, self.calls * count)


NOTHING = Cost()


class Budget:
    """What may be spent. Used from one event loop.

    Args:
        usd: most US dollars; None for no limit.
        tokens: most tokens, prompts included; None for no limit.
        calls: most requests; None for no limit.
    """

    def __init__(self, usd: float | None = None, tokens: int | None = None, calls: int | None = None) -> None:
        self._usd, self._tokens, self._calls = usd, tokens, calls
        self._reserved_usd = 0.0
        self._reserved_tokens = self._reserved_calls = 0
        self._running = 0
        self._changed = asyncio.Event()
        self.spent = NOTHING
        self.exhausted = False

    @property
    def running(self) -> int:
        """How many reservations there are."""
        return self._running

    def fits(self, worst: Cost) -> bool:
        """Whether this can be spent beside all that is set aside."""
        usd = self.spent.usd + self._reserved_usd + worst.usd
        tokens = self.spent.tokens + self._reserved_tokens + worst.tokens
        calls = self.spent.calls + self._reserved_calls + worst.calls
        return (
            (self._usd is None or usd <= self._usd or worst.usd == 0)
            and (self._tokens is None or tokens <= self._tokens or worst.tokens == 0)
            and (self._calls is None or calls <= self._calls or worst.calls == 0)
        )

    def reserve_now(self, worst: Cost) -> bool:
        """Set aside the worst that a call can cost, where that fits."""
        if not self.extend(worst):
            return False
        self._running += 1
        return True

    def extend(self, more: Cost, *, beside: Cost = NOTHING) -> bool:
        """Set aside more for a call that is under way, where that fits.

        Args:
            more: what to add to what was set aside for it.
            beside: what has to be left after that.
        """
        if not self.fits(more + beside):
            return False
        self._reserved_usd += more.usd
        self._reserved_tokens += more.tokens
        self._reserved_calls += more.calls
        return True

    async def reserve(self, worst: Cost) -> bool:
        """The same; waits where running calls may leave enough when they end.

        Returns:
            False: it does not fit, whatever the running calls cost.
        """
        while not self.reserve_now(worst):
            if self._running == 0:
                self.exhausted = True
                return False
            await self.change()
        return True

    async def change(self) -> None:
        """Wait until a call has ended."""
        self._changed.clear()
        await self._changed.wait()

    def settle(self, worst: Cost, actual: Cost) -> None:
        """Put what a call did cost in the place of what was set aside for it."""
        self._running -= 1
        self._reserved_usd = self._reserved_usd - worst.usd if self._running else 0.0
        self._reserved_tokens -= worst.tokens
        self._reserved_calls -= worst.calls
        self.spent += actual
        self._changed.set()


def price(info: LLMInfo, prompt_tokens: int, completion_tokens: int) -> float | None:
    """Price in US dollars; None where it is not known."""
    if info.price_prompt is None or info.price_completion is None:
        return None
    return (prompt_tokens * info.price_prompt + completion_tokens * info.price_completion) / 1e6


def most_tokens(messages: Sequence[Message], output: Output | None = None) -> int:
    """More tokens than these messages can make: no tokenizer makes more of a text than it has bytes.

    Args:
        messages: calls of tools included.
        output: what else the prompt holds: the tools that may be called, and the schema of the answer.
    """
    texts = [m.content for m in messages] + [str(call) + call.id for m in messages for call in m.tool_calls]
    if output is not None:
        also = [*output.tools, *([output.response_format] if output.response_format else [])]
        texts += [json.dumps(part, default=str, ensure_ascii=False, indent=4) for part in also]
    return sum(len(text.encode("utf-8", "replace")) + _TOKENS_AROUND_A_MESSAGE for text in texts)
