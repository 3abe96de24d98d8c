"""What an answer may still take: its limits, kept call by call.

Before a call the worst that one try of it can cost is set aside; afterwards what it did cost takes that place. A
further try is made only where its own worst fits, too, and a try that failed after tokens may have been generated
counts at its worst: the endpoint may charge for it. So nothing that endpoints do goes over the limits, as long as they
keep to `max_tokens` and to the prices of the pool file.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence

from smcs.errors import CallError
from smcs.pool import PooledLLM
from smcs.pool.budget import NOTHING, Budget, Cost, price
from smcs.pool.outcomes import Result
from smcs.types import NO_LIMITS, Completion, Limits, Request

_TOKENS_WHERE_UNLIMITED = 4096
"""What an answer may have where neither settings nor context limit it, but the answer's cost is limited."""
_SCORING_S = 0.25
"""Calls end so long before the deadline, or a tenth of the time where that is less: to choose among what is in."""


class Ledger:
    """The account of one answer.

    Args:
        limits: what it may take.

    Attributes:
        begin: when it began, by the monotonic clock.
        ends: when its calls have to end, by the same clock; None where time is not limited.
        set_aside: what further tries may not use up, because a later step needs it.
        cuts: what was left out, in words.
    """

    def __init__(self, limits: Limits = NO_LIMITS) -> None:
        self.limits = limits
        self.begin = time.monotonic()
        seconds = limits.seconds
        self.deadline = None if seconds is None else self.begin + seconds
        self.ends = None if seconds is None else self.begin + seconds - min(_SCORING_S, 0.1 * seconds)
        self.budget = Budget(limits.usd, limits.tokens, limits.calls)
        self.set_aside = NOTHING
        self.cuts: list[str] = []

    @property
    def counts(self) -> bool:
        """Whether calls, tokens or dollars are limited."""
        return not (self.limits.calls is None and self.limits.tokens is None and self.limits.usd is None)

    @property
    def limited(self) -> bool:
        """Whether anything is."""
        return self.limits != NO_LIMITS

    def cut(self, what: str) -> None:
        """Note what is left out; the same only once."""
        if what not in self.cuts:
            self.cuts.append(what)

    def part_of_time(self, part: float) -> float | None:
        """When this part of the time is over; None where time is not limited."""
        return None if self.ends is None else self.begin + part * (self.ends - self.begin)

    def unpriced(self, llm: PooledLLM) -> bool:
        """Whether it must not be called, because dollars are limited and its price is not known."""
        return self.limits.usd is not None and price(llm.info, 0, 0) is None

    def bounded(self, llm: PooledLLM, request: Request) -> Request:
        """The request with a limit of what it may generate, which its cost in the worst case needs."""
        if not self.counts or request.sampling.max_tokens or llm.settings.sampling.max_tokens:
            return request
        most = llm.info.context_length or _TOKENS_WHERE_UNLIMITED
        return dataclasses.replace(request, sampling=dataclasses.replace(request.sampling, max_tokens=most))

    async def open(self, llm: PooledLLM, request: Request, *, keep_system: bool) -> Entry | None:
        """Set the worst case of a request aside, for as many of its samples as fit; None where none does.

        Waits where calls that are under way may leave enough for all samples when they end.
        """
        if self.unpriced(llm):
            self.cut(f"{llm.name} is left out: its price is not known, and dollars are limited")
            return None
        while True:
            for n in range(request.n, 0, -1):
                part = dataclasses.replace(request, n=n)
                worst = llm.worst(part, keep_system=keep_system)
                if self.budget.reserve_now(worst):
                    return Entry(self, llm, part, worst)
                if self.budget.running:  # perhaps all of them fit later
                    break
            if not self.budget.running:
                return None
            await self.budget.change()


class Entry:
    """What is set aside for one call.

    Args:
        ledger: the answer's.
        llm: who is called.
        request: with as many samples as are paid for.
        worst: what one try of it can cost.
    """

    def __init__(self, ledger: Ledger, llm: PooledLLM, request: Request, worst: Cost) -> None:
        self.request = request
        self._ledger = ledger
        self._llm = llm
        self._worst = worst
        self._lost = NOTHING
        singly = worst.calls > 1
        count = worst.calls if singly else 1
        self._one = Cost(worst.usd / count, worst.tokens // count, 1)
        self._paid_for = worst.calls if singly else 0
        """Requests for single samples that are in `worst` already."""

    def again(self, error: CallError | None) -> bool:
        """Whether another request may be made for this call (see `smcs.protocols.Progress.again`)."""
        if error is None and self._paid_for:
            self._paid_for -= 1
            return True
        if error is not None and not error.charged:
            return True
        # Another try is no call of its own; a sample's own request is.
        more = self._one if error is None else dataclasses.replace(self._one, calls=0)
        if not self._ledger.budget.extend(more, beside=self._ledger.set_aside):
            self._ledger.cut(f"{self._llm.name} was not asked again: the limits leave no room for it")
            return False
        self._worst += more
        if error is not None:
            self._lost += more
        return True

    def close(self, results: Sequence[Result] | None) -> None:
        """Put what the call did cost in the place of what was set aside.

        Args:
            results: of its samples; None where it was cut short, which counts at its worst.
        """
        spent = self._worst if results is None else self._spent(results)
        self._ledger.budget.settle(self._worst, spent)

    def _spent(self, results: Sequence[Result]) -> Cost:
        done = [result for result in results if isinstance(result, Completion)]
        tokens = sum(c.prompt_tokens + c.completion_tokens for c in done)
        spent = Cost(sum(c.cost_usd or 0.0 for c in done), tokens, self._worst.calls) + self._lost
        failed = any(not isinstance(result, Completion) and result.charged for result in results)
        return spent + dataclasses.replace(self._one, calls=0) if failed else spent
