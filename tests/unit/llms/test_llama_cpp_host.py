"""Which models are loaded, and which of them computes; with models that are none."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from smcs.errors import ConfigError, ConnectionFailedError
from smcs.llms import _llama_host
from smcs.llms._llama_engine import Spec
from smcs.llms._llama_host import Host

SIZE = 100


class FakeEngine:
    """Takes the place of a loaded model."""

    loaded: list[str]

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.loaded.append(spec.path.name)

    def close(self) -> None:
        self.loaded.remove(self.spec.path.name)


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the models that are loaded now."""
    now: list[str] = []
    monkeypatch.setattr(FakeEngine, "loaded", now, raising=False)
    monkeypatch.setattr(_llama_host, "Engine", FakeEngine)
    monkeypatch.setattr(Spec, "memory", lambda _: SIZE)
    return now


def spec(name: str, parallel: int = 2) -> Spec:
    return Spec(Path(name), 512, parallel, 1)


async def use(host: Host, which: Spec, budget: int = 10 * SIZE) -> None:
    async with host.lease(which, budget):
        pass


async def test_equal_models_are_loaded_once_and_freed_with_the_last_owner(loaded: list[str]) -> None:
    host = Host()
    for _ in range(2):
        host.register(spec("a"))
    await asyncio.gather(*(use(host, spec("a")) for _ in range(5)))
    assert loaded == ["a"]
    await host.release(spec("a"))
    assert loaded == ["a"]
    await host.release(spec("a"))
    assert loaded == []


async def test_another_context_is_another_model(loaded: list[str]) -> None:
    host = Host()
    other = replace(spec("a"), context_length=1024)
    for one in (spec("a"), other):
        host.register(one)
        await use(host, one)
    assert loaded == ["a", "a"]


async def test_the_longest_idle_makes_room(loaded: list[str]) -> None:
    host = Host()
    for name in "abc":
        host.register(spec(name))
    for name in "aba":
        await use(host, spec(name), 2 * SIZE)
    await use(host, spec("c"), 2 * SIZE)
    assert sorted(loaded) == ["a", "c"]
    told: list[bool] = []
    async with host.lease(spec("b"), 2 * SIZE, told.append):
        assert sorted(loaded) == ["b", "c"]
    assert told == [True, False]


async def test_what_is_in_use_is_never_unloaded(loaded: list[str]) -> None:
    host = Host()
    host.register(spec("a"))
    host.register(spec("b"))
    async with host.lease(spec("a"), SIZE):
        waiting = asyncio.create_task(use(host, spec("b"), SIZE))
        await asyncio.sleep(0.05)
        assert loaded == ["a"]
    await waiting
    assert loaded == ["b"]


async def test_one_larger_than_the_budget_is_refused(loaded: list[str]) -> None:
    host = Host()
    host.register(spec("a"))
    with pytest.raises(ConfigError, match="memory_gib"):
        await use(host, spec("a"), SIZE - 1)
    assert loaded == []


async def test_a_load_that_is_given_up_leaves_nothing_loaded(
    loaded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    host = Host()
    host.register(spec("a"))
    task = asyncio.create_task(use(host, spec("a")))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await use(host, spec("a"))
    await host.release(spec("a"))


async def test_a_model_that_is_closed_while_it_is_loaded_is_freed(loaded: list[str]) -> None:
    host = Host()
    host.register(spec("a"))
    task = asyncio.create_task(use(host, spec("a")))
    await asyncio.sleep(0)
    await host.release(spec("a"))
    with pytest.raises(ConnectionFailedError, match="closed while"):
        await task
    assert loaded == []


class Computing:
    """Calls that compute until they are told to end."""

    def __init__(self, host: Host, *, exclusive: bool = True) -> None:
        self.host = host
        self.exclusive = exclusive
        self.running: list[str] = []
        self._ends: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def begin(self, which: Spec, name: str, slots: int = 1) -> None:
        self._ends[name] = asyncio.Event()
        self._tasks[name] = asyncio.create_task(self._compute(which, name, slots))
        await self._settle()

    async def end(self, name: str) -> None:
        self._ends[name].set()
        await self._settle()

    async def cancel(self, name: str) -> None:
        self._tasks[name].cancel()
        await self._settle()

    async def _compute(self, which: Spec, name: str, slots: int) -> None:
        async with self.host.compute(which, slots, self.exclusive):
            self.running.append(name)
            try:
                await self._ends[name].wait()
            finally:
                self.running.remove(name)

    async def _settle(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)


@pytest.fixture
def host(loaded: list[str]) -> Host:
    made = Host()
    for name in "ab":
        made.register(spec(name))
    return made


async def test_a_model_computes_as_many_sequences_as_it_has(host: Host) -> None:
    calls = Computing(host)
    for name in ("a1", "a2", "a3"):
        await calls.begin(spec("a"), name)
    assert calls.running == ["a1", "a2"]
    await calls.end("a1")
    assert calls.running == ["a2", "a3"]


async def test_one_model_computes_at_a_time(host: Host) -> None:
    calls = Computing(host)
    await calls.begin(spec("a"), "a1")
    await calls.begin(spec("b"), "b1")
    await calls.begin(spec("a"), "a2")
    assert calls.running == ["a1", "a2"]
    await calls.end("a1")
    assert calls.running == ["a2"]
    await calls.end("a2")
    assert calls.running == ["b1"]


async def test_not_exclusive_means_at_once(host: Host) -> None:
    calls = Computing(host, exclusive=False)
    await calls.begin(spec("a"), "a1")
    await calls.begin(spec("b"), "b1")
    assert calls.running == ["a1", "b1"]


async def test_who_has_waited_long_is_not_overtaken(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_llama_host._Gate, "patience", -1.0)
    calls = Computing(host)
    await calls.begin(spec("a"), "a1")
    await calls.begin(spec("b"), "b1")
    await calls.begin(spec("a"), "a2")
    assert calls.running == ["a1"]
    await calls.end("a1")
    assert calls.running == ["b1"]
    await calls.end("b1")
    assert calls.running == ["a2"]


async def test_several_samples_take_several_sequences(host: Host) -> None:
    calls = Computing(host)
    await calls.begin(spec("a"), "a1")
    await calls.begin(spec("a"), "both", slots=2)
    await calls.begin(spec("a"), "a2")
    assert calls.running == ["a1"]  # a2 would fit, but it would keep the larger one waiting for ever
    await calls.end("a1")
    assert calls.running == ["both"]


async def test_a_call_that_gives_up_waiting_lets_the_next_one_pass(host: Host) -> None:
    calls = Computing(host)
    await calls.begin(spec("a"), "a1")
    await calls.begin(spec("a"), "both", slots=2)
    await calls.begin(spec("a"), "a2")
    await calls.cancel("both")
    assert calls.running == ["a1", "a2"]
    await calls.cancel("a1")
    await calls.begin(spec("a"), "a3")
    assert calls.running == ["a2", "a3"]
