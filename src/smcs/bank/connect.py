"""Connections to a bank's store: a SQLite file, or a database URL.

A bank that is only read is never written to, not even by SQLite's own bookkeeping, so that it can lie in a read-only
folder. While a bank is written it is in write-ahead mode: a commit survives the death of the process, readers are not
held up, and a commit costs no wait for the disk. Closing turns it back into a single ordinary file.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import quote

import sqlalchemy
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from smcs.errors import BankError, BankFormatError, BankNotFoundError

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry

Location: TypeAlias = str | Path
_MAGIC = b"SQLite format 3\0"
_BUSY_S = 30.0


def is_url(location: Location) -> bool:
    """Whether this names a database on a server rather than a file."""
    return isinstance(location, str) and "://" in location


def shown(location: Location) -> str:
    """The location as a message may show it: without a password."""
    if not is_url(location):
        return str(location)
    try:
        return make_url(str(location)).render_as_string(hide_password=True)
    except ArgumentError:
        return "the database URL"


def open_engine(location: Location, *, write: bool) -> Engine:
    """An engine on an existing bank, or on a database that is to become one.

    Raises:
        BankError: there is no such file, or it cannot be opened.
        BankFormatError: the file is no bank.
    """
    if is_url(location):
        return _server_engine(str(location))
    path = Path(location)
    _check_file(path)
    return _file_engine(path, "rw" if write else _read_mode(path), journal="WAL" if write else None)


def new_file_engine(path: Path) -> Engine:
    """An engine on a file that is made by it; written the ordinary way, since nobody else knows it yet."""
    return _file_engine(path, "rwc", journal=None)


def settle(engine: Engine) -> None:
    """Make a written bank a single file again, unless somebody else is using it (then the last one does it)."""
    if engine.dialect.name != "sqlite":
        return
    with contextlib.suppress(SQLAlchemyError, sqlite3.Error), engine.connect() as connection:
        raw = connection.connection.driver_connection
        if raw is not None:
            raw.execute("PRAGMA busy_timeout = 0")
            raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            raw.execute("PRAGMA journal_mode = DELETE")


@contextlib.contextmanager
def translated(location: Location) -> Iterator[None]:
    """Turn what the database raises into errors of ours."""
    try:
        yield
    except DBAPIError as error:
        raise _bank_error(location, error.orig or error) from error
    except sqlite3.Error as error:
        raise _bank_error(location, error) from error
    except SQLAlchemyError as error:
        raise BankError(f"cannot use the bank {shown(location)}: {type(error).__name__}") from error


def _bank_error(location: Location, error: BaseException) -> BankError:
    text, where = str(error), shown(location)
    known = {
        "file is not a database": f"{where} is not a question bank",
        "disk is full": f"no room left on the disk of the bank {where}; what was stored before is safe: "
        "free some space and run the same again",
        "disk I/O error": f"the disk failed while the bank {where} was used; what was stored before is safe",
        "readonly database": f"the bank {where} cannot be written to; copy it to a folder of yours",
        "database is locked": f"the bank {where} is being written by somebody else; try again when that is done",
        "malformed": f"the bank {where} is damaged ({text})",
        "unable to open": f"cannot open the bank {where}; is its folder readable, and writable where you change it?",
    }
    for sign, message in known.items():
        if sign in text:
            return (BankFormatError if sign == "file is not a database" else BankError)(message)
    # A database server's message may quote the connection string: its first line, and never a password.
    first = text.strip().splitlines()[0] if text.strip() else type(error).__name__
    return BankError(f"cannot use the bank {where}: {_without_password(location, first)}")


def _without_password(location: Location, text: str) -> str:
    password = make_url(str(location)).password if is_url(location) else None
    return text.replace(str(password), "***") if password else text


def _server_engine(url: str) -> Engine:
    try:
        engine = sqlalchemy.create_engine(url, poolclass=NullPool)
    except (ArgumentError, NoSuchModuleError) as error:
        raise BankError(f"{shown(url)} is no database URL that can be used: {error}") from None
    except ModuleNotFoundError as error:
        raise BankError(f"{shown(url)} needs the Python package {error.name}, which is not installed") from None
    if engine.dialect.name == "sqlite":
        raise BankError(f"write the path of the bank rather than the URL {url}")
    return engine


def _check_file(path: Path) -> None:
    try:
        with path.open("rb") as file:
            start = file.read(len(_MAGIC))
    except FileNotFoundError:
        raise BankNotFoundError(f"there is no bank {path}; smcs bank create makes one") from None
    except IsADirectoryError:
        raise BankFormatError(f"{path} is a folder, not a question bank") from None
    except OSError as error:
        raise BankError(f"cannot read the bank {path}: {error.strerror}") from None
    if start != _MAGIC:
        raise BankFormatError(f"{path} is not a question bank")


def _read_mode(path: Path) -> str:
    """How to open a file that is only read.

    SQLite wants to make files beside one that was left in write-ahead mode. Where the folder does not allow that, and
    no log is waiting to be read in, the file is all there is and cannot change.
    """
    log = path.with_name(path.name + "-wal")
    waiting = log.exists() and log.stat().st_size > 0
    return "ro" if waiting or os.access(path.parent, os.W_OK) else "ro&immutable=1"


def _file_engine(path: Path, mode: str, *, journal: str | None) -> Engine:
    uri = f"file:{quote(str(path.absolute()))}?mode={mode}"

    def connect() -> sqlite3.Connection:
        # Our own BEGIN (below): the driver's would not cover a change of tables.
        return sqlite3.connect(uri, uri=True, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)

    engine = sqlalchemy.create_engine("sqlite://", creator=connect, poolclass=NullPool)

    @event.listens_for(engine, "connect")
    def _set_up(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        cursor: Any = connection.cursor()
        cursor.execute("PRAGMA foreign_keys = ON")
        if journal:
            (granted,) = cursor.execute(f"PRAGMA journal_mode = {journal}").fetchone()
            # In write-ahead mode NORMAL loses nothing at the death of the process, and no file is ever half-written.
            cursor.execute(f"PRAGMA synchronous = {'NORMAL' if granted == 'wal' else 'FULL'}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        reads = mode.startswith("ro") or connection.get_execution_options().get("reads")
        # A writer takes its turn at once: in the middle of its work it could find that another came first.
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    return engine
