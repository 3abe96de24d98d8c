"""What LLMs answered, kept under what they were asked, so that a trace is replayed without paying for it again.

The cache stands beside the traces that hold texts. Ordinary requests only add to it: whoever asks again gets an answer
of its own. A replay reads from it what it can, and asks for the rest. Calls are known by their content (see
`smcs.bank.keys`): the LLM, the messages, the sampling settings, the seed and the sample.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from smcs.errors import SmcsError
from smcs.evaluation.progress import Tally
from smcs.evaluation.shared import Ask, SharedCalls, SharedLLM
from smcs.evaluation.store import ResultsError, ResultsStore, open_results
from smcs.pool import PooledLLM, Result
from smcs.pool.budget import Budget
from smcs.protocols import Progress
from smcs.server.trace_record import redactor
from smcs.types import Completion, Request

log = logging.getLogger(__name__)

_SILENT = Progress()
_PRUNE_EVERY = 500
_WAITING = 2000


@dataclass(slots=True)
class Replay:
    """What a replay has taken.

    Attributes:
        reused: samples that were read from the cache.
        made: samples that were asked for.
        prompt_tokens: of those that were made, as are the next two.
        cost_usd: of those whose price is known.
    """

    reused: int = 0
    made: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float = 0.0


_replay: ContextVar[Replay | None] = ContextVar("smcs_replay", default=None)


@contextlib.contextmanager
def replaying(replay: Replay | None) -> Iterator[None]:
    """Within this block, and in all tasks that begin in it, calls are read from the cache, unless this is None."""
    token = _replay.set(replay)
    try:
        yield
    finally:
        _replay.reset(token)


class CallCache(SharedCalls):
    """The cache of a server. Open it with `open_call_cache`.

    Args:
        store: where calls are kept.
        most: how many; the oldest go first.
    """

    def __init__(self, store: ResultsStore, most: int) -> None:
        super().__init__(store, Budget(), _ReplayTally())
        self._most = most
        self._added = 0
        self._waiting: list[tuple[bytes, int, Completion]] = []
        self._writing: asyncio.Task[None] | None = None
        self._said = False
        self._secrets: set[str] = set()

    def keep_out(self, secrets: Sequence[str]) -> None:
        """Let these secrets not be stored, whatever text they stand in."""
        self._secrets.update(secrets)

    def adopt(self, llm: PooledLLM) -> PooledLLM:
        """The LLM, with its calls kept."""
        return CachedLLM(llm, self)

    def add(self, calls: Sequence[tuple[bytes, int, Completion]]) -> None:
        """Keep calls, soon. Where more come than can be written, some are not kept."""
        if len(self._waiting) < _WAITING:
            self._waiting += calls
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())

    async def aclose(self) -> None:
        """Write what is waiting and let go of the file."""
        await super().aclose()
        await self._settled()
        await self.store.aclose()

    async def _provide(self, ask: Ask, wanted: Sequence[int]) -> list[Result]:
        self._failed.clear()  # a call that failed once may work now
        return await super()._provide(ask, wanted)

    async def _stored(self, addresses: Sequence[bytes]) -> dict[bytes, Completion]:
        await self._settled()
        return await super()._stored(addresses)

    async def _keep(self, calls: Sequence[tuple[bytes, int, Completion]]) -> None:
        self.add(calls)

    def _look_at(self, llm: SharedLLM, results: Sequence[Result]) -> None:
        """Failures are the breaker's business here."""

    async def _settled(self) -> None:
        while self._writing is not None and not self._writing.done():
            await asyncio.wait([self._writing])

    async def _write(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            try:
                redact = redactor(tuple(self._secrets))
                await self.store.put_completions([(key, i, _without_secrets(one, redact)) for key, i, one in batch])
                self._added += len(batch)
                if self._added >= _PRUNE_EVERY:
                    self._added = 0
                    await self.store.keep_newest(self._most)
            except ResultsError as error:
                if not self._said:
                    log.warning("calls can no longer be kept for replays: %s", error)
                self._said = True


def _without_secrets(completion: Completion, redact: Callable[[str], str]) -> Completion:
    reasoning = None if completion.reasoning is None else redact(completion.reasoning)
    return dataclasses.replace(completion, text=redact(completion.text), reasoning=reasoning)


class CachedLLM(SharedLLM):
    """An LLM whose calls are kept, and read in replays."""

    def __init__(self, llm: PooledLLM, cache: CallCache) -> None:
        super().__init__(llm, cache)
        self._cache = cache

    @property
    def usable(self) -> bool:
        """See `PooledLLM.usable`: this is no evaluation."""
        return super(SharedLLM, self).usable

    async def complete(
        self, request: Request, progress: Progress = _SILENT, *, keep_system: bool = False
    ) -> list[Result]:
        """See `PooledLLM.complete`."""
        if _replay.get() is not None:
            return await super().complete(request, progress, keep_system=keep_system)
        results = await self.really_complete(request, progress, keep_system=keep_system)
        done = [(i, result) for i, result in enumerate(results) if isinstance(result, Completion)]
        if done:
            addresses = self.addresses(request, keep_system=keep_system, needed=request.sampling.logprobs)
            prompt = max(completion.prompt_tokens for _, completion in done)
            self._cache.add([(addresses[i][0], i, dataclasses.replace(one, prompt_tokens=prompt)) for i, one in done])
        return results


class _ReplayTally(Tally):
    """Counts for the replay that calls, and not for all together."""

    def begin(self, llm: str) -> None:
        """Nothing to count."""

    def end(self, llm: str) -> None:
        """Nothing to count."""

    def reused(self, samples: int) -> None:
        """Samples were read from the cache."""
        replay = _replay.get()
        if replay is not None:
            replay.reused += samples

    def made(self, llm: str, results: Sequence[Result]) -> None:
        """Samples were asked for."""
        replay = _replay.get()
        if replay is None:
            return
        replay.made += len(results)
        for result in results:
            if isinstance(result, Completion):
                replay.prompt_tokens += result.prompt_tokens
                replay.completion_tokens += result.completion_tokens
                replay.cost_usd += result.cost_usd or 0.0


def cache_path(traces: Path) -> Path:
    """Where the calls to a file of traces are kept."""
    return traces.with_name(f"{traces.stem}.calls{traces.suffix}")


async def open_call_cache(traces: Path, most: int = 100_000) -> CallCache | None:
    """Open the cache beside a file of traces; None where another server has it, or it cannot be used.

    Args:
        traces: the file of traces.
        most: how many calls are kept.
    """

    def opened() -> ResultsStore:
        path = cache_path(traces)
        with contextlib.suppress(OSError):
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))  # before SQLite does, for its owner only
        return open_results(path)

    try:
        return CallCache(await asyncio.to_thread(opened), most)
    except SmcsError as error:
        log.warning("replays will make all their calls anew: %s", error)
        return None


def forget(traces: Path, *, texts: Sequence[str] | None = None, older_than: float | None = None) -> None:
    """Delete calls from the cache beside a file of traces, if there is one; what they held is overwritten.

    Args:
        texts: those that answered one of these; None for all.
        older_than: only those made before this time.
    """
    path = cache_path(traces)
    if not path.exists():
        return
    connection = sqlite3.connect(path, timeout=30, isolation_level=None)
    try:
        connection.execute("PRAGMA secure_delete = ON")
        if texts is None:
            connection.execute("DELETE FROM calls WHERE made < ?", (time.time() if older_than is None else older_than,))
        else:
            connection.executemany("DELETE FROM calls WHERE text = ?", [(text,) for text in texts])
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()
