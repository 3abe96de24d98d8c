"""The writer: one thread that commits whatever has come in since its last commit.

A record counts as stored once its batch is committed; from then on it survives the death of the process. Who waits for
that (`BankWriter.write`) before going on can lose no more than what is under way at that moment.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, cast

from sqlalchemy import Connection, Table, bindparam, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.sqlite import Insert
from sqlalchemy.exc import SQLAlchemyError

from smcs import prompts
from smcs.bank import schema
from smcs.bank.connect import translated
from smcs.bank.keys import sampling_dict
from smcs.bank.records import Answered, Failed, Graded, Record, Reused, Setting, packed_logprobs, storable
from smcs.bank.store import BankStore

_GATHER_S = 0.001


class BankWriter:
    """Writes records to a bank from a thread of its own. An async context manager; leaving it stores what is waiting.

    Args:
        store: open for writing.
        stored: told, in the event loop, which records are stored now.
    """

    def __init__(self, store: BankStore, stored: Callable[[Sequence[Record]], None] = lambda _: None) -> None:
        self._store = store
        self._stored = stored
        self._waiting: list[Record] = []
        self._awaited: dict[int, asyncio.Future[None]] = {}
        self._wake = threading.Condition()
        self._leaving = threading.Event()
        self._failure: BaseException | None = None
        self._failed = asyncio.Event()
        self._drained = asyncio.Event()
        self._drained.set()
        self._unstored = 0
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="smcs-bank-writer", daemon=True)

    async def __aenter__(self) -> BankWriter:
        self._thread.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        with self._wake:
            self._leaving.set()
            self._wake.notify()
        stored = asyncio.create_task(asyncio.to_thread(self._thread.join))
        cancelled: asyncio.CancelledError | None = None
        while not stored.done():  # also where we are told to leave: what waits has been paid for
            try:
                await asyncio.shield(stored)
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled
        await asyncio.sleep(0)  # what the thread has called back runs before this returns

    def put(self, record: Record) -> None:
        """Hand over a record; it is written soon, in the order of handing over.

        Raises:
            BankError: the writer has failed.
        """
        self.check()
        self._unstored += 1
        self._drained.clear()
        with self._wake:
            self._waiting.append(record)
            if len(self._waiting) == 1:
                self._wake.notify()

    async def write(self, record: Record) -> None:
        """Hand over a record and wait until it is stored.

        Raises:
            BankError: it could not be.
        """
        self.put(record)
        future = self._awaited[id(record)] = self._loop.create_future()
        await future

    def check(self) -> None:
        """Raise what the writer has failed with, if it has."""
        if self._failure is not None:
            raise self._failure

    async def drained(self) -> None:
        """Wait until all that was handed over is stored."""
        await self._drained.wait()
        self.check()

    async def raise_failure(self) -> None:
        """Wait for ever, or until the writer fails; then raise what it failed with."""
        await self._failed.wait()
        self.check()

    def _run(self) -> None:
        try:
            with translated(self._store.location), self._store.engine.connect() as connection:
                while batch := self._next_batch():
                    self._write(connection, batch)
        except BaseException as error:  # noqa: BLE001  (handed to the event loop, which raises it)
            self._tell(self._fail, error)

    def _write(self, connection: Connection, batch: Sequence[Record]) -> None:
        """Store a batch; where it cannot be stored as a whole, as much of it as can be."""
        try:
            write_records(connection, batch)
            connection.commit()
        except SQLAlchemyError:
            connection.rollback()
            if len(batch) == 1:
                raise
            for record in batch:
                self._write(connection, [record])
        else:
            self._tell(self._acknowledge, batch)

    def _next_batch(self) -> list[Record]:
        """All that is waiting; empty only when closing."""
        with self._wake:
            while not self._waiting and not self._leaving.is_set():
                self._wake.wait()
        # Lets the event loop run on after the first of many: a commit for each would take the time of the calls.
        self._leaving.wait(_GATHER_S)
        with self._wake:
            batch, self._waiting = self._waiting, []
            return batch

    def _tell(self, method: Callable[[Any], None], argument: object) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(method, argument)

    def _acknowledge(self, batch: Sequence[Record]) -> None:
        for record in batch:
            future = self._awaited.pop(id(record), None)
            if future is not None and not future.done():
                future.set_result(None)
        self._unstored -= len(batch)
        if not self._unstored:
            self._drained.set()
        self._stored(batch)

    def _fail(self, error: BaseException) -> None:
        self._failure = error
        for waited_for in (self._failed, self._drained):
            waited_for.set()
        for future in self._awaited.values():
            if not future.done():
                future.set_exception(error)


def write_settings(connection: Connection, settings: Sequence[Setting]) -> None:
    """Store the settings that calls are about to be made under, unless they are there."""
    rows = [
        {
            "digest": s.digest,
            "sampling": json.dumps(sampling_dict(s.sampling), default=list),
            "system": s.system,
            "prompt_version": prompts.version(s.system),
        }
        for s in settings
    ]
    if rows:
        connection.execute(_insert(connection, schema.settings).on_conflict_do_nothing(), rows)


def write_records(connection: Connection, records: Sequence[Record]) -> None:
    """Write records within the caller's transaction. Written twice, they are there once."""
    now = time.time()
    answered = [r for r in records if isinstance(r, Answered)]
    responses = [r for r in records if isinstance(r, Answered | Reused)]
    if answered:
        rows = [_call_row(r, now) for r in answered]
        connection.execute(_insert(connection, schema.calls).on_conflict_do_nothing(), rows)
    if responses:
        _write_responses(connection, responses)
    failures = [r for r in records if isinstance(r, Failed)]
    if failures:
        _write_failures(connection, failures, now)
    graded = [r for r in records if isinstance(r, Graded)]
    if graded:
        _write_grades(connection, graded, now)


