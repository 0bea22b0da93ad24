"""The log in big batches, straight from the driver: at a million events, an object for each row is half of the time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Select, select

from zogan.registry import tables

Row = tuple[Any, ...]
"""Number, hash, payload, keyid, signature; then number, at, kind, by, patch and alias of `entries`."""

_BATCH = 2000


def log_rows(connection: Connection, *, behind: int = 0, upto: int | None = None) -> Iterator[list[Row]]:
    """Events in order, each with its row in `entries` beside it, or with None where it has none.

    Args:
        connection: to the tables.
        behind: the number before the first.
        upto: the last number.

    Raises:
        Exception: the driver's own, where the database cannot be read.
    """
    log, index = tables.events.c, tables.entries.c
    query = (
        select(*log, *index)
        .select_from(tables.events.outerjoin(tables.entries, log.number == index.number))
        .where(log.number > behind)
        .order_by(log.number)
    )
    return batches(connection, query if upto is None else query.where(log.number <= upto))


def batches(connection: Connection, query: Select[Any]) -> Iterator[list[Row]]:
    """The rows of a query, as the driver gives them."""
    text = str(query.compile(connection, compile_kwargs={"literal_binds": True}))
    driver: Any = connection.connection.driver_connection
    # A cursor with a name stays at the server, which would send all rows at once otherwise.
    cursor = driver.cursor() if connection.dialect.name == "sqlite" else driver.cursor("zogan_rows", binary=True)
    try:
        cursor.execute(text)
        while batch := cursor.fetchmany(_BATCH):
            yield batch
    finally:
        cursor.close()


def sound(row: Row) -> bool:
    """Types as they must be: SQLite holds anything in any column."""
    _, kept, payload, keyid, signature = row[:5]
    return (
        isinstance(kept, str)
        and isinstance(payload, bytes)
        and isinstance(keyid, str)
        and keyid.isascii()
        and isinstance(signature, bytes)
    )
