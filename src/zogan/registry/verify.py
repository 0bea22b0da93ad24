"""The proof: the log read from its first event, and nothing believed but a head that was kept elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, select
from sqlalchemy.exc import DBAPIError

import zogan
from zogan.progress import Progress, Silent
from zogan.registry import tables
from zogan.registry.blobs import LEFT_OUT, Blobs
from zogan.registry.checkpoint import Checkpoint, read_checkpoint
from zogan.registry.compare import compared
from zogan.registry.database import Database
from zogan.registry.envelope import hash_of
from zogan.registry.identity import keyid_of
from zogan.registry.log import Head
from zogan.registry.prefix import Prefix
from zogan.registry.projection import Tables
from zogan.registry.reader import Reader
from zogan.registry.rows import log_rows, sound
from zogan.registry.signatures import Signatures
from zogan.registry.state import Person
from zogan.registry.verified import Fault, Verified

__all__ = ["Fault", "Verified", "verify", "verify_new"]

_TRIGGERS = ("events_not_updated", "events_not_deleted", "events_in_order")


def verify(
    database: Database,
    blobs: Blobs | None,
    *,
    written_down: Head | None = None,
    proved: Head | None = None,
    kept: Path | None = None,
    processes: int = 1,
    progress: Progress = Silent(),
) -> Verified:
    """Read the whole log, and find whatever is not as it was signed.

    Args:
        database: of the registry.
        blobs: hashed too, where given.
        written_down: a head that was kept elsewhere; a log that does not lead to it was cut or replaced.
        proved: a head up to which everything was checked before. The hashes up to it are worked out again, and
            where they lead to it, the bytes are those that were checked then.
        kept: the file with what followed from the log up to `proved`; written where nothing is found.
        processes: that check signatures.
        progress: told how far it is.
    """
    found = Verified()
    try:
        with database.reading() as connection:
            reader = _read(connection, found, written_down, proved, kept, processes, progress)
            _triggers(connection, found)
            assert reader.memory is not None
            for what in compared(connection, reader.memory, found.events):
                found.add(None, what)
    except (DBAPIError, _driver_error(database)) as error:
        found.add(None, f"the database cannot be read: {_line(error)}")
    else:
        if blobs is not None:
            _files(blobs, reader.blobs, found, progress)
        if found and found.head is not None and kept is not None and reader.took:
            entries = reader.entries.hexdigest()
            Checkpoint(found.head, reader.at, entries, reader.memory).write(kept, zogan.__version__)
    found.faults.sort(key=lambda one: (one.number is None, one.number or 0))
    return found


def verify_new(database: Database, proved: Head, *, processes: int = 1) -> Verified:
    """Read only what came behind a head that was proved before: hashes, signatures, and what events are found by.

    The rules, the tables and the files are left to `verify`.

    Args:
        database: of the registry.
        proved: the head.
        processes: that check signatures.
    """
    found = Verified()
    try:
        with database.reading() as connection, Signatures(processes, found.add) as signatures:
            if not _leads(connection, proved):
                found.add(proved.number, f"is not that of the head that was proved before, {str(proved)[:24]}…")
            reader = Reader(found, signatures)
            reader.last, reader.memory = proved, None
            reader.keys = {one.keyid: one.public for one in Tables(connection).people().values() if _own(one)}
            for batch in log_rows(connection, behind=proved.number):
                for row in batch:
                    reader.take(row)
            signatures.done()
            found.signatures, found.head = signatures.checked, reader.last
            _triggers(connection, found)
    except (DBAPIError, _driver_error(database)) as error:
        found.add(None, f"the database cannot be read: {_line(error)}")
    return found


def _read(
    connection: Connection,
    found: Verified,
    written_down: Head | None,
    proved: Head | None,
    kept: Path | None,
    processes: int,
    progress: Progress,
) -> Reader:
    if proved is not None and not _leads(connection, proved):
        found.add(proved.number, f"the log does not hold the head {str(proved)[:24]}… that was proved before")
        proved = None
    progress.start("verify", connection.execute(select(func.count()).select_from(tables.events)).scalar() or 0)
    known = {one.number: one.hash for one in (written_down, proved) if one is not None}
    with Signatures(processes, found.add) as signatures:
        reader = Reader(found, signatures, signed=0 if proved is None else proved.number, known=known)
        if proved is not None and kept is not None:
            _skip(connection, reader, read_checkpoint(kept, proved, zogan.__version__), progress)
        for batch in log_rows(connection, behind=reader.last.number):
            for row in batch:
                reader.take(row)
            progress.advance(found.events)
        signatures.done()
        found.signatures = signatures.checked
    if reader.last.number:
        found.head = reader.last
    if written_down is not None and reader.last.number < written_down.number:
        found.add(
            None, f"the log ends with event {reader.last.number:,}, and its head was once event {written_down.number:,}"
        )
    return reader


def _skip(connection: Connection, reader: Reader, checkpoint: Checkpoint | None, progress: Progress) -> None:
    """Let a reader begin behind what was proved, where its bytes are those of then."""
    if checkpoint is None:
        return
    prefix = Prefix(checkpoint, reader.known)
    if prefix.whole(connection, progress):
        reader.memory, reader.last, reader.at = checkpoint.memory, checkpoint.head, checkpoint.at
        reader.keys, reader.blobs, reader.entries = checkpoint.keys, prefix.blobs, prefix.entries
        reader.found.events = checkpoint.head.number


def _files(blobs: Blobs, named: dict[str, int], found: Verified, progress: Progress) -> None:
    progress.start("blobs", len(named))
    for count, (digest, number) in enumerate(named.items(), 1):
        if (fault := blobs.fault(digest)) == LEFT_OUT:
            found.left_out += 1
            continue
        if fault:
            found.add(number, f"{fault}: {digest[:12]}")
        found.blobs += 1
        progress.advance(count)


def _own(person: Person) -> bool:
    """Whether a key has the keyid that names it."""
    return keyid_of(bytes.fromhex(person.public)) == person.keyid


def _leads(connection: Connection, head: Head) -> bool:
    at = tables.events.c
    row = connection.execute(select(tables.events).where(at.number == head.number)).first()
    return row is not None and sound(tuple(row)) and hash_of(row.payload, row.keyid, row.signature) == head.hash


def _triggers(connection: Connection, found: Verified) -> None:
    """That the database would refuse a change."""
    if connection.dialect.name == "sqlite":
        query = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'events'"
        wanted = set(_TRIGGERS)
    else:
        query = "SELECT tgname FROM pg_trigger WHERE tgrelid = 'events'::regclass AND tgenabled <> 'D'"
        wanted = {"events_not_updated", "events_not_truncated", "events_in_order"}
    there = {row[0] for row in connection.exec_driver_sql(query)}
    for name in sorted(wanted - there):
        found.add(None, f"the database lacks the trigger {name}, and would let events be changed")


def _driver_error(database: Database) -> type[Exception]:
    """What the driver raises where it is asked without SQLAlchemy between."""
    found: Any = database.engine.dialect.loaded_dbapi
    error: type[Exception] = found.Error
    return error


def _line(error: Exception) -> str:
    return " ".join(str(getattr(error, "orig", None) or error).split())
