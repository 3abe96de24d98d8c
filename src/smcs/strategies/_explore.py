"""References and aggregations, on the method's schedule.

All references are asked for at once. The aggregation of a subset starts the moment its own references are in, so a
straggler that a subset has dropped does not delay it. Equal subsets are one request with several samples. With adaptive
effort, aggregation waits until it is known whether it is needed, and then goes in waves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from smcs.config import SMCSSettings
from smcs.strategies._adaptive import Adaptive
from smcs.strategies._aggregate import Aggregating
from smcs.strategies._calls import Calls, Made, Stop
from smcs.strategies._collect import hasten, is_in, reference
from smcs.strategies._parts import Turn
from smcs.types import Aggregation, Completion, Failure, Reference


@dataclass(frozen=True, slots=True)
class Plan:
    """What is known before any reference is in.

    Attributes:
        referencers: names, best prior first.
        prior: their priors.
        distribution: what the kept references were drawn from [Equation 6].
        subsets: the n subsets in draw order, each best prior first; none where the best reference is the answer.
        aggregator: name.
    """

    referencers: tuple[str, ...]
    prior: tuple[float, ...]
    distribution: tuple[float, ...]
    subsets: tuple[tuple[str, ...], ...]
    aggregator: str


@dataclass(frozen=True, slots=True)
class Explored:
    """What came of a plan. Failures are in their place, typed.

    Attributes:
        references: in the order of the plan.
        aggregations: in draw order.
        notes: what differed from the plan.
        chosen: the reference that is the answer, where aggregation was not needed.
    """

    references: tuple[Reference, ...]
    aggregations: tuple[Aggregation, ...]
    notes: list[str]
    chosen: int | None = None


async def explore(
    calls: Calls, plan: Plan, settings: SMCSSettings, turn: Turn, adaptive: Adaptive | None = None
) -> Explored:
    """Collect the references and aggregate each subset. A reference that no subset kept is not waited for."""
    exploring = _Exploring(calls, plan, settings, turn, adaptive)
    async with asyncio.TaskGroup() as group:
        references = {
            name: group.create_task(exploring.reference(name, index), name=f"reference {name}")
            for index, name in enumerate(plan.referencers)
        }
        half = calls.ledger.part_of_time(0.5) if plan.subsets else None
        hurry = group.create_task(hasten(list(references.values()), half, exploring.stop, is_in))
        chosen = await exploring.agreed(references)
        made = [] if chosen is not None else await exploring.waves(group, references)
        if not plan.subsets:
            await asyncio.wait(references.values())
        exploring.stop.now("cancelled", "no subset kept this reference, and it was not in when the aggregations were")
        hurry.cancel()
    return Explored(
        tuple(
            _outcome(name, prior, references[name]) for name, prior in zip(plan.referencers, plan.prior, strict=True)
        ),
        exploring.all_of_plan(made),
        exploring.notes,
        chosen,
    )


class _Exploring:
    """The calls of one plan."""

    def __init__(self, calls: Calls, plan: Plan, settings: SMCSSettings, turn: Turn, adaptive: Adaptive | None) -> None:
        self._calls = calls
        self._plan = plan
        self._settings = settings
        self._turn = turn
        self._adaptive = adaptive
        # Where nothing is aggregated, the reference is the answer, with all that is wanted of it.
        self._asked = turn.for_references if plan.subsets else turn
        self._aggregating = Aggregating(calls, turn, settings, logprobs=settings.needs_logprobs)
        self.notes = self._aggregating.notes
        self.stop = Stop()

    async def reference(self, name: str, index: int) -> Made:
        return await reference(self._calls, self._asked, self._settings, name, (index,), stop=self.stop)

    async def agreed(self, references: Mapping[str, asyncio.Task[Made]]) -> int | None:
        """Which reference is the answer without aggregation, because they agree; None where they do not."""
        if self._adaptive is None or not self._plan.subsets:
            return None
        chosen = await self._adaptive.agreed(list(references.values()))
        if chosen is not None:
            self.stop.now("not_needed", "the references that were in agreed")
        return chosen

    async def waves(
        self, group: asyncio.TaskGroup, references: Mapping[str, asyncio.Task[Made]]
    ) -> list[tuple[int, Aggregation]]:
        """Aggregations with their places in draw order: all at once, or as many as turn out to be needed."""
        subsets = self._plan.subsets
        made: list[tuple[int, Aggregation]] = []
        for wave in self._adaptive.waves(subsets) if self._adaptive else [list(range(len(subsets)))]:
            if self._adaptive and made:
                in_order = [aggregation for _, aggregation in sorted(made, key=lambda item: item[0])]
                if await self._adaptive.settled(in_order, len(subsets)):
                    break
            distinct = dict.fromkeys(subsets[i] for i in wave)
            tasks = [group.create_task(self._aggregate(subset, references)) for subset in distinct]
            made += [item for task in tasks for item in await task]
        return made

    async def _aggregate(
        self, subset: tuple[str, ...], references: Mapping[str, asyncio.Task[Made]]
    ) -> list[tuple[int, Aggregation]]:
        """Aggregate one subset, as often as it was drawn, once its own references are in."""
        indices = tuple(i for i, drawn in enumerate(self._plan.subsets) if drawn == subset)
        await asyncio.wait([references[name] for name in subset])
        made = {name: references[name].result() for name in subset}
        present = [(name, one.results[0]) for name, one in made.items()]
        aggregations, _ = await self._aggregating.aggregate(
            self._plan.aggregator,
            subset,
            [(name, result) for name, result in present if isinstance(result, Completion)],
            indices,
            after=max(one.ends for one in made.values()),
        )
        return list(zip(indices, aggregations, strict=True))

    def all_of_plan(self, made: Sequence[tuple[int, Aggregation]]) -> tuple[Aggregation, ...]:
        """Each aggregation of the plan, with those that were not needed as such."""
        by_index = dict(made)
        reason = "the answer was settled without it"
        missing = Failure(self._plan.aggregator, "not_needed", reason, attempts=0, charged=False)
        return tuple(
            by_index.get(i, Aggregation(subset, failure=missing)) for i, subset in enumerate(self._plan.subsets)
        )


def _outcome(name: str, prior: float, task: asyncio.Task[Made]) -> Reference:
    """A referencer's part in the trace."""
    (result,) = task.result().results
    if isinstance(result, Failure):
        return Reference(name, prior, failure=result)
    return Reference(name, prior, completion=result)
