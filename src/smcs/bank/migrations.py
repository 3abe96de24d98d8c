"""Format versions of the store, and the way from each to the next."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from sqlalchemy import Connection, inspect, select, update

from smcs.bank import schema
from smcs.bank.connect import Location, shown
from smcs.errors import BankFormatError

logger = logging.getLogger(__name__)

MIGRATIONS: Mapping[int, Callable[[Connection], None]] = {}
"""From the version that is the key to the one after it. A migration only adds: what is stored stays."""


def stored_version(connection: Connection, location: Location) -> int:
    """The format version of a store.

    Raises:
        BankFormatError: it is no bank, or one made by a newer smcs.
    """
    where = shown(location)
    values: dict[str, str] = {}
    if inspect(connection).has_table("bank"):
        columns = {column["name"] for column in inspect(connection).get_columns("bank")}
        if columns >= {"key", "value"}:
            values = {row.key: row.value for row in connection.execute(select(schema.bank.c.key, schema.bank.c.value))}
    if values.get("format") != schema.FORMAT or not values.get("version", "").isdigit():
        raise BankFormatError(f"{where} is a database, but not a question bank")
    version = int(values["version"])
    if version > schema.FORMAT_VERSION:
        raise BankFormatError(
            f"the bank {where} has format version {version}, and this smcs knows versions up to "
            f"{schema.FORMAT_VERSION}; update smcs"
        )
    return version


def migrate(connection: Connection, location: Location, version: int) -> None:
    """Bring a store to this version's format. Runs in the caller's transaction: all of it happens, or nothing.

    Raises:
        BankFormatError: there is no way from its version.
    """
    while version < schema.FORMAT_VERSION:
        step = MIGRATIONS.get(version)
        if step is None:
            raise BankFormatError(
                f"the bank {shown(location)} has format version {version}, which is too old to be read"
            )
        step(connection)
        version += 1
        connection.execute(update(schema.bank).where(schema.bank.c.key == "version").values(value=str(version)))
        logger.info("bank %s brought to format version %d", shown(location), version)
