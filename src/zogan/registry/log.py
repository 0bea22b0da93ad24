"""The log: events read in their order, and added under the number that follows."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select
from sqlalchemy.exc import DBAPIError

from zogan.errors import IntegrityError, ZoganError
from zogan.registry import tables
from zogan.registry.database import Database, RacedError, RegistryError
from zogan.registry.envelope import Signed, pae
from zogan.registry.event import ORIGIN, Body, Event, parse
from zogan.registry.identity import Identity
from zogan.registry.projection import Tables, entry
from zogan.registry.rules import advance

ATTEMPTS = 8
"""How often an event is written anew under the next number, where others were first."""

SKEW_SECONDS = 300
"""How far one clock may be behind another's; the event then has the later time."""

_TOGETHER = 500
"""Events that are asked for at once; SQLite takes some thousand values."""

_LINE = re.compile(r"([1-9][0-9]*):([0-9a-f]{64})")


@dataclass(frozen=True)
class Head:
    """The last event: all before it is known by its hash."""

    number: int
    hash: str

    def __str__(self) -> str:
        return f"{self.number}:{self.hash}"

    @classmethod
    def parse(cls, line: str) -> Head:
        """Read what `str` wrote.

        Raises:
            RegistryError: it is no head.
        """
        found = _LINE.fullmatch(line.strip())
        if found is None:
            raise RegistryError(
                f"{line.strip()[:80]!r} is no head", todo="Give the line that `zogan registry head` printed"
            )
        return cls(int(found[1]), found[2])


class OvertakenError(ZoganError):
    """What a decision rests on has moved since it was looked at."""


def head(connection: Connection) -> Head | None:
    """The last event, read and hashed; None where there is none.

    Raises:
        IntegrityError: it is not what its hash says.
    """
    number = connection.execute(select(func.max(tables.events.c.number))).scalar()
    return None if number is None else Head(number, _hashed(connection, number))


def begun(connection: Connection) -> bool:
    """Whether there is an event."""
    return connection.execute(select(tables.events.c.number).limit(1)).first() is not None


def signed(connection: Connection, number: int) -> Signed | None:
    """An event's envelope."""
    at = tables.events.c
    row = connection.execute(select(at.payload, at.keyid, at.signature).where(at.number == number)).first()
    return None if row is None else Signed(row.payload, row.keyid, row.signature)


def event_of(connection: Connection, number: int) -> Event:
    """An event.

    Raises:
        IntegrityError: it is damaged, or not there.
    """
    found = signed(connection, number)
    return _event(number, None if found is None else found.payload)


def events_of(connection: Connection, numbers: Sequence[int]) -> list[Event]:
    """Events, in the order that is asked for.

    Raises:
        IntegrityError: one is damaged, or not there.
    """
    at, found = tables.events.c, dict[int, bytes]()
    for start in range(0, len(numbers), _TOGETHER):
        query = select(at.number, at.payload).where(at.number.in_(numbers[start : start + _TOGETHER]))
        found.update((row.number, row.payload) for row in connection.execute(query))
    return [_event(number, found.get(number)) for number in numbers]


def envelopes(connection: Connection) -> Generator[Signed, None, None]:
    """All events, the first first."""
    at = tables.events.c
    query = select(at.payload, at.keyid, at.signature).order_by(at.number)
    with connection.execution_options(yield_per=1000).execute(query) as rows:  # closed though not all are read
        for row in rows:
            yield Signed(row.payload, row.keyid, row.signature)


def append(
    database: Database,
    body: Callable[[Tables], Body] | Body,
    identity: Identity,
    *,
    at: str,
    prepare: Callable[[Connection], None] | None = None,
) -> tuple[Event, Head]:
    """Add an event, signed, with all that follows from it, in one transaction.

    Args:
        database: where.
        body: what it says; or what makes it, from the state that it will follow on.
        identity: who signs.
        at: now.
        prepare: what else is written with it.

    Raises:
        RefusedError: the policy does not permit it.
        OvertakenError: others were first, again and again.
        RegistryError: the clock is behind the log's.
    """
    for _ in range(ATTEMPTS):
        try:
            with database.writing() as connection:
                return _append(connection, body, identity, at=at, prepare=prepare)
        except RacedError:
            continue
        except DBAPIError as error:
            raise _told(error) from None
    raise OvertakenError("others wrote first, again and again; nothing was written", todo="Try again")


def write(connection: Connection, event: Event, envelope: Signed) -> str:
    """Write an event that is signed, and what it is found by; the state is left to `advance`.

    Returns:
        Its hash.
    """
    found = envelope.hash
    row = {"hash": found, "payload": envelope.payload, "keyid": envelope.keyid, "signature": envelope.signature}
    connection.execute(tables.events.insert().values(number=event.number, **row))
    connection.execute(tables.entries.insert().values(**entry(event)))
    return found


def _append(
    connection: Connection,
    body: Callable[[Tables], Body] | Body,
    identity: Identity,
    *,
    at: str,
    prepare: Callable[[Connection], None] | None,
) -> tuple[Event, Head]:
    last = head(connection)
    if last is not None:
        at = _in_order(at, event_of(connection, last.number).at)
    view = Tables(connection)
    event = Event(
        number=1 if last is None else last.number + 1,
        previous=ORIGIN if last is None else last.hash,
        at=at,
        by=identity.keyid,
        body=body(view) if callable(body) else body,
    )
    payload = event.dumps()
    advance(parse(payload), view)  # as whoever verifies it will read it
    if prepare is not None:
        prepare(connection)
    found = write(connection, event, Signed(payload, identity.keyid, identity.sign(pae(payload))))
    return event, Head(event.number, found)


def _event(number: int, payload: bytes | None) -> Event:
    try:
        if payload is None:
            raise ValueError
        return parse(payload)
    except (ValueError, TypeError):
        raise IntegrityError(
            "is missing or damaged", where=f"event {number:,}", todo="Run `zogan registry verify`"
        ) from None


def _hashed(connection: Connection, number: int) -> str:
    """An event's hash, if its bytes have it."""
    at = tables.events.c
    row = connection.execute(select(tables.events).where(at.number == number)).one()
    if Signed(row.payload, row.keyid, row.signature).hash != row.hash:
        raise IntegrityError("is not what it was", where=f"event {number:,}", todo="Run `zogan registry verify`")
    found: str = row.hash
    return found


def _in_order(now: str, last: str) -> str:
    """The time of an event behind one at `last`."""
    behind = datetime.fromisoformat(last) - datetime.fromisoformat(now)
    if behind > timedelta(seconds=SKEW_SECONDS):
        raise RegistryError(f"the clock says {now}, and the last event was written at {last}", todo="Set the clock")
    return max(now, last)


def _told(error: DBAPIError) -> ZoganError:
    line = " ".join(str(error.orig).split())
    return RegistryError(f"the database did not take it; nothing was written: {line}")
