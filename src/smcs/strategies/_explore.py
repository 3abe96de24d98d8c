"""References and aggregations, on the method's schedule.

All references are asked for at once. The aggregation of a subset starts the moment its own references are in, so a
straggler that a subset has dropped does not delay it. Equal subsets are one request with several samples.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from smcs.config import SMCSSettings
from smcs.strategies._aggregate import Aggregating
from smcs.strategies._calls import Calls, Made
from smcs.strategies._collect import reference
from smcs.strategies._parts import Turn
from smcs.types import Aggregation, Completion, Failure, Reference


@dataclass(frozen=True, slots=True)
class Plan:
    """What is known before any reference is in.

    Attributes:
        referencers: names, best prior first.
        prior: their priors.
        distribution: what the kept references were drawn from [Equation 6].
        subsets: the n subsets in draw order, each best prior first.
        aggregator: name.
    """

    referencers: tuple[str, ...]
    prior: tuple[float, ...]
    distribution: tuple[float, ...]
    subsets: tuple[tuple[str, ...], ...]
    aggregator: str


async def explore(
    calls: Calls, plan: Plan, settings: SMCSSettings, turn: Turn
) -> tuple[tuple[Reference, ...], tuple[Aggregation, ...], list[str]]:
    """Collect the references and aggregate each subset.

    Returns:
        The references in the order of the plan, the aggregations in draw order, and notes on what differed from the
        plan. Failures are in their place, typed. A reference that no subset kept is not waited for.
    """
    aggregating, asked = Aggregating(calls, turn, settings, logprobs=settings.needs_logprobs), turn.for_references
    async with asyncio.TaskGroup() as group:
        references = {
            name: group.create_task(reference(calls, asked, settings, name, (index,)), name=f"reference {name}")
            for index, name in enumerate(plan.referencers)
        }
        aggregations = [
            group.create_task(_aggregate(aggregating, plan, subset, references), name=f"aggregation {subset}")
            for subset in dict.fromkeys(plan.subsets)
        ]
        done = [item for task in aggregations for item in await task]
        for name, task in references.items():
            if not task.done() and not any(name in subset for subset in plan.subsets):
                task.cancel()
    by_index = dict(done)
    return (
        tuple(
            _outcome(name, prior, references[name]) for name, prior in zip(plan.referencers, plan.prior, strict=True)
        ),
        tuple(by_index[i] for i in range(len(plan.subsets))),
        aggregating.notes,
    )


async def _aggregate(
    aggregating: Aggregating, plan: Plan, subset: tuple[str, ...], references: Mapping[str, asyncio.Task[Made]]
) -> list[tuple[int, Aggregation]]:
    """Aggregate one subset, as often as it was drawn, once its own references are in."""
    indices = tuple(i for i, drawn in enumerate(plan.subsets) if drawn == subset)
    await asyncio.wait([references[name] for name in subset])
    made = {name: references[name].result() for name in subset}
    present = [(name, one.results[0]) for name, one in made.items()]
    aggregations, _ = await aggregating.aggregate(
        plan.aggregator,
        subset,
        [(name, result) for name, result in present if isinstance(result, Completion)],
        indices,
        after=max(one.ends for one in made.values()),
    )
    return list(zip(indices, aggregations, strict=True))


def _outcome(name: str, prior: float, task: asyncio.Task[Made]) -> Reference:
    """A referencer's part in the trace."""
    if task.cancelled():
        reason = "no subset kept this reference, and it was not in when the aggregations were"
        return Reference(name, prior, failure=Failure(name, "cancelled", reason))
    (result,) = task.result().results
    if isinstance(result, Failure):
        return Reference(name, prior, failure=result)
    return Reference(name, prior, completion=result)