def _write_responses(connection: Connection, records: Sequence[Answered | Reused]) -> None:
    statement = _insert(connection, schema.responses)
    fresh = {name: statement.excluded[name] for name in ("call", "graded", "correct")}
    rows = [
        {"llm": r.llm, "question": q, "call": r.key, "graded": 0, "correct": None} for r in records for q in r.questions
    ]
    # Only where it is another call's response now: the same one keeps its grade.
    other = schema.responses.c.call != statement.excluded.call
    connection.execute(
        statement.on_conflict_do_update(index_elements=["llm", "question"], set_=fresh, where=other), rows
    )


def _write_failures(connection: Connection, records: Sequence[Failed], now: float) -> None:
    statement = _insert(connection, schema.failures)
    fresh: dict[str, Any] = {
        name: statement.excluded[name] for name in ("kind", "message", "attempts", "seconds", "made")
    }
    fresh["times"] = schema.failures.c.times + 1
    rows = [
        {
            "llm": r.llm,
            "question": q,
            "kind": r.failure.kind,
            "message": storable(r.failure.message),
            "attempts": r.failure.attempts,
            "times": 1,
            "seconds": r.failure.seconds,
            "made": now,
        }
        for r in records
        for q in r.questions
    ]
    connection.execute(statement.on_conflict_do_update(index_elements=["llm", "question"], set_=fresh), rows)


def _write_grades(connection: Connection, records: Sequence[Graded], now: float) -> None:
    statement = _insert(connection, schema.grades)
    fresh = {name: statement.excluded[name] for name in ("correct", "extracted", "reason", "made")}
    rows = [
        {
            "call": r.key,
            "question": r.question,
            "grader": r.grader,
            "version": r.version,
            "correct": None if r.grade.correct is None else int(r.grade.correct),
            "extracted": None if r.grade.extracted is None else storable(r.grade.extracted),
            "reason": storable(r.grade.reason),
            "made": now,
        }
        for r in records
    ]
    same = ["call", "question", "grader", "version"]
    connection.execute(statement.on_conflict_do_update(index_elements=same, set_=fresh), rows)
    responses = schema.responses
    current = (
        update(responses)
        .where(responses.c.llm == bindparam("of_llm"), responses.c.question == bindparam("of_question"))
        .where(responses.c.call == bindparam("of_call"))
        .values(graded=1, correct=bindparam("now_correct"))
    )
    connection.execute(
        current,
        [
            {"of_llm": r.llm, "of_question": r.question, "of_call": r.key, "now_correct": row["correct"]}
            for r, row in zip(records, rows, strict=True)
        ],
    )


def _call_row(record: Answered, now: float) -> dict[str, Any]:
    completion = record.completion
    return {
        "key": record.key,
        "llm": record.llm,
        "settings": record.setting,
        "sample": record.sample,
        "text": completion.text,
        "reasoning": completion.reasoning,
        "finish_reason": completion.finish_reason,
        "logprobs": packed_logprobs(completion),
        "prompt_tokens": completion.prompt_tokens,
        "completion_tokens": completion.completion_tokens,
        "cost_usd": completion.cost_usd,
        "seconds": completion.seconds,
        "attempts": completion.attempts,
        "made": now,
    }


def _insert(connection: Connection, table: Table) -> Insert:
    """An INSERT that can say what happens on a conflict; SQLite and PostgreSQL write it the same way."""
    make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    return cast("Insert", make(table))
