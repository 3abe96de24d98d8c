"""The results store: every call that was made, and every answer that strategies made of them. A SQLite file.

Calls are kept under the hash of what was asked (see `smcs.bank.keys`), so that whatever strategy needs one, in this run
or a later one, finds it. Answers are kept by setup (strategy, settings, pool and bank), question and seed. Each record
is committed by itself: what is stored survives the death of the process at any instant.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import numpy as np
from filelock import FileLock, Timeout

from smcs.bank.records import packed_logprobs, storable
from smcs.errors import SmcsError
from smcs.types import Completion, Grade

T = TypeVar("T")
FORMAT, VERSION = "smcs results", 1
_MAGIC = b"SQLite format 3\0"
_AT_ONCE = 400
_SCHEMA = """
CREATE TABLE properties (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE calls (
  key BLOB PRIMARY KEY, llm TEXT NOT NULL, sample INTEGER NOT NULL, text TEXT NOT NULL, reasoning TEXT,
  finish_reason TEXT NOT NULL, logprobs BLOB, prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL,
  cost_usd REAL, seconds REAL NOT NULL, attempts INTEGER NOT NULL, made REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE setups (digest TEXT PRIMARY KEY, label TEXT NOT NULL, description TEXT NOT NULL, made REAL NOT NULL);
CREATE TABLE questions (
  digest TEXT PRIMARY KEY, id TEXT NOT NULL, benchmark TEXT NOT NULL, grader TEXT NOT NULL, content TEXT NOT NULL
);
CREATE TABLE answers (
  setup TEXT NOT NULL REFERENCES setups, question TEXT NOT NULL REFERENCES questions, seed INTEGER NOT NULL,
  text TEXT, error TEXT, calls INTEGER NOT NULL, failed_calls INTEGER NOT NULL, again INTEGER NOT NULL,
  prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, cost_usd REAL, latency_s REAL NOT NULL,
  trace BLOB NOT NULL, made REAL NOT NULL,
  grader TEXT, version TEXT, correct INTEGER, extracted TEXT, reason TEXT,
  PRIMARY KEY (setup, question, seed)
) WITHOUT ROWID;
"""


class ResultsError(SmcsError):
    """The results file cannot be read or written."""


@dataclass(frozen=True, slots=True)
class AnswerKey:
    """Which answer: by which setup, to which question, from which seed."""

    setup: str
    question: str
    seed: int


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """What one strategy made of one question.

    Attributes:
        text: the answer; None where there is none.
        error: why there is none.
        failed_calls: calls of it that failed for good.
        again: whether another run may do better: a call of it failed for a reason that may pass.
        latency_s: the longest chain of its calls, without waiting for a free place.
        trace: compressed JSON.
        correct: its grade; None where there is none, which `reason` then explains.
        version: the grader's version; None where the answer waits for its grade.
    """

    key: AnswerKey
    text: str | None
    error: str | None
    calls: int
    failed_calls: int
    again: bool
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float | None
    latency_s: float
    trace: bytes = b""
    correct: bool | None = None
    grader: str | None = None
    version: str | None = None
    extracted: str | None = None
    reason: str | None = None


class ResultsStore:
    """An open results file. Open it with `open_results`.

    The database is used from one thread of its own; every method may be awaited from the event loop.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: FileLock | None) -> None:
        self.path = path
        self._connection = connection
        self._lock = lock
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="smcs-results")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Write what is waiting and let go of the file."""
        with contextlib.suppress(sqlite3.Error):
            await self._run(lambda db: db.close())
        self._thread.shutdown()
        if self._lock is not None:
            _unlock(self._lock)

    async def completions(self, keys: Sequence[bytes]) -> dict[bytes, Completion]:
        """The stored calls with these keys. Each sample holds its prompt's tokens."""

        def read(db: sqlite3.Connection) -> dict[bytes, Completion]:
            found: dict[bytes, Completion] = {}
            for start in range(0, len(keys), _AT_ONCE):
                part = keys[start : start + _AT_ONCE]
                marks = ",".join("?" * len(part))
                query = f"SELECT {_CALL_COLUMNS} FROM calls WHERE key IN ({marks})"  # noqa: S608  (only constants)
                found.update((bytes(row[0]), _completion(row)) for row in db.execute(query, part))
            return found

        return await self._run(read)

    async def put_completions(self, calls: Sequence[tuple[bytes, int, Completion]]) -> None:
        """Store calls: key, sample index, completion. One that is there already stays as it is."""
        rows = [_call_row(key, sample, completion) for key, sample, completion in calls]

        def write(db: sqlite3.Connection) -> None:
            db.executemany("INSERT OR IGNORE INTO calls VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)

        await self._run(write)

    async def keep_newest(self, most: int) -> None:
        """Delete the oldest calls beyond so many. For a file that only keeps calls, as a server's does."""

        def delete(db: sqlite3.Connection) -> None:
            (there,) = db.execute("SELECT count(*) FROM calls").fetchone()
            if there <= most:
                return
            db.execute("CREATE INDEX IF NOT EXISTS calls_by_age ON calls (made)")
            oldest = "SELECT key FROM calls ORDER BY made LIMIT ?"
            db.execute(f"DELETE FROM calls WHERE key IN ({oldest})", (there - most,))  # noqa: S608  (only constants)

        await self._run(delete)

    async def put_setups(self, setups: Sequence[tuple[str, str, str]]) -> None:
        """Store setups: digest, label, description. A label may change; the digest says what is the same."""
        now = time.time()
        query = (
            "INSERT INTO setups VALUES (?, ?, ?, ?) ON CONFLICT (digest) DO UPDATE SET label = excluded.label, "
            "description = excluded.description"
        )
        await self._run(lambda db: db.executemany(query, [(*setup, now) for setup in setups]))

    async def put_questions(self, questions: Sequence[tuple[str, str, str, str, str]]) -> None:
        """Store questions: digest, id, benchmark, grader, content."""
        query = "INSERT OR IGNORE INTO questions VALUES (?, ?, ?, ?, ?)"
        await self._run(lambda db: db.executemany(query, questions))

    async def put_answer(self, answer: StoredAnswer) -> None:
        """Store an answer, in the place of an earlier one."""
        row = (
            answer.key.setup,
            answer.key.question,
            answer.key.seed,
            None if answer.text is None else storable(answer.text),
            None if answer.error is None else storable(answer.error),
            answer.calls,
            answer.failed_calls,
            int(answer.again),
            answer.prompt_tokens,
            answer.completion_tokens,
            answer.cost_usd,
            answer.latency_s,
            answer.trace,
            time.time(),
        )
        query = (
            "INSERT OR REPLACE INTO answers "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL, NULL, NULL, NULL)"
        )
        await self._run(lambda db: db.execute(query, row))

    async def put_grade(self, key: AnswerKey, grader: str, version: str, grade: Grade) -> None:
        """Store the grade of an answer."""
        correct = None if grade.correct is None else int(grade.correct)
        extracted = None if grade.extracted is None else storable(grade.extracted)
        query = (
            "UPDATE answers SET grader = ?, version = ?, correct = ?, extracted = ?, reason = ? "
            "WHERE setup = ? AND question = ? AND seed = ?"
        )
        row = (grader, version, correct, extracted, storable(grade.reason), key.setup, key.question, key.seed)
        await self._run(lambda db: db.execute(query, row))

    async def answers(self, setup: str) -> dict[tuple[str, int], StoredAnswer]:
        """All answers of a setup, by question and seed, without their traces."""
        query = f"SELECT {_ANSWER_COLUMNS} FROM answers WHERE setup = ?"  # noqa: S608  (only constants)

        def read(db: sqlite3.Connection) -> dict[tuple[str, int], StoredAnswer]:
            return {(row[1], row[2]): _answer(row) for row in db.execute(query, (setup,))}

        return await self._run(read)

    async def trace(self, key: AnswerKey) -> bytes:
        """The compressed trace of an answer."""
        query = "SELECT trace FROM answers WHERE setup = ? AND question = ? AND seed = ?"
        row = await self._run(lambda db: db.execute(query, (key.setup, key.question, key.seed)).fetchone())
        return bytes(row[0]) if row else b""

    async def mean_completion_tokens(self) -> dict[str, float]:
        """Average tokens of the answers of each LLM, over all stored calls."""
        query = "SELECT llm, avg(completion_tokens) FROM calls GROUP BY llm"
        return await self._run(lambda db: dict(db.execute(query).fetchall()))

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        def translated() -> T:
            with _translated(self.path):
                return work(self._connection)

        return await asyncio.get_running_loop().run_in_executor(self._thread, translated)


