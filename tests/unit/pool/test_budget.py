from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from smcs.pool.budget import Budget, Cost


@given(
    st.integers(0, 1000),
    st.lists(st.tuples(st.integers(1, 100), st.floats(0, 1)), max_size=30),
    st.integers(1, 8),
)
def test_whatever_calls_cost_the_budget_is_never_exceeded(
    limit: int, calls: list[tuple[int, float]], workers: int
) -> None:
    spent = 0

    async def run() -> None:
        budget = Budget(tokens=limit)
        waiting = iter(calls)

        async def work() -> None:
            nonlocal spent
            for most, share in waiting:
                worst = Cost(tokens=most)
                if not await budget.reserve(worst):
                    return
                await asyncio.sleep(0)
                actual = int(most * share)
                spent += actual
                assert spent <= limit
                budget.settle(worst, Cost(tokens=actual))

        await asyncio.wait_for(asyncio.gather(*(work() for _ in range(workers))), 10)

    asyncio.run(run())


async def test_a_call_waits_for_what_running_ones_leave() -> None:
    budget = Budget(usd=1.0)
    assert await budget.reserve(Cost(usd=0.9))
    second = asyncio.create_task(budget.reserve(Cost(usd=0.5)))
    await asyncio.sleep(0)
    assert not second.done()
    budget.settle(Cost(usd=0.9), Cost(usd=0.4))
    assert await second
    budget.settle(Cost(usd=0.5), Cost(usd=0.5))
    assert not await budget.reserve(Cost(usd=0.2))
    assert await budget.reserve(Cost(usd=0.1))


async def test_what_costs_nothing_always_fits_a_budget_of_money() -> None:
    budget = Budget(usd=0.0)
    assert await budget.reserve(Cost(tokens=100))
    assert not await Budget(tokens=99).reserve(Cost(tokens=100))


async def test_without_limits_everything_fits() -> None:
    assert await Budget().reserve(Cost(1e9, 10**12))
