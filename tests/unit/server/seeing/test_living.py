"""Pool file and bank change under a house: what is taken up, what is kept, what is closed, what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from smcs.pool import PooledLLM
from smcs.server.living import LivingHouse
from smcs.types import CallUpdate, Event


class Closed(list[str]):
    """Adopts LLMs, and remembers which of them were closed."""

    def adopt(self, llm: PooledLLM) -> PooledLLM:
        close = llm.llm.aclose

        async def aclose() -> None:
            self.append(llm.name)
            await close()

        llm.llm.aclose = aclose  # type: ignore[method-assign]
        return llm


@asynccontextmanager
async def living(world: Any, closed: Closed | None = None, **options: Any) -> AsyncIterator[LivingHouse]:
    house = await LivingHouse.open(world.sources, adopt=(Closed() if closed is None else closed).adopt, **options)
    try:
        yield house
    finally:
        await house.aclose()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


async def test_an_llm_more_and_one_less_and_the_rest_stay_as_they_are(world: Any) -> None:
    closed = Closed()
    async with living(world, closed) as house:
        before = house.system
        world.write_pool(world.llm("two"), world.llm("three"), world.llm("four"), world.llm("five"))
        assert await house.refresh()
        assert house.system.pool.names == ["two", "three", "four", "five"]
        assert house.system.pool["two"] is before.pool["two"], "what it has loaded, and its limits, go on"
        assert house.system.embedder is before.embedder
        assert house.system.bank is before.bank
        answer = await house.system.ask("What is 2 plus 3?")
        assert answer.trace.prior.keys() == {"two", "three", "four", "five"}
        await until(lambda: closed == ["one"])
    assert sorted(closed) == ["five", "four", "one", "three", "two"]


async def test_a_request_ends_with_the_system_that_it_began_with(world: Any) -> None:
    closed, held = Closed(), asyncio.Event()
    world.write_pool(*(world.llm(name, latency_s=0.2) for name in ("one", "two", "three")))
    async with living(world, closed) as house:

        async def ask() -> str:
            async with house.lease() as system:

                def observe(event: Event) -> None:
                    if isinstance(event, CallUpdate):
                        held.set()

                return (await system.ask("What is 2 plus 3?", observe=observe)).text

        asking = asyncio.create_task(ask())
        await held.wait()
        world.write_pool(*(world.llm(name) for name in ("four", "five", "six")))
        assert await house.refresh()
        assert not closed, "they are in use"
        async with house.lease() as system:
            assert system.pool.names == ["four", "five", "six"]
        assert "answer is" in await asking
        await until(lambda: sorted(closed) == ["one", "three", "two"])


SIMULATED = '[[llm]]\nname = "x"\nbackend = "simulated"\n'
REMOTE = '[[llm]]\nname = "x"\nbackend = "openai"\nmodel = "m"\nbase_url = "http://127.0.0.1:1/v1"\n'
TFIDF = '[embedder]\nbackend = "tfidf"\n'


@pytest.mark.parametrize(
    ("pool", "said"),
    [
        ("[[llm]]\nname = ", "not TOML"),
        (SIMULATED.replace("ated", "atd"), "simulated"),
        (f"{SIMULATED}{TFIDF}[smcs]\nk = 3\n", "k = 3"),
        (f'{REMOTE}api_key_env = "NONE"\n', "NONE"),
    ],
    ids=["not TOML", "no such backend", "too few LLMs", "no key"],
)
async def test_a_pool_file_that_cannot_be_used_changes_nothing(world: Any, pool: str, said: str) -> None:
    closed, told = Closed(), list[bool]()
    async with living(world, closed) as house:
        house.on_change.append(told.append)
        before = house.system
        world.pool.write_text(pool)
        assert not await house.refresh()
        assert said in str(house.problem)
        assert house.system is before
        assert closed in ([], ["x"]), "what was begun is taken back, what is used is not touched"
        world.write_pool(*(world.llm(name) for name in ("one", "two", "three")))
        assert await house.refresh()
        assert house.problem is None
        assert house.system is before, "it is what it was"
        assert told == [False]
        assert "answer is" in (await house.system.ask("What is 2 plus 3?")).text


async def test_what_is_added_to_the_bank_counts(world: Any) -> None:
    more = world.folder / "more.jsonl"
    more.write_text('{"id": "m", "question": "What is 90 plus 9?", "answer": "99", "grader": "numeric"}\n')
    world.write_pool(*(world.llm(name) for name in ("one", "two", "three", "four")))
    async with living(world) as house:
        first = house.system
        await asyncio.to_thread(
            world.smcs, "bank", "add", str(world.bank), "--from", str(more), "--pool", str(world.pool), "-q"
        )
        assert await house.refresh()
        second = house.system
        assert len(second.bank) == len(first.bank) + 1
        assert second.pool["one"] is first.pool["one"]
        assert not second.bank.select(["four"]).observed.any()
        await asyncio.to_thread(world.evaluate, "four")
        assert await house.refresh()
        assert house.system.bank.select(["four"]).observed.all()


async def test_the_watch_takes_up_changes_by_itself_and_survives_bad_ones(world: Any) -> None:
    async with living(world, poll_s=0.01) as house:
        watch = asyncio.create_task(house.watch())
        try:
            world.write_pool(*(world.llm(name) for name in ("one", "two", "four")))
            await until(lambda: house.system.pool.names == ["one", "two", "four"])
            world.pool.write_text("nonsense")
            await until(lambda: house.problem is not None)
            world.write_pool(*(world.llm(name) for name in ("one", "two", "five")))
            await until(lambda: house.system.pool.names == ["one", "two", "five"])
            assert house.problem is None
            world.pool.unlink()
            await until(lambda: "no pool file" in str(house.problem))
            assert house.system.pool.names == ["one", "two", "five"]
        finally:
            watch.cancel()


async def test_closing_the_house_closes_everything_once(world: Any) -> None:
    closed = Closed()
    async with living(world, closed) as house, house.lease():
        world.write_pool(*(world.llm(name) for name in ("one", "two", "four")))
        await house.refresh()
        await house.aclose()
        assert sorted(closed) == ["four", "one", "three", "two"]
    assert len(closed) == 4