def open_results(path: Path, *, write: bool = True) -> ResultsStore:
    """Open a results file; made where there is none, unless it is only to be read.

    Raises:
        ResultsError: it is something else, cannot be used, or another run is writing to it.
    """
    if path.is_dir():
        raise ResultsError(f"{path} is a folder, not a results file")
    fresh = not path.exists() or path.stat().st_size == 0
    if not fresh:
        _check_magic(path)
    if fresh and not path.parent.is_dir():
        raise ResultsError(f"there is no folder {path.parent} for the results file {path.name}")
    lock = _locked(path) if write else None
    try:
        with _translated(path):
            where = ":memory:" if fresh and not write else str(path)
            connection = sqlite3.connect(where, timeout=30, isolation_level=None, check_same_thread=False)
            if write:
                connection.execute("PRAGMA journal_mode = WAL")
                # In write-ahead mode this loses nothing when the process dies, and no file is ever half-written.
                connection.execute("PRAGMA synchronous = NORMAL")
            _make_or_check(connection, path)
    except BaseException:
        if lock is not None:
            _unlock(lock)
        raise
    return ResultsStore(path, connection, lock)


def _make_or_check(connection: sqlite3.Connection, path: Path) -> None:
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables:
        connection.execute("BEGIN IMMEDIATE")
        for statement in _SCHEMA.split(";"):
            connection.execute(statement)
        rows = [("format", FORMAT), ("version", str(VERSION))]
        connection.executemany("INSERT INTO properties VALUES (?, ?)", rows)
        connection.execute("COMMIT")
        return
    properties = dict(connection.execute("SELECT key, value FROM properties")) if "properties" in tables else {}
    if properties.get("format") != FORMAT:
        raise ResultsError(f"{path} is a database, but no results file; name another file (--results)")
    if properties.get("version") != str(VERSION):
        raise ResultsError(
            f"the results file {path} has format version {properties.get('version')}, and this smcs knows {VERSION}"
        )


