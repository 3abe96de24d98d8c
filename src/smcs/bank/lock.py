"""One evaluation at a time on a bank: two would pay for the same answers twice."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout
from sqlalchemy import Engine, text

from smcs.bank.connect import Location, shown, translated
from smcs.errors import BankError

_KEY = 0x736D6373  # "smcs"


@contextlib.contextmanager
def run_lock(location: Location, engine: Engine) -> Iterator[None]:
    """Hold the bank for one run. The lock ends with the process, however that ends.

    Raises:
        BankError: another run holds it.
    """
    busy = BankError(
        f"another run is evaluating the bank {shown(location)}; wait until it is done, or stop it "
        f"(what it has stored stays)"
    )
    if engine.dialect.name == "sqlite":
        with _file_lock(Path(location), busy):
            yield
    elif engine.dialect.name == "postgresql":
        with translated(location), engine.connect() as connection:
            if not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": _KEY}):
                raise busy
            connection.commit()
            yield
    else:
        raise BankError(f"banks on {engine.dialect.name} can be read but not evaluated; use SQLite or PostgreSQL")


@contextlib.contextmanager
def _file_lock(path: Path, busy: BankError) -> Iterator[None]:
    file = path.with_name(path.name + ".lock")
    lock = FileLock(file)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise busy from None
    except OSError as error:
        raise BankError(f"cannot write beside the bank {path}: {error.strerror}") from None
    try:
        yield
    finally:
        # Removed while it is held: whoever opened it meanwhile sees that it has lost its name, and tries anew.
        with contextlib.suppress(OSError):
            file.unlink()
        lock.release()
