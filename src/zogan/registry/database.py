"""Where the log lies: SQLite in a file, or PostgreSQL by URL. Its tables are made and renewed by Alembic."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from zogan.config import masked
from zogan.errors import ConfigError, ZoganError
from zogan.registry.migrations import LATEST

BUSY_SECONDS = 60
"""How long a process waits for another's write to SQLite."""

CONNECT_SECONDS = 15
"""How long a PostgreSQL that does not answer is waited for, where its URL does not say `connect_timeout`."""

_WRITES = {"zogan_writes": True}


class RegistryError(ZoganError):
    """A registry that is not there, is there already, or does not know what was asked for."""


class RacedError(Exception):
    """Another wrote first, under the same number; nothing was written here."""


class Database:
    """A registry's database.

    Args:
        url: `sqlite:///FILE`, a file's path, or `postgresql://…`.

    Raises:
        ConfigError: no such kind of database, its driver is not installed, or it cannot be reached.
    """

    def __init__(self, url: str) -> None:
        self.url = url if "://" in url else f"sqlite:///{url}"
        with _opening(self.url):
            given = sqlalchemy.make_url(self.url)
            if given.get_backend_name() not in ("sqlite", "postgresql"):
                raise ConfigError(
                    f"{given.get_backend_name()!r} is no database for a registry",
                    where="registry.url",
                    todo="Take sqlite:///FILE or postgresql://…",
                )
            self.embedded = given.get_backend_name() == "sqlite"
            self.file = Path(given.database) if self.embedded and given.database else None
            if not self.embedded and given.get_driver_name() in ("psycopg2", "psycopg"):
                given = given.set(drivername="postgresql+psycopg")
            waits: dict[str, Any] = {"timeout": BUSY_SECONDS} if self.embedded else {"connect_timeout": CONNECT_SECONDS}
            if "connect_timeout" in given.query:
                waits = {}
            self.engine: Engine = sqlalchemy.create_engine(given, connect_args=waits)
        if self.file is not None and (not self.file.name or self.file.is_dir()):
            raise ConfigError("is a folder, not a file", where=str(self.file), todo="Name a file in it: registry.db")
        if self.embedded:
            event.listen(self.engine, "connect", _prepare)
            event.listen(self.engine, "begin", _begin)

    def make(self) -> None:
        """Make the tables, or bring those of an older zogan up to date."""
        from alembic import command
        from alembic.config import Config

        if self.file is not None:
            self.file.parent.mkdir(parents=True, exist_ok=True)
        config = Config()
        config.set_main_option("script_location", "zogan.registry:migrations")
        with _opening(self.url), self.engine.connect().execution_options(**_WRITES) as connection:
            if not self.embedded:  # one process at a time
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({int.from_bytes(b'zogan')})")
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()

    def renew(self) -> None:
        """Bring the tables of an older zogan up to date.

        Raises:
            RegistryError: there are none.
        """
        version = self._version()
        if version is None:
            raise RegistryError("there is no registry", where=self.shown, todo="Run `zogan registry init`")
        if version > LATEST:
            raise RegistryError(
                f"its tables are those of a newer zogan ({version}; this one knows {LATEST})", where=self.shown
            )
        if version < LATEST:
            self.make()

    @property
    def made(self) -> bool:
        """Whether the tables are there."""
        return self._version() is not None

    @property
    def shown(self) -> str:
        """Where it lies, without a password."""
        return str(self.file) if self.file is not None else _shown(self.url)

    def _version(self) -> str | None:
        """Of the tables; None where there are none."""
        if self.file is not None and not self.file.is_file():
            return None
        with _opening(self.url), self.engine.connect() as connection:
            if not sqlalchemy.inspect(connection).has_table("alembic_version"):
                return None
            found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
            return None if found is None else str(found)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Inside, all is read as it stands at one instant."""
        with self.engine.connect() as connection:
            if not self.embedded:
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Inside, all is written or nothing.

        Raises:
            RacedError: another wrote the same, first.
        """
        with self.engine.connect() as connection:
            options: dict[str, Any] = _WRITES if self.embedded else {"isolation_level": "REPEATABLE READ"}
            try:
                with connection.execution_options(**options).begin():
                    if not self.embedded:
                        _queue(connection)
                    yield connection
            except IntegrityError as error:
                raise RacedError from error
            except OperationalError as error:
                if getattr(error.orig, "sqlstate", None) in ("40001", "40P01"):  # serialization, deadlock
                    raise RacedError from error
                raise

    def close(self) -> None:
        """Let the database go."""
        self.engine.dispose()


def upsert(connection: Connection, table: sqlalchemy.Table, values: dict[str, Any]) -> None:
    """Put a row in place of the one with its key, or beside the others."""
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects.sqlite import insert
    else:
        from sqlalchemy.dialects.postgresql import insert  # type: ignore[assignment]
    keys = [column.name for column in table.primary_key]
    rest = {name: value for name, value in values.items() if name not in keys}
    connection.execute(insert(table).values(values).on_conflict_do_update(index_elements=keys, set_=rest))


def _prepare(connection: Any, _record: Any) -> None:
    """Readers and a writer at once; what is committed is on the disk; transactions begin where we say so."""
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "trusted_schema=OFF"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("zogan_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _queue(connection: Connection) -> None:
    """One writer after the other, as in SQLite: what is read from here on is what the one before wrote.

    A table that may be written anyway: whoever may only add events cannot lock those.
    """
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{BUSY_SECONDS}s'")
    connection.exec_driver_sql("LOCK TABLE aliases IN SHARE ROW EXCLUSIVE MODE")


@contextmanager
def _opening(url: str) -> Iterator[None]:
    """Inside, whatever goes wrong is said of the database."""
    try:
        yield
    except ImportError as error:
        raise ConfigError(
            f"its driver is not installed: {error}",
            where="registry.url",
            todo="Install it with pip install 'zogan[postgresql]'",
        ) from None
    except (DBAPIError, sqlalchemy.exc.ArgumentError, ValueError) as error:
        line = " ".join(str(getattr(error, "orig", None) or error).split())
        line = line.replace(url, masked(url))
        raise ConfigError(f"the registry's database cannot be opened: {line}", where=_shown(url)) from None


def _shown(url: str) -> str:
    """Host and database, without who connects."""
    return masked(url).rpartition("@")[2]
