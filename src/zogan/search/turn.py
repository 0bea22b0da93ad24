"""Turns: one process at a time decides who has which trial, so that no two take the same one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy
from filelock import FileLock

KEY = int.from_bytes(b"zogan")
"""Of the lock in PostgreSQL, which numbers its locks."""

LOST_SECONDS = 60
"""After so long without a word from who has the turn, PostgreSQL takes it back: his machine may have gone dark."""


class Turn:
    """A lock that is let go of when its process dies, by the kernel or by the database.

    On PostgreSQL it is the database's, and holds for the processes of all machines; else it is a file's.

    Args:
        url: of the database, as SQLAlchemy takes it.
        file: of the lock, made where it is not there.

    Raises:
        ImportError: the database's driver is not installed.
    """

    def __init__(self, url: str, file: Path) -> None:
        self._file = FileLock(file)
        # A connection of its own: the lock lasts as long as its transaction, whatever the others do.
        shared = url.startswith("postgresql")
        self._engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool) if shared else None

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Inside, no other process has a turn. Turns of one process are not taken within each other."""
        if self._engine is None:
            with self._file:
                yield
            return
        with self._engine.begin() as connection:
            connection.exec_driver_sql(f"SET LOCAL idle_in_transaction_session_timeout = '{LOST_SECONDS}s'")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({KEY})")
            yield
