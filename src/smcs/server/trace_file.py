"""The file of traces and feedback: SQLite through SQLAlchemy Core, in write-ahead mode, bounded by age, count and size.

Everything here blocks; `smcs.server.traces` is what the event loop uses. Several processes may have the file open: a
server writes while ``smcs trace`` reads. It is made readable for its owner only, and what is deleted is overwritten.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import platformdirs
import sqlalchemy
import zstandard
from sqlalchemy import (
    Column,
    Connection,
    Double,
    Engine,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    delete,
    event,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import SQLAlchemyError

from smcs.errors import SmcsError, UsageError
from smcs.server.trace_record import Record, as_json, columns

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry

FORMAT, FORMAT_VERSION = "smcs traces", "1"
_BUSY_S = 30.0
_CHECKED_EVERY = 256
_AT_ONCE = 500
_MAGIC = b"SQLite format 3\0"

_metadata = MetaData()
_properties = Table(
    "properties", _metadata, Column("key", Text, primary_key=True), Column("value", Text, nullable=False)
)
_traces = Table(
    "traces",
    _metadata,
    Column("seq", Integer, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("time", Double, nullable=False),
    Column("source", Text, nullable=False),
    Column("strategy", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("question", Text),  # its beginning
    Column("answer", Text),
    Column("searched", Text, nullable=False),  # casefolded; empty at level metadata
    Column("calls", Integer, nullable=False),
    Column("tokens", Integer, nullable=False),
    Column("cost_usd", Double),
    Column("judged", Integer, nullable=False),  # 1 where there is feedback: such traces go last
    Column("size", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),  # the record: JSON, compressed with zstd
    Index("traces_by_time", "time"),
    Index("traces_to_prune", "judged", "seq", "size"),
)
_feedback = Table(
    "feedback",
    _metadata,
    Column("seq", Integer, primary_key=True),
    Column("trace", ForeignKey(_traces.c.id, ondelete="CASCADE"), nullable=False, index=True),
    Column("time", Double, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("answer", Text),
    Column("comment", Text),
)
_SUMMARY = (
    "id",
    "time",
    "source",
    "strategy",
    "status",
    "seconds",
    "question",
    "answer",
    "calls",
    "tokens",
    "cost_usd",
)
_FEEDBACK = ("trace", "time", "verdict", "answer", "comment")


class TracesError(SmcsError):
    """The file of traces cannot be read or written."""


class UnknownTraceError(UsageError):
    """There is no trace with this id, or no longer."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is kept; the oldest goes first, and what has feedback last.

    Attributes:
        count: most traces.
        megabytes: most of what they hold, compressed, in 10^6 bytes.
        days: oldest; what has feedback may grow older.
    """

    count: int = 20_000
    megabytes: float = 1000.0
    days: float = 90.0


def default_path() -> Path:
    """Where traces are kept unless told otherwise: ``SMCS_DATA``, else the user's data folder on this system."""
    chosen = os.environ.get("SMCS_DATA", "").strip()
    folder = Path(chosen).expanduser() if chosen else Path(platformdirs.user_data_dir("smcs", appauthor=False))
    return folder / "traces.sqlite"