def _check_magic(path: Path) -> None:
    try:
        with path.open("rb") as file:
            start = file.read(len(_MAGIC))
    except OSError as error:
        raise ResultsError(f"cannot read the results file {path}: {error.strerror}") from None
    if start != _MAGIC:
        raise ResultsError(f"{path} is no results file; name another file (--results)")


def _locked(path: Path) -> FileLock:
    lock = FileLock(path.with_name(path.name + ".lock"))
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise ResultsError(
            f"another run is writing to the results file {path}; wait until it is done, or stop it (what it has "
            f"stored stays)"
        ) from None
    except OSError as error:
        raise ResultsError(f"cannot write beside the results file {path}: {error.strerror}") from None
    return lock


def _unlock(lock: FileLock) -> None:
    # Removed while it is held: whoever opened it meanwhile sees that it has lost its name, and tries anew.
    with contextlib.suppress(OSError):
        Path(lock.lock_file).unlink()
    lock.release()


@contextlib.contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        if "disk is full" in str(error):
            raise ResultsError(f"no room left on the disk of {path}; what was stored before is safe") from error
        raise ResultsError(f"cannot use the results file {path}: {error}") from error


_CALL_COLUMNS = (
    "key, llm, text, reasoning, finish_reason, logprobs, prompt_tokens, completion_tokens, cost_usd, seconds, attempts"
)
_ANSWER_COLUMNS = (
    "setup, question, seed, text, error, calls, failed_calls, again, prompt_tokens, completion_tokens, cost_usd, "
    "latency_s, correct, grader, version, extracted, reason"
)


def _call_row(key: bytes, sample: int, completion: Completion) -> tuple[Any, ...]:
    return (
        key,
        completion.llm,
        sample,
        storable(completion.text),
        None if completion.reasoning is None else storable(completion.reasoning),
        completion.finish_reason,
        packed_logprobs(completion),
        completion.prompt_tokens,
        completion.completion_tokens,
        completion.cost_usd,
        completion.seconds,
        completion.attempts,
        time.time(),
    )


def _completion(row: Sequence[Any]) -> Completion:
    _, llm, text, reasoning, finish_reason, packed, prompt, completion, cost, seconds, attempts = row
    return Completion(
        llm=llm,
        text=text,
        reasoning=reasoning,
        finish_reason=finish_reason,
        token_logprobs=None if packed is None else tuple(np.frombuffer(packed, "<f4").astype(float).tolist()),
        prompt_tokens=prompt,
        completion_tokens=completion,
        cost_usd=cost,
        seconds=seconds,
        attempts=attempts,
    )


def _answer(row: Sequence[Any]) -> StoredAnswer:
    setup, question, seed, text, error, calls, failed, again, prompt, completion, cost, latency, correct, *rest = row
    grader, version, extracted, reason = rest
    return StoredAnswer(
        key=AnswerKey(setup, question, seed),
        text=text,
        error=error,
        calls=calls,
        failed_calls=failed,
        again=bool(again),
        prompt_tokens=prompt,
        completion_tokens=completion,
        cost_usd=cost,
        latency_s=latency,
        correct=None if correct is None else bool(correct),
        grader=grader,
        version=version,
        extracted=extracted,
        reason=reason,
    )
