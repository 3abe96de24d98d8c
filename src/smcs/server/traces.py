"""The store of traces: what every request left behind, and what people said of it. Never blocks the event loop."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, TypeAlias, TypeVar

from smcs.server.trace_file import Bounds, TraceFile, TracesError, UnknownTraceError, default_path
from smcs.server.trace_record import Level, Record, as_json, at_level, clean, in_json, json_if_clean, redactor

T = TypeVar("T")
Verdict: TypeAlias = Literal["right", "wrong"]


class TraceStore:
    """An open store of traces. Open it with `open_traces`; an async context manager that closes it.

    Args:
        file: where they are kept.
        level: how much of each: ``metadata`` (names, numbers, times) or ``full`` (texts too).
        secrets: what must not be stored, whatever text it stands in.
    """

    def __init__(self, file: TraceFile, level: Level = "full", secrets: Sequence[str] = ()) -> None:
        self._file = file
        self.level = level
        self._secrets = set(secrets)
        self._redact, self._redact_json = redactor(secrets), redactor(in_json(secrets))
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="smcs-traces")
        self._waiting: list[tuple[Record, asyncio.Future[None]]] = []
        self._on_the_way: dict[str, asyncio.Future[None]] = {}
        self._flush: asyncio.Task[None] | None = None

    @property
    def path(self) -> Path:
        """Where they are kept."""
        return self._file.path

    def keep_out(self, secrets: Sequence[str]) -> None:
        """Let these secrets not be stored either."""
        self._secrets.update(secrets)
        known = tuple(self._secrets)
        self._redact, self._redact_json = redactor(known), redactor(in_json(known))

    async def add(self, record: Record) -> None:
        """Store what this level keeps of a record (see `smcs.server.trace_record`); returns once it can be found.

        Records that come while others are written are written together, so that many requests cost few commits.

        Raises:
            TracesError: it cannot be written, such as on a full disk.
        """
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((record, done))
        self._on_the_way[record["id"]] = done
        done.add_done_callback(lambda _: self._on_the_way.pop(record["id"], None))
        if self._flush is None or self._flush.done():
            self._flush = asyncio.create_task(self._write_waiting())
        await done

    async def get(self, trace_id: str) -> Record | None:
        """A record by its id, with its ``feedback`` (a list, oldest first); None where there is none."""
        await self._arrived(trace_id)
        return await asyncio.to_thread(self._file.get, trace_id)

    async def search(
        self,
        text: str = "",
        *,
        source: str | None = None,
        status: str | None = None,
        before: float | str | None = None,
        judged: bool = False,
        limit: int = 50,
    ) -> list[Record]:
        """Summaries, newest first.

        Args:
            text: words that must all stand in the question and the answer (kept at level ``full``), or in the id, the
                strategy or the status; upper and lower case are the same.
            source: only from here: ``api``, ``page`` or ``replay``.
            status: only these: ``ok``, or an error's kind.
            before: only those older than this time, or than the trace with this id: the next page of a list.
            judged: only those with feedback.
            limit: most summaries.

        Returns:
            Each with ``id``, ``time``, ``source``, ``strategy``, ``status``, ``seconds``, ``question`` and ``answer``
            (their beginnings, or None), ``calls``, ``tokens``, ``cost_usd`` and ``feedback`` (the last verdict).
        """

        def find() -> list[Record]:
            return self._file.search(text, source=source, status=status, before=before, judged=judged, limit=limit)

        return await asyncio.to_thread(find)

    async def add_feedback(
        self, trace_id: str, verdict: Verdict, *, answer: str | None = None, comment: str | None = None
    ) -> bool:
        """Store what somebody says of an answer.

        Args:
            answer: the right answer, where the one given was wrong.

        Returns:
            Whether `answer` and `comment` were kept: texts are, at level ``full`` only.

        Raises:
            UnknownTraceError: there is no such trace.
        """
        await self._arrived(trace_id)
        keep = self.level == "full"
        texts = [clean(text, self._redact) if keep and text else None for text in (answer, comment)]
        await self._write(lambda: self._file.add_feedback(trace_id, verdict, *texts))
        return keep

    async def feedback(self) -> list[Record]:
        """All feedback, oldest first: ``trace``, ``time``, ``verdict``, ``answer``, ``comment``."""
        return await asyncio.to_thread(self._file.feedback)

    async def aclose(self) -> None:
        """Write what is waiting and let go of the file."""
        if self._flush is not None:
            await asyncio.gather(self._flush, return_exceptions=True)
        await asyncio.to_thread(self._writer.shutdown)
        self._file.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _arrived(self, trace_id: str) -> None:
        """Wait for a trace that is being stored: who has just been answered may ask for it at once."""
        if trace_id in self._on_the_way:
            await asyncio.wait([self._on_the_way[trace_id]])

    async def _write_waiting(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            try:
                await self._write(functools.partial(self._store, [record for record, _ in batch]))
            except Exception as error:  # noqa: BLE001  (whoever waits for it is told)
                for _, done in batch:
                    if not done.done():
                        done.set_exception(error)
            else:
                for _, done in batch:
                    if not done.done():
                        done.set_result(None)

    def _store(self, records: Sequence[Record]) -> None:
        kept = [self._cleaned(at_level(record, self.level)) for record in records]
        self._file.add([record for record, _ in kept], [text for _, text in kept])

    def _cleaned(self, record: Record) -> tuple[Record, str]:
        """A record fit to be stored, and its JSON."""
        text = json_if_clean(record, self._redact_json)
        if text is not None:
            return record, text
        cleaned: Record = clean(record, self._redact)
        return cleaned, as_json(cleaned)

    async def _write(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._writer, work)


async def open_traces(
    path: Path | None = None, level: Level = "full", *, bounds: Bounds | None = None, secrets: Sequence[str] = ()
) -> TraceStore | None:
    """Open the store of traces; None at level ``off``.

    Args:
        path: the file; by default in the user's data folder.
        bounds: how much is kept.
        secrets: API keys, which are taken out of whatever is stored.

    Raises:
        TracesError: the file cannot be used.
    """
    if level == "off":
        return None
    file = await asyncio.to_thread(lambda: TraceFile.open(path or default_path(), bounds=bounds))
    return TraceStore(file, level, secrets)


__all__ = [
    "Bounds",
    "Level",
    "Record",
    "TraceStore",
    "TracesError",
    "UnknownTraceError",
    "default_path",
    "open_traces",
]
