"""Planning within limits: how much effort an answer can afford if every call costs as much as it can.

What is planned is what is begun; each call is held to the limits by itself (`smcs.strategies._ledger`). So a plan may
guess where it cannot know: how long the references will be that an aggregation has to read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from smcs.config import SMCSSettings
from smcs.errors import BudgetError
from smcs.pool.budget import NOTHING, Cost, price
from smcs.prompts import aggregation_messages
from smcs.strategies._calls import Calls
from smcs.strategies._collect import Ask, messages_to, reference_sampling
from smcs.strategies._parts import Turn
from smcs.types import Request

_READ_AS = 2
"""Tokens that a token of a reference is taken to be in another LLM's prompt."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How many referencers, and how many aggregations; none of these where the best referencer answers alone."""

    referencers: int
    aggregations: int


def lesser(k: int, n: int) -> Iterator[Effort]:
    """All efforts up to k referencers and n aggregations that are worth making, the full one first.

    First fewer referencers, down to half of them; then fewer aggregations; then the other half of the referencers; in
    the end the best one alone.
    """
    half = min(k, max(2, (k + 1) // 2))
    for fewer in range(k, half, -1):
        yield Effort(fewer, n)
    for fewer in range(n, 0, -1):
        yield Effort(half, fewer)
    for fewer in range(half - 1, 1, -1):
        yield Effort(fewer, 1)
    yield Effort(1, 0)


def affordable(efforts: Iterator[Effort], cost: Callable[[Effort], Cost], fits: Callable[[Cost], bool]) -> Effort:
    """The first effort whose cost fits; none at all where not even the last one's does."""
    return next((effort for effort in efforts if fits(cost(effort))), Effort(0, 0))


@dataclass(frozen=True, slots=True)
class Worst:
    """What the calls of one answer can cost.

    Args:
        calls: of the answer.
        turn: what is asked.
        settings: prompts and sampling.
    """

    calls: Calls
    turn: Turn
    settings: SMCSSettings

    def reference(self, ask: Ask) -> Cost:
        """One referencer's references."""
        llm = self.calls.pool[ask.llm]
        sampling = reference_sampling(self.turn.for_references, ask.llm, self.settings)
        request = Request(messages_to(self.turn.for_references, self.settings), sampling, n=ask.samples)
        return llm.worst(self.calls.ledger.bounded(llm, request))

    def aggregation(self, aggregator: str, references: Sequence[str]) -> Cost:
        """One aggregation of references by these LLMs, if they are as long as they may be."""
        llm, pool = self.calls.pool[aggregator], self.calls.pool
        own = self.settings.aggregation_sampling.to_sampling()
        sampling = self.settings.sampling.to_sampling().overridden_by(own)
        messages = aggregation_messages(
            self.turn.question, [], history=self.turn.history, system=self.settings.aggregator_prompt
        )
        worst = llm.worst(self.calls.ledger.bounded(llm, Request(messages, sampling)), keep_system=True)
        limits = [pool[n].settings.sampling.max_tokens or self.settings.sampling.max_tokens or 0 for n in references]
        read = sum(_READ_AS * limit for limit in limits)
        if llm.info.context_length is not None:
            read = max(0, min(read, llm.info.context_length - worst.tokens))
        return worst + Cost(price(llm.info, read, 0) or 0.0, read)


def within_limits(
    worst: Worst,
    asks: Sequence[Ask],
    efforts: Iterator[Effort],
    later: Callable[[Effort, Sequence[Ask]], Cost],
) -> tuple[list[Ask], bool]:
    """Whom to ask, and whether to aggregate, as far as the limits allow in the worst case; cuts are noted.

    Args:
        worst: what calls cost.
        asks: the referencers, best first. A single one with several samples is asked for fewer of them.
        efforts: to choose among, the full one first.
        later: what follows the references at an effort, and costs.

    Raises:
        BudgetError: the limits leave no room for a single reference.
    """
    ledger = worst.calls.ledger
    if not ledger.counts:
        return list(asks), True
    fits = ledger.budget.fits

    def cost(effort: Effort) -> Cost:
        some = _some(asks, effort.referencers)
        begin = later(effort, some) if effort.aggregations else NOTHING
        return sum((worst.reference(ask) for ask in some), begin)

    effort = affordable(efforts, cost, fits)
    total = sum(ask.samples for ask in asks)
    if not effort.referencers:
        single = next((ask for ask in asks if fits(worst.reference(replace(ask, samples=1)))), None)
        if single is None:
            raise BudgetError(f"the limits leave no room for a single call: {_needs(worst, asks)}")
        ledger.cut(f"{single.llm} answers alone: the limits leave no room for more, nor for a better referencer")
        return [replace(single, samples=1)], False
    some = _some(asks, effort.referencers)
    if not effort.aggregations:
        ledger.cut(f"{some[0].llm}, the best referencer, answers alone: the limits leave no room for aggregation")
        return some, False
    if effort.referencers < total:
        ledger.cut(f"{effort.referencers} of {total} references: the limits leave no room for more in the worst case")
    ledger.set_aside = later(Effort(effort.referencers, 1), some)
    return some, True


def _some(asks: Sequence[Ask], count: int) -> list[Ask]:
    """The first so many references of those that are to be asked for."""
    some: list[Ask] = []
    for ask in asks:
        samples = min(ask.samples, count)
        if samples:
            some.append(replace(ask, samples=samples))
        count -= samples
    return some


def _needs(worst: Worst, asks: Sequence[Ask]) -> str:
    """What the cheapest reference needs, in words."""
    limits = worst.calls.ledger.limits
    costs = [worst.reference(replace(ask, samples=1)) for ask in asks]
    words = []
    if limits.tokens is not None:
        words.append(f"a reference can take {min(c.tokens for c in costs)} tokens, where {limits.tokens} are allowed")
    if limits.usd is not None:
        words.append(f"a reference can cost {min(c.usd for c in costs):.6f} dollars, where {limits.usd:g} are allowed")
    return "; ".join(words) or f"{limits.calls} calls are allowed"
