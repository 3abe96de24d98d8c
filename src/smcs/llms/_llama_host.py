"""Which models are loaded, and which of them computes.

All local LLMs of an event loop share one `Host`. It keeps the memory of all loaded models within a budget, unloading
the one that has been idle longest, and it gives the processor to one model at a time: several that compute at once
take the cores from each other, and each would answer later than if it had waited.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
import weakref
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from smcs.errors import ConfigError, ConnectionFailedError
from smcs.llms._llama_engine import Engine, Spec
from smcs.llms._llama_prefix import Prefixes
from smcs.weights.threads import run_in_thread

_GIB = 1 << 30


@dataclass(eq=False)
class _Loaded:
    """One model's place in the host.

    Attributes:
        engine: None where it is not loaded.
        memory: bytes that it takes, or would.
        owners: LLMs that are made of it.
        leases: calls that are using it.
        used: when the last of them ended.
        prefixes: what its idle sequences begin with.
    """

    spec: Spec
    engine: Engine | None = None
    prefixes: Prefixes = field(default_factory=Prefixes)
    memory: int = 0
    owners: int = 0
    leases: int = 0
    used: float = 0.0


@dataclass(eq=False)
class _Turn:
    """A call that waits for the processor."""

    entry: _Loaded
    slots: int
    exclusive: bool
    ready: asyncio.Future[None]
    since: float = field(default_factory=time.monotonic)


class Host:
    """The loaded models of one event loop."""

    def __init__(self) -> None:
        self._entries: dict[Spec, _Loaded] = {}
        self._loading = asyncio.Lock()
        self._idle = asyncio.Condition()
        self._gate = _Gate()

    def register(self, spec: Spec) -> None:
        """Say that an LLM is made of this model."""
        self._entries.setdefault(spec, _Loaded(spec)).owners += 1

    async def release(self, spec: Spec) -> None:
        """Say that the LLM is closed; the last one frees the model."""
        entry = self._entries.get(spec)
        if entry is None:
            return
        entry.owners -= 1
        if entry.owners <= 0:
            del self._entries[spec]
            await self._unload(entry)

    @contextlib.asynccontextmanager
    async def lease(
        self, spec: Spec, budget: int, on_loading: Callable[[bool], None] = lambda _: None
    ) -> AsyncIterator[Engine]:
        """The loaded model, which stays loaded meanwhile.

        Args:
            spec: which model; it must be registered.
            budget: bytes that all loaded models may take.
            on_loading: told True when it has to be loaded, False when that is over.

        Raises:
            ConfigError: it alone is larger than the budget.
            WeightsError: it cannot be loaded.
        """
        entry = self._entries[spec]
        entry.leases += 1
        try:
            if entry.engine is None:
                on_loading(True)
                try:
                    await self._load(entry, budget)
                finally:
                    on_loading(False)
            assert entry.engine is not None
            yield entry.engine
        finally:
            entry.leases -= 1
            entry.used = time.monotonic()
            async with self._idle:
                self._idle.notify_all()

    @contextlib.asynccontextmanager
    async def compute(self, spec: Spec, slots: int, exclusive: bool) -> AsyncIterator[Prefixes]:
        """The right to compute with so many of the model's parallel sequences, and what the idle ones begin with."""
        entry = self._entries[spec]
        await self._gate.enter(entry, slots, exclusive)
        try:
            yield entry.prefixes
        finally:
            self._gate.leave(entry, slots)

    async def _load(self, entry: _Loaded, budget: int) -> None:
        async with self._loading:
            if entry.engine is not None:
                return
            entry.memory = entry.spec.memory()
            if entry.memory > budget:
                raise ConfigError(
                    f"{entry.spec.path.name} with context_length {entry.spec.context_length} and parallel "
                    f"{entry.spec.parallel} takes about {entry.memory / _GIB:.1f} GiB, and memory_gib allows "
                    f"{budget / _GIB:.1f}; lower these, or raise memory_gib"
                )
            await self._make_room(budget - entry.memory)
            entry.engine = await _loaded(entry.spec)
            if entry.owners <= 0:
                await self._unload(entry)
                raise ConnectionFailedError(f"{entry.spec.path.name} was closed while it was loaded")

    async def _make_room(self, budget: int) -> None:
        """Unload idle models, longest idle first, until the rest takes at most so many bytes."""
        while True:
            loaded = [e for e in self._entries.values() if e.engine is not None]
            if sum(e.memory for e in loaded) <= budget:
                return
            idle = sorted((e for e in loaded if not e.leases), key=lambda e: e.used)
            if idle:
                await self._unload(idle[0])
            else:
                async with self._idle:
                    await self._idle.wait()

    async def _unload(self, entry: _Loaded) -> None:
        engine, entry.engine = entry.engine, None
        entry.prefixes = Prefixes()
        if engine is not None:
            await run_in_thread(lambda _: engine.close(), "smcs-unload")


async def _loaded(spec: Spec) -> Engine:
    """Load in a thread; where the caller gives up meanwhile, what was loaded is freed again."""

    def work(stop: threading.Event) -> Engine:
        engine = Engine(spec)
        if stop.is_set():
            engine.close()
        return engine

    return await run_in_thread(work, "smcs-load")


class _Gate:
    """Gives each model its parallel sequences, and the processor to one model at a time.

    Calls to the model that computes join it while it has free sequences. Another model's turn comes when it is done,
    or, where calls keep coming, once a call to the other has waited for `patience` seconds: from then on nobody joins.
    """

    patience = 30.0

    def __init__(self) -> None:
        self._waiting: list[_Turn] = []
        self._in_use: dict[_Loaded, int] = {}

    async def enter(self, entry: _Loaded, slots: int, exclusive: bool) -> None:
        turn = _Turn(entry, slots, exclusive, asyncio.get_running_loop().create_future())
        self._waiting.append(turn)
        self._admit()
        try:
            await turn.ready
        except asyncio.CancelledError:
            if turn in self._waiting:
                self._waiting.remove(turn)
                self._admit()  # it may have held up others
            else:
                self.leave(entry, slots)
            raise

    def leave(self, entry: _Loaded, slots: int) -> None:
        self._in_use[entry] -= slots
        if not self._in_use[entry]:
            del self._in_use[entry]
        self._admit()

    def _admit(self) -> None:
        """Let in whoever may compute now, in order of arrival."""
        now = time.monotonic()
        blocked: set[_Loaded] = set()
        for turn in list(self._waiting):
            others = turn.exclusive and any(entry is not turn.entry for entry in self._in_use)
            free = turn.entry.spec.parallel - self._in_use.get(turn.entry, 0)
            if others or turn.entry in blocked or turn.slots > free:
                blocked.add(turn.entry)
                if others and now - turn.since > self.patience:
                    return  # it has waited long enough: nobody overtakes it any more
                continue
            self._waiting.remove(turn)
            self._in_use[turn.entry] = self._in_use.get(turn.entry, 0) + turn.slots
            turn.ready.set_result(None)


def host() -> Host:
    """The host of the running event loop."""
    loop = asyncio.get_running_loop()
    if loop not in _hosts:
        _hosts[loop] = Host()
    return _hosts[loop]


_hosts: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Host] = weakref.WeakKeyDictionary()
