"""The proof: the log read from its first event, and nothing believed but a head that was kept elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, func, select
from sqlalchemy.exc import DBAPIError

from zogan.progress import Progress, Silent
from zogan.registry import tables
from zogan.registry.blobs import LEFT_OUT, Blobs
from zogan.registry.compare import compared
from zogan.registry.database import Database
from zogan.registry.envelope import Signed
from zogan.registry.event import ORIGIN, Begun, Enrolled, Event, parse
from zogan.registry.identity import keyid_of
from zogan.registry.log import Head
from zogan.registry.projection import Tables, entry
from zogan.registry.rules import RefusedError, advance
from zogan.registry.signatures import Signatures
from zogan.registry.state import Memory, Person

MOST = 200
"""Faults that are told one by one."""

_TRIGGERS = ("events_not_updated", "events_not_deleted", "events_in_order")


@dataclass(frozen=True)
class Fault:
    """What is wrong, and at which event; None where it is at none."""

    number: int | None
    what: str

    def __str__(self) -> str:
        return self.what if self.number is None else f"event {self.number:,}: {self.what}"


@dataclass
class Verified:
    """What was found.

    Attributes:
        events: that were read.
        signatures: that were checked; those before a head that is known are proved by its hash.
        blobs: files that were hashed.
        left_out: files that are not held here, as the archive that brought their events left them out.
        head: the last event; None in an empty log.
        faults: at most `MOST`; `more` counts the rest.
    """

    events: int = 0
    signatures: int = 0
    blobs: int = 0
    left_out: int = 0
    head: Head | None = None
    faults: list[Fault] = field(default_factory=list)
    more: int = 0

    def add(self, number: int | None, what: str) -> None:
        """Write down a fault."""
        if len(self.faults) < MOST:
            self.faults.append(Fault(number, what))
        else:
            self.more += 1

    def __bool__(self) -> bool:
        return not self.faults


def verify(
    database: Database,
    blobs: Blobs | None,
    *,
    written_down: Head | None = None,
    proved: Head | None = None,
    processes: int = 1,
    progress: Progress = Silent(),
) -> Verified:
    """Read the whole log, and find whatever is not as it was signed.

    Args:
        database: of the registry.
        blobs: hashed too, where given.
        written_down: a head that was kept elsewhere; a log that does not lead to it was cut or replaced.
        proved: a head up to which all signatures were checked before. The hashes up to it are worked out again, and
            where they lead to it, the bytes are those that were checked then.
        processes: that check signatures.
        progress: told how far it is.
    """
    found = Verified()
    try:
        with database.reading() as connection:
            _read(connection, found, written_down, proved, processes, progress, blobs)
    except DBAPIError as error:
        found.add(None, f"the database cannot be read: {' '.join(str(error.orig).split())}")
    found.faults.sort(key=lambda one: (one.number is None, one.number or 0))
    return found


def verify_new(database: Database, proved: Head) -> Verified:
    """Read only what came behind a head that was proved before: hashes, signatures, and what events are found by.

    The rules, the tables and the files are left to `verify`.

    Args:
        database: of the registry.
        proved: the head.
    """
    found = Verified()
    try:
        with database.reading() as connection, Signatures(1, found.add) as signatures:
            if not _leads(connection, proved):
                found.add(proved.number, f"is not that of the head that was proved before, {str(proved)[:24]}…")
            reader = _Reader(found, signatures, None)
            reader.last, reader.started, reader.ruled = proved, True, False
            reader.keys = {one.keyid: one.public for one in Tables(connection).people().values() if _own(one)}
            for row in _rows(connection, behind=proved.number):
                reader.take(row)
            signatures.done()
            found.signatures, found.head = signatures.checked, reader.last
            _triggers(connection, found)
    except DBAPIError as error:
        found.add(None, f"the database cannot be read: {' '.join(str(error.orig).split())}")
    return found


class _Reader:
    """The log, event by event."""

    def __init__(self, found: Verified, signatures: Signatures, proved: Head | None) -> None:
        self.found, self.signatures, self.proved = found, signatures, proved
        self.memory = Memory()
        self.last = Head(0, ORIGIN)
        self.at = ""
        self.blobs: dict[str, int] = {}
        self.lists: dict[str, int] = {}
        self.keys: dict[str, str] = {}
        self.started = False
        self.ruled = True
        self.hashes: dict[int, str] = {}

    def take(self, row: Any) -> None:
        """One row of the log, with its row in `entries` beside it. Whatever is in them, this ends."""
        self.found.events += 1
        number = row.number
        if not isinstance(number, int):
            self.found.add(None, f"an event is numbered {number!r}")
            return
        if number != self.last.number + 1:
            self.found.add(number, f"follows on event {self.last.number:,}: those between are missing")
        if not _sound(row):
            self.found.add(number, "its row is damaged")
            self.last = Head(number, "")
            return
        envelope = Signed(row.payload, row.keyid, row.signature)
        hashed = envelope.hash
        if row.hash != hashed:
            self.found.add(number, "was changed: its bytes have another hash than the one beside them")
        if self.hashes.get(number, hashed) != hashed:
            self.found.add(number, f"is not the event of the head that was kept, {number}:{self.hashes[number][:12]}…")
        previous, self.last = self.last, Head(number, hashed)
        try:
            event = parse(row.payload)
        except (ValueError, RecursionError):
            self.found.add(number, "is no event that this zogan reads")
            return
        self._chained(event, envelope, previous)
        self._signed(event, envelope)
        self._ruled(event)
        if tuple(row[5:]) != tuple(entry(event).values()):
            self.found.add(number, "what it is found by (entries) is not what it says")
        for digest in event.blobs.values():
            self.blobs.setdefault(digest, number)

    def _chained(self, event: Event, envelope: Signed, previous: Head) -> None:
        number = self.last.number
        if event.number != number:
            self.found.add(number, f"says of itself that it is event {event.number:,}")
        if event.by != envelope.keyid:
            self.found.add(number, "names another key than the one that signed")
        if event.previous != previous.hash:
            self.found.add(number, "does not follow on the event before it: one of them was changed, moved or put in")
        if event.at < self.at:
            self.found.add(number, f"is of {event.at}, before the event that it follows on")
        self.at = max(self.at, event.at)

    def _signed(self, event: Event, envelope: Signed) -> None:
        """The key is one that the log enrolled before; the first event brings its own."""
        if not self.started and isinstance(event.body, Begun):
            self.keys[keyid_of(bytes.fromhex(event.body.public))] = event.body.public
            self.started = True
        public = self.keys.get(envelope.keyid)
        if public is None:
            self.found.add(self.last.number, "is signed by a key that is not enrolled")
        elif self.proved is None or self.last.number > self.proved.number:
            self.signatures.add((self.last.number, envelope.payload, envelope.signature, public))

    def _ruled(self, event: Event) -> None:
        try:
            if self.ruled and (event.number == 1 or self.memory.policies):
                advance(event, self.memory)
        except RefusedError as refused:
            self.found.add(self.last.number, f"the rules do not permit it: {refused.what}")
        if isinstance(event.body, Enrolled):
            self.keys[keyid_of(bytes.fromhex(event.body.public))] = event.body.public


def _read(
    connection: Connection,
    found: Verified,
    written_down: Head | None,
    proved: Head | None,
    processes: int,
    progress: Progress,
    blobs: Blobs | None,
) -> None:
    if proved is not None and not _leads(connection, proved):
        found.add(proved.number, f"the log does not hold the head {str(proved)[:24]}… that was proved before")
        proved = None
    total = connection.execute(select(func.count()).select_from(tables.events)).scalar() or 0
    progress.start("verify", total)
    with Signatures(processes, found.add) as signatures:
        reader = _Reader(found, signatures, proved)
        reader.hashes = {one.number: one.hash for one in (written_down, proved) if one is not None}
        for count, row in enumerate(_rows(connection), 1):
            reader.take(row)
            if not count % 1000:
                progress.advance(count)
        signatures.done()
        found.signatures = signatures.checked
    if reader.last.number:
        found.head = reader.last
    if written_down is not None and reader.last.number < written_down.number:
        found.add(
            None, f"the log ends with event {reader.last.number:,}, and its head was once event {written_down.number:,}"
        )
    _triggers(connection, found)
    for what in compared(connection, reader.memory, found.events):
        found.add(None, what)
    if blobs is not None:
        progress.start("blobs", len(reader.blobs))
        for count, (digest, number) in enumerate(reader.blobs.items(), 1):
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


def _rows(connection: Connection, behind: int = 0) -> Iterator[Any]:
    log, index = tables.events.c, tables.entries.c
    query = (
        select(
            log.number,
            log.hash,
            log.payload,
            log.keyid,
            log.signature,
            index.number,
            index.at,
            index.kind,
            index.by,
            index.patch,
            index.alias,
        )
        .select_from(tables.events.outerjoin(tables.entries, log.number == index.number))
        .where(log.number > behind)
        .order_by(log.number)
    )
    yield from connection.execution_options(yield_per=2000).execute(query)


def _sound(row: Any) -> bool:
    """Types as they must be: SQLite holds anything in any column."""
    return (
        isinstance(row.hash, str)
        and isinstance(row.payload, bytes)
        and isinstance(row.keyid, str)
        and row.keyid.isascii()
        and isinstance(row.signature, bytes)
    )


def _leads(connection: Connection, head: Head) -> bool:
    at = tables.events.c
    row = connection.execute(select(tables.events).where(at.number == head.number)).first()
    return row is not None and _sound(row) and Signed(row.payload, row.keyid, row.signature).hash == head.hash


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
