"""A trace is asked again with other settings, and only what is new is paid for."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from smcs.protocols import Progress
from smcs.server.call_cache import CallCache, cache_path, forget, open_call_cache
from smcs.server.living import LivingHouse
from smcs.server.metrics import Metrics
from smcs.server.recorder import Recorder
from smcs.server.service import Ask, Served, Service
from smcs.server.settings import ServerSettings
from smcs.server.traces import TracesError, TraceStore, UnknownTraceError, open_traces
from smcs.types import Completion, Message, Output, Question, Request

QUESTION = "What is 2 plus 3?"


class Replaying:
    """A service that keeps traces and calls, and counts the samples that its LLMs are really asked for."""

    def __init__(self, house: LivingHouse, store: TraceStore) -> None:
        self.samples = 0
        self.store = store
        self.service = Service(house, ServerSettings(), store)
        self.metrics = Metrics(self.service)
        self.service.watchers.append(Recorder(house, store, [self.metrics]))
        for llm in house.system.pool:
            self._count(llm.llm)

    def _count(self, llm: Any) -> None:
        complete = llm.complete

        async def counted(request: Request, progress: Progress) -> Sequence[Completion]:
            self.samples += request.n
            answered: Sequence[Completion] = await complete(request, progress)
            return answered

        llm.complete = counted

    async def ask(self, **ask: Any) -> Served:
        return await self.service.answer(Ask(Question(QUESTION), **ask))

    async def record_of(self, served: Served) -> dict[str, Any]:
        await self.service.aclose()  # until all that was answered is stored
        record = await self.store.get(served.id)
        assert record is not None
        return record

    async def replay_of(self, served: Served) -> dict[str, Any]:
        replay: dict[str, Any] = (await self.record_of(served))["replay"]
        return replay


@asynccontextmanager
async def replayer(world: Any, level: Any = "full") -> AsyncIterator[Replaying]:
    store = await open_traces(world.folder / "t.sqlite", level)
    assert store is not None
    cache = await open_call_cache(store.path)
    assert cache is not None
    async with store:
        house = await LivingHouse.open(world.sources, cache=cache)
        replaying = Replaying(house, store)
        yield replaying
        await replaying.service.aclose()
        await house.aclose()


async def test_a_replay_pays_only_for_what_is_new(world: Any) -> None:
    async with replayer(world) as it:
        first = await it.ask(seed=5)
        assert it.samples == 7
        same = await it.service.replay(first.id)
        assert same.answer.text == first.answer.text
        assert same.answer.trace.subsets == first.answer.trace.subsets
        assert it.samples == 7, "nothing was asked again"
        assert await it.replay_of(same) == {
            "of": first.id,
            "reused": 7,
            "made": 0,
            "prompt_tokens": 0,
            "completion_tokens": 0,
            "cost_usd": 0.0,
        }
        scored = await it.service.replay(first.id, {"posterior": "similarity"})
        assert it.samples == 7
        assert scored.answer.trace.aggregations[0].perplexity is None or scored.answer.trace.winner is not None
        more = await it.service.replay(first.id, {"n_aggregations": 6})
        told = await it.replay_of(more)
        assert told["made"] == it.samples - 7 > 0
        assert told["reused"] + told["made"] == 9
        assert told["reused"] >= 3, "the references at least"
        assert told["completion_tokens"] > 0
        before = it.samples
        chained = await it.service.replay(more.id)
        assert it.samples == before
        assert chained.answer.text == more.answer.text
        other = await it.service.replay(first.id, strategy="majority")
        assert other.answer.trace.aggregations == ()
        assert it.samples == before, "its votes are the references"
        assert (await it.replay_of(other))["made"] == 0
        value = it.metrics.registry.get_sample_value
        assert value("smcs_replayed_samples_total", {"source": "llm"}) == it.samples - 7
        assert value("smcs_cost_usd_total", {"strategy": "majority"}) == 0
        assert value("smcs_calls_total", {"strategy": "smcs"}) == first.answer.usage.calls, "replays add none"


async def test_ordinary_requests_are_never_answered_from_the_cache(world: Any) -> None:
    async with replayer(world) as it:
        await it.ask(seed=5)
        await it.ask(seed=5)
        assert it.samples == 14


async def test_all_that_was_asked_comes_again(world: Any) -> None:
    async with replayer(world) as it:
        question = Question(QUESTION, system="Be brief.", output=Output(max_tokens=50, stop=("END",)))
        history = (Message("user", "hello"), Message("assistant", "hello"))
        first = await it.service.answer(Ask(question, history, seed=3, strategy="single:llm=two", settings={"k": 2}))
        again = await it.service.replay(first.id)
        assert again.answer.text == first.answer.text
        assert it.samples == 1
        record = await it.record_of(again)
        assert (record["source"], record["strategy"], record["settings"]) == ("replay", "single:llm=two", {"k": 2})


async def test_what_cannot_be_replayed_says_why(world: Any) -> None:
    async with replayer(world, "metadata") as it:
        first = await it.ask()
        with pytest.raises(TracesError, match="no texts"):
            await it.service.replay(first.id)
        with pytest.raises(UnknownTraceError):
            await it.service.replay("smcs-nothing")


async def test_the_cache_is_bounded_private_and_can_be_emptied(world: Any) -> None:
    traces = world.folder / "t.sqlite"
    cache = await open_call_cache(traces, most=10)
    assert isinstance(cache, CallCache)
    cache.keep_out(["sk-secret-1"])
    for i in range(6):
        cache.add([(bytes([i, j] * 16), 0, Completion("one", f"text {i} sk-secret-1")) for j in range(100)])
        await cache._settled()
    assert await open_call_cache(traces) is None, "another server goes on without it"
    path = cache_path(traces)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with sqlite3.connect(path) as db:
        count = "SELECT count(*) FROM calls"
        assert db.execute(count).fetchone()[0] <= 110
        assert db.execute(f"{count} WHERE text LIKE '%secret%'").fetchone() == (0,)
        forget(traces, texts=["text 5 ***"])
        assert db.execute(f"{count} WHERE text LIKE 'text 5%'").fetchone() == (0,)
        forget(traces)
        assert db.execute(count).fetchone() == (0,)
    await cache.aclose()
    assert b"text 5" not in path.read_bytes()
