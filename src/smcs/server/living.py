"""The system behind the server, which may be another one from one request to the next.

Pool file and bank are looked at every second. When one has changed, and stopped changing, the system that they make now
is built beside the one that answers, and takes its place when it stands. Requests that have begun end with the system
that they began with; what only the old one used is closed after the last of them. A pool file that cannot be used
changes nothing but `House.problem`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from smcs.errors import SmcsError
from smcs.pool import PooledLLM
from smcs.protocols import Embedder, Observer
from smcs.server.call_cache import CallCache
from smcs.server.configuration import Adopt, Assembled, Mark, Sources, assemble, secrets_of
from smcs.server.house import House
from smcs.system import System

log = logging.getLogger(__name__)

POLL_S = 1.0
_LONGEST_UNREST_S = 10.0
"""A bank that is being evaluated on changes all the time: it is taken up this often meanwhile."""
_TRY_AGAIN_S = 10.0


@dataclass(eq=False, slots=True)
class _Home:
    """One system, and how many requests are at work with it."""

    assembled: Assembled
    leases: int = 0
    retired: bool = False


@dataclass(eq=False, slots=True)
class _Part:
    """An LLM or an embedder, and how many systems it belongs to."""

    part: PooledLLM | Embedder
    systems: int = 0


class LivingHouse(House):
    """A house whose system follows its pool file and bank. Open it with `LivingHouse.open`.

    Args:
        sources: where its systems come from.
        assembled: the first of them.
        mark: of the sources, from before it was assembled.
        observe: told of downloads.
        adopt: what each new LLM is put into.
        cache: that keeps the LLMs' calls, where they are to be; the house closes it.
        poll_s: seconds from one look to the next.
    """

    def __init__(
        self,
        sources: Sources,
        assembled: Assembled,
        mark: Mark,
        *,
        observe: Observer = lambda _: None,
        adopt: Adopt = lambda llm: llm,
        cache: CallCache | None = None,
        poll_s: float = POLL_S,
    ) -> None:
        super().__init__(assembled.system)
        self._cache = cache
        self.sources = sources
        self.generation = 1
        """How many systems there have been."""
        self._observe, self._adopt, self._poll_s = observe, adopt, poll_s
        self._home = _Home(assembled)
        self._parts = {id(part): _Part(part, 1) for part in assembled.parts}
        self._closing: set[asyncio.Task[None]] = set()
        self._refreshing = asyncio.Lock()
        self._told = asyncio.Event()
        self._taken_up = mark

    @classmethod
    async def open(
        cls,
        sources: Sources,
        *,
        observe: Observer = lambda _: None,
        adopt: Adopt = lambda llm: llm,
        cache: CallCache | None = None,
        poll_s: float = POLL_S,
    ) -> Self:
        """Open the first system.

        Raises:
            SmcsError: it cannot be opened (see `System.open`).
        """
        mark = await asyncio.to_thread(sources.mark)
        adopt = cache.adopt if cache else adopt
        assembled = await assemble(sources, None, observe, adopt)
        return cls(sources, assembled, mark, observe=observe, adopt=adopt, cache=cache, poll_s=poll_s)

    @property
    def system(self) -> System:
        """The system of now, for what needs it only for a moment and makes no calls."""
        return self._home.assembled.system

    def keep_out(self, secrets: Sequence[str]) -> None:
        """Let these secrets not be kept, whatever an LLM answers."""
        if self._cache is not None:
            self._cache.keep_out(secrets)

    @property
    def secrets(self) -> Sequence[str]:
        """Keys that the LLMs and the embedder of now are reached with."""
        config = self._home.assembled.config
        return secrets_of([*config.llm, *([config.embedder] if config.embedder else [])])

    @contextlib.asynccontextmanager
    async def lease(self) -> AsyncIterator[System]:
        """The system of now, kept alive until the block ends, whatever takes its place meanwhile."""
        home = self._home
        home.leases += 1
        try:
            yield home.assembled.system
        finally:
            home.leases -= 1
            self._close_if_done(home)

    async def refresh(self) -> bool:
        """Take up what pool file and bank are now.

        Returns:
            Whether they can be used; if not, `problem` says why, and the system is as it was.
        """
        async with self._refreshing:
            mark = await asyncio.to_thread(self.sources.mark)
            before = self._home.assembled
            try:
                now = await assemble(self.sources, before, self._observe, self._adopt)
            except SmcsError as error:
                if self.problem != str(error):
                    log.warning("the changed configuration cannot be used, the former one goes on: %s", error)
                self.problem = str(error)
                self._tell(False)
                return False
            if self.problem is not None:
                log.info("the configuration can be used again")
            self._taken_up, self.problem = mark, None
            if now is not before:
                self._move_to(now)
                log.info("configuration %d: %s", self.generation, _in_words(before, now))
                self._tell(True)
            return True

    def poke(self) -> None:
        """Have the watch look at once, and load whatever is there."""
        self._told.set()

    async def watch(self) -> None:
        """Follow the pool file and the bank until cancelled; SIGHUP makes it look at once."""
        with _on_hangup(self.poke):
            seen, restless_since, failed_at = self._taken_up, 0.0, 0.0
            while True:
                told = await self._pause()
                mark = await asyncio.to_thread(self.sources.mark)
                now = time.monotonic()
                if mark == self._taken_up and self.problem is None and not told:
                    continue
                if mark != seen:
                    seen, failed_at = mark, 0.0
                    restless_since = restless_since or now
                    if now - restless_since < _LONGEST_UNREST_S and not told:
                        continue  # somebody is still writing
                elif failed_at and now - failed_at < _TRY_AGAIN_S and not told:
                    continue
                restless_since = 0.0
                failed_at = 0.0 if await self._refreshed() else time.monotonic()

    async def aclose(self) -> None:
        """Free everything, also what requests are still using."""
        parts, self._parts = self._parts, {}
        await _close([part.part for part in parts.values()])
        await asyncio.gather(*self._closing, return_exceptions=True)
        if self._cache is not None:
            await self._cache.aclose()
            self._cache = None

    async def _refreshed(self) -> bool:
        try:
            return await self.refresh()
        except Exception:  # the watch goes on, whatever happens to one look
            log.exception("a change of configuration could not be taken up")
            return False

    def _tell(self, succeeded: bool) -> None:
        for told in self.on_change:
            told(succeeded)

    async def _pause(self) -> bool:
        """Wait for the next look; whether somebody asked for it."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._poll_s):
                await self._told.wait()
        told = self._told.is_set()
        self._told.clear()
        return told

    def _move_to(self, assembled: Assembled) -> None:
        old, self._home = self._home, _Home(assembled)
        self.generation += 1
        for part in assembled.parts:
            self._parts.setdefault(id(part), _Part(part)).systems += 1
        old.retired = True
        self._close_if_done(old)

    def _close_if_done(self, home: _Home) -> None:
        """Close what only this system used, once its last request is done."""
        if not home.retired or home.leases:
            return
        gone: list[PooledLLM | Embedder] = []
        for part in home.assembled.parts:
            kept = self._parts.get(id(part))
            if kept is None:  # the house is closed, and so is this
                continue
            kept.systems -= 1
            if not kept.systems:
                del self._parts[id(part)]
                gone.append(part)
        task = asyncio.create_task(_close(gone))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


async def _close(parts: list[PooledLLM | Embedder]) -> None:
    for outcome in await asyncio.gather(*(part.aclose() for part in parts), return_exceptions=True):
        if isinstance(outcome, BaseException):
            log.warning("a part of a former configuration could not be closed: %s", outcome)


@contextlib.contextmanager
def _on_hangup(call: Callable[[], None]) -> Iterator[None]:
    """Have SIGHUP call this meanwhile, where the system has such a signal and this is the main thread."""
    loop = asyncio.get_running_loop()
    try:
        loop.add_signal_handler(signal.SIGHUP, call)
    except (AttributeError, NotImplementedError, RuntimeError, ValueError):
        yield
        return
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)


def _in_words(before: Assembled, now: Assembled) -> str:
    """What has changed, for the log."""
    old, new = set(before.llms), set(now.llms)
    changed = {name for name in old & new if before.llms[name] is not now.llms[name]}
    said = [
        f"{what} {', '.join(sorted(names))}"
        for what, names in (("added", new - old), ("removed", old - new), ("changed", changed))
        if names
    ]
    if now.bank is not before.bank:
        said.append(f"the bank has {len(now.bank)} questions and {len(now.bank.llms)} LLMs")
    return "; ".join(said) or "settings changed"