class TraceFile:
    """An open file of traces. Its methods block, and may be called from any thread."""

    def __init__(self, path: Path, engine: Engine, bounds: Bounds) -> None:
        self.path = path
        self._engine = engine
        self._bounds = bounds
        self._kept: tuple[int, float] | None = None
        """How many there are and their bytes, at most; None before they have been counted."""
        self._unchecked = 0

    @classmethod
    def open(cls, path: Path, *, write: bool = True, bounds: Bounds | None = None) -> TraceFile:
        """Open the file; made, with its folder, where there is none and it may be written.

        Raises:
            TracesError: it is something else, of another version, or cannot be used.
        """
        if not write and not path.exists():
            raise TracesError(f"there are no traces at {path}; smcs serve --traces full keeps them")
        _check_magic(path)
        if write:
            _make_private(path)
        engine = _engine(path, write=write)
        file = cls(path, engine, bounds or Bounds())
        try:
            with file._using() as connection:
                _make_or_check(connection, path, write=write)
        except BaseException:
            engine.dispose()
            raise
        return file

    def close(self) -> None:
        """Let go of the file."""
        self._engine.dispose()

    def add(self, records: Sequence[Record], written: Sequence[str] | None = None) -> None:
        """Store records, and let go of what exceeds the bounds. A known id's record takes the earlier one's place.

        Args:
            written: the same as JSON, where that is at hand.
        """
        texts = written if written is not None else [as_json(record) for record in records]
        rows = [_row(record, text) for record, text in zip(records, texts, strict=True)]
        with self._using() as connection:
            connection.execute(_UPSERT, rows)
            if self._may_exceed(rows):
                self._prune(connection)

    def get(self, trace_id: str) -> Record | None:
        """A record by its id, with its feedback."""
        with self._using() as connection:
            body = connection.scalar(select(_traces.c.body).where(_traces.c.id == trace_id))
            given = _feedback_rows(connection, trace_id)
        return None if body is None else {**_unpacked(body), "feedback": given}

    def search(
        self,
        text: str = "",
        *,
        source: str | None = None,
        status: str | None = None,
        before: float | str | None = None,
        judged: bool = False,
        limit: int = 50,
    ) -> list[Record]:
        """Summaries, newest first (see `smcs.server.traces.TraceStore.search`)."""
        query = select(*(_traces.c[name] for name in _SUMMARY)).order_by(_traces.c.time.desc(), _traces.c.seq.desc())
        for word in text.casefold().split():
            inside = [func.instr(_traces.c[name], word) > 0 for name in ("searched", "id", "strategy", "status")]
            query = query.where(sqlalchemy.or_(*inside))
        if source is not None:
            query = query.where(_traces.c.source == source)
        if status is not None:
            query = query.where(_traces.c.status == status)
        if judged:
            query = query.where(_traces.c.judged == 1)
        if isinstance(before, str):
            own = select(_traces.c.time, _traces.c.seq).where(_traces.c.id == before).subquery()
            query = query.where(sqlalchemy.tuple_(_traces.c.time, _traces.c.seq) < select(own).scalar_subquery())
        elif before is not None:
            query = query.where(_traces.c.time < before)
        with self._using() as connection:
            found = [dict(row) for row in connection.execute(query.limit(limit)).mappings()]
            for summary in found:
                given = _feedback_rows(connection, summary["id"])
                summary["feedback"] = given[-1]["verdict"] if given else None
        return found

    def add_feedback(self, trace_id: str, verdict: str, answer: str | None, comment: str | None) -> None:
        """Store what somebody says of an answer.

        Raises:
            UnknownTraceError: there is no such trace.
        """
        with self._using() as connection:
            judged = connection.execute(update(_traces).where(_traces.c.id == trace_id).values(judged=1))
            if not judged.rowcount:
                raise UnknownTraceError(f"there is no trace {trace_id!r}; it may have been removed for its age")
            row = {"trace": trace_id, "time": time.time(), "verdict": verdict, "answer": answer, "comment": comment}
            connection.execute(insert(_feedback), [row])

    def feedback(self) -> list[Record]:
        """All feedback, oldest first."""
        with self._using() as connection:
            return _feedback_rows(connection)

    def delete(self, *, ids: Sequence[str] | None = None, older_than: float | None = None) -> int:
        """Delete traces with their feedback, and give the room back to the disk; how many there were.

        Args:
            ids: these; None for all.
            older_than: only what was stored before this time.
        """
        gone = delete(_traces)
        if ids is not None:
            gone = gone.where(_traces.c.id.in_(list(ids)))
        if older_than is not None:
            gone = gone.where(_traces.c.time < older_than)
        with self._using() as connection:
            count = connection.execute(gone).rowcount
        with self._translated(), self._engine.connect().execution_options(alone=True) as connection:
            connection.exec_driver_sql("VACUUM")
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        return count

    def _may_exceed(self, rows: Sequence[Mapping[str, Any]]) -> bool:
        """Whether the bounds may be exceeded with these; counting all of them each time would take ever longer."""
        bounds = self._bounds
        self._unchecked += len(rows)
        if self._kept is None or self._unchecked >= _CHECKED_EVERY:
            return True
        count, size = self._kept
        self._kept = count, size = count + len(rows), size + sum(row["size"] for row in rows)
        aged = any(row["time"] < time.time() - bounds.days * 86_400 for row in rows)
        return aged or count > bounds.count or size > bounds.megabytes * 1e6

    def _prune(self, connection: Connection) -> None:
        bounds, table = self._bounds, _traces.c
        old = time.time() - bounds.days * 86_400
        connection.execute(delete(_traces).where(table.time < old, table.judged == 0))
        count, size = connection.execute(select(func.count(), func.coalesce(func.sum(table.size), 0))).one()
        while count > bounds.count or size > bounds.megabytes * 1e6:
            gone: list[int] = []
            query = select(table.seq, table.size).order_by(table.judged, table.seq).limit(_AT_ONCE)
            for seq, one in connection.execute(query).all():
                if count <= bounds.count and size <= bounds.megabytes * 1e6:
                    break
                gone.append(seq)
                count, size = count - 1, size - one
            connection.execute(delete(_traces).where(table.seq.in_(gone)))
        self._kept, self._unchecked = (count, float(size)), 0

    @contextlib.contextmanager
    def _using(self) -> Iterator[Connection]:
        with self._translated(), self._engine.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise TracesError(f"cannot use the traces {self.path}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    text = str(getattr(error, "orig", None) or error).splitlines()[0]
    if "disk is full" in text:
        return "no room left on the disk; what was stored before is safe"
    return text


def _upsert() -> Any:
    statement = sqlite.insert(_traces)
    fresh = {c.name: statement.excluded[c.name] for c in _traces.c if c.name not in {"seq", "id", "judged"}}
    return statement.on_conflict_do_update(index_elements=["id"], set_=fresh)


_UPSERT = _upsert()


def _row(record: Record, text: str) -> dict[str, Any]:
    body = zstandard.ZstdCompressor(level=3).compress(text.encode())
    return {**columns(record), "judged": 0, "size": len(body), "body": body}


def _unpacked(body: bytes) -> Record:
    record: Record = json.loads(zstandard.ZstdDecompressor().decompress(body))
    return record


def _feedback_rows(connection: Connection, trace_id: str | None = None) -> list[Record]:
    query = select(*(_feedback.c[name] for name in _FEEDBACK)).order_by(_feedback.c.seq)
    if trace_id is not None:
        query = query.where(_feedback.c.trace == trace_id)
    return [dict(row) for row in connection.execute(query).mappings()]


def _check_magic(path: Path) -> None:
    if path.is_dir():
        raise TracesError(f"{path} is a folder, not a file of traces")
    if not path.exists() or path.stat().st_size == 0:
        return
    try:
        with path.open("rb") as file:
            start = file.read(len(_MAGIC))
    except OSError as error:
        raise TracesError(f"cannot read the traces {path}: {error.strerror}") from None
    if start != _MAGIC:
        raise TracesError(f"{path} is no file of traces; name another one")


def _make_private(path: Path) -> None:
    """Make the file before SQLite does, readable for its owner only; its log takes the same rights."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise TracesError(f"cannot write the traces {path}: {error.strerror}") from None


def _make_or_check(connection: Connection, path: Path, *, write: bool) -> None:
    tables = set(sqlalchemy.inspect(connection).get_table_names())
    if not tables and write:
        _metadata.create_all(connection)
        rows: list[Mapping[str, str]] = [
            {"key": "format", "value": FORMAT},
            {"key": "version", "value": FORMAT_VERSION},
        ]
        connection.execute(insert(_properties), rows)
        return
    known = {}
    if "properties" in tables:
        known = {row.key: row.value for row in connection.execute(select(_properties))}
    if known.get("format") != FORMAT:
        raise TracesError(f"{path} is a database, but not one of traces; name another file")
    if known.get("version") != FORMAT_VERSION:
        raise TracesError(
            f"the traces {path} have format version {known.get('version')}, and this smcs knows {FORMAT_VERSION}; "
            f"name another file"
        )


def _engine(path: Path, *, write: bool) -> Engine:
    uri = f"file:{quote(str(path.absolute()))}?mode={'rw' if write else 'ro'}"

    def connect() -> sqlite3.Connection:
        # Our own BEGIN (below): the driver's would not cover the making of tables.
        return sqlite3.connect(uri, uri=True, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)

    engine = sqlalchemy.create_engine("sqlite://", creator=connect, poolclass=sqlalchemy.pool.QueuePool)

    @event.listens_for(engine, "connect")
    def _set_up(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        cursor: Any = connection.cursor()
        cursor.execute("PRAGMA foreign_keys = ON")
        if write:
            cursor.execute("PRAGMA secure_delete = ON")  # what is deleted stays in no free page
            cursor.execute("PRAGMA journal_mode = WAL")
            cursor.execute("PRAGMA synchronous = NORMAL")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if not connection.get_execution_options().get("alone"):
            connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine
