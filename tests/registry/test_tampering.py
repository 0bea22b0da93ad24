"""Two hundred events and their files, harmed in every way that one byte, row or file can be: all of it is found.

Harms that lie far enough apart are made at once, so that one `verify` answers for many of them; some are made alone.
"""

from __future__ import annotations

import random
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from people import Team, team
from zogan.registry.log import Head
from zogan.registry.policy import Policy
from zogan.registry.registry import Registry
from zogan.registry.verify import Verified

EVENTS = 200
APART = 3
"""Of harms that are made at once: what one does to the next event is not taken for another's."""

Row = tuple[int, str, bytes, str, bytes]
"""Number, hash, payload, keyid, signature."""

Item = TypeVar("Item")


class Intruder:
    """Someone who writes the database as he likes, turns the triggers off and on again, and can take it all back."""

    def __init__(self, folder: Path, head: Head) -> None:
        self.folder, self.head = folder, head
        self.connection = sqlite3.connect(folder / "registry.db", isolation_level=None)
        self.connection.execute("PRAGMA synchronous=OFF")
        self.rows: list[Row] = self.connection.execute(
            "SELECT number, hash, payload, keyid, signature FROM events ORDER BY number"
        ).fetchall()
        self.entries = self.connection.execute("SELECT * FROM entries ORDER BY number").fetchall()
        self.registry = Registry(str(folder / "registry.db"), str(folder / "blobs"), unproved=True)

    @contextmanager
    def untriggered(self) -> Iterator[None]:
        run = self.connection.execute
        run("BEGIN IMMEDIATE")
        triggers = dict(run("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall())
        for name in triggers:
            run(f"DROP TRIGGER {name}")
        yield
        for sql in triggers.values():
            run(sql)
        run("COMMIT")

    def puts(self, rows: list[Row], entries: list[tuple[object, ...]] | None = None) -> None:
        """Put a whole log in place of what is there."""
        entries = self.entries if entries is None else entries
        with self.untriggered():
            self.connection.execute("DELETE FROM events")
            self.connection.execute("DELETE FROM entries")
            self.connection.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?)", rows)
            self.connection.executemany("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?)", entries)

    def found(self, rows: list[Row], entries: list[tuple[object, ...]] | None = None) -> Verified:
        """What is found of another log; the old one is put back."""
        self.puts(rows, entries)
        try:
            return self.verify()
        finally:
            self.puts(self.rows)

    def verify(self, *, files: bool = False) -> Verified:
        return self.registry.verify(written_down=self.head, full=True, files=files)


@pytest.fixture(scope="module")
def intruder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Intruder]:
    made = long_history(tmp_path_factory.mktemp("tampered"))
    found = Intruder(made.folder, made.registry.head())
    assert len(found.rows) == EVENTS
    whole = found.verify(files=True)
    assert (whole.faults, whole.events) == ([], EVENTS)
    yield found
    whole = found.verify(files=True)
    assert (whole.faults, whole.events) == ([], EVENTS)
    found.connection.close()
    found.registry.close()


def long_history(folder: Path) -> Team:
    """Events of every kind."""
    made = team(folder)
    registry, owner = made.registry, made.owner
    patches = [made.approved(1), made.approved(2, layers=1), made.approved(3)]
    made.candidate(4)
    registry.reject(registry.patches()[0], "too slow", identity=made.reviewer, at=made.now())
    registry.retire(registry.patches()[0], "for good", identity=made.operator, at=made.now())
    count = 0
    while (left := EVENTS - registry.head().number) > 0:
        count += 1
        made.promote(patches[count % 3], f"task-{count % 7}/production")
        if left > 6 and count % 2:
            made.roll_back("base", f"task-{count % 7}/production")
        if left > 6 and not count % 3:
            registry.rule(Policy(approval_days=count), f"change {count}", identity=owner, at=made.now())
        if left > 6 and not count % 4:
            registry.enrol(f"Mia {count}", f"{count:064x}", ("engineer",), identity=owner, at=made.now())
            registry.revoke(f"Mia {count}", "leaves", identity=owner, at=made.now())
    return made


@pytest.fixture(autouse=True)
def all_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[Verified.__module__], "MOST", 10**6)


def named(found: Verified, number: int) -> bool:
    """Whether an event is told as harmed, and not only for what the rules make of an earlier harm."""
    return any(one.number in (number, number + 1) and "the rules" not in one.what for one in found.faults)


def replaced(value: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(value))
    return value[:at] + bytes([value[at] ^ draw.randrange(1, 256)]) + value[at + 1 :]


def lengthened(value: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(value) + 1)
    return value[:at] + bytes([draw.randrange(256)]) + value[at:]


def shortened(value: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(value))
    return value[:at] + value[at + 1 :]


BYTES: tuple[Callable[[bytes, random.Random], bytes], ...] = (replaced, lengthened, shortened)


def harmed(row: Row, draw: random.Random) -> Row:
    """A row with one byte changed, put in or taken out, in any of its columns; most often in the payload."""
    at = draw.choice([1, 2, 2, 2, 3, 4])
    value = row[at]
    while True:
        if isinstance(value, bytes):
            other: bytes | str = draw.choice(BYTES)(value, draw)
        else:
            other = draw.choice(BYTES)(str(value).encode(), draw).decode("latin-1")
        if other != value:
            return (*row[:at], other, *row[at + 1 :])  # type: ignore[return-value]


def test_every_changed_byte_of_an_event_is_found(intruder: Intruder) -> None:
    draw, made = random.Random(1), 0
    for start in range(APART):
        for _ in range(10):
            places = range(start, EVENTS, APART)
            rows = list(intruder.rows)
            for place in places:
                rows[place] = harmed(rows[place], draw)
            found = intruder.found(rows)
            missed = [(place + 1, rows[place]) for place in places if not named(found, place + 1)]
            assert not missed
            made += len(places)
    assert made == 2000


def test_a_changed_byte_alone_is_found(intruder: Intruder) -> None:
    draw = random.Random(2)
    for place in [0, EVENTS - 1, *(draw.randrange(EVENTS) for _ in range(18))]:
        row = harmed(intruder.rows[place], draw)
        found = intruder.found([*intruder.rows[:place], row, *intruder.rows[place + 1 :]])
        assert named(found, place + 1), row


def test_every_deletion_is_found(intruder: Intruder) -> None:
    for start in range(APART):
        gone = set(range(start + 1, EVENTS + 1, APART))
        found = intruder.found(
            [row for row in intruder.rows if row[0] not in gone],
            [row for row in intruder.entries if row[0] not in gone],
        )
        told = {one.number: one.what for one in found.faults if one.number and "are missing" in one.what}
        assert told.keys() == {number + 1 for number in gone - {EVENTS}}
        assert (EVENTS in gone) == any(f"its head was once event {EVENTS}" in one.what for one in found.faults)


def moved(rows: list[Row]) -> list[Row]:
    """Numbered without gaps, as a careful intruder leaves them."""
    return [(number, *row[1:]) for number, row in enumerate(rows, 1)]


def test_a_deletion_with_the_others_moved_up_is_found(intruder: Intruder) -> None:
    draw = random.Random(3)
    for place in [0, EVENTS - 1, *(draw.randrange(EVENTS) for _ in range(8))]:
        entries = [(number, *one[1:]) for number, one in enumerate(without(intruder.entries, place), 1)]
        found = intruder.found(moved(without(intruder.rows, place)), entries)
        assert any(f"its head was once event {EVENTS}" in one.what for one in found.faults)
        assert place == EVENTS - 1 or named(found, place + 1)


def without(items: list[Item], place: int) -> list[Item]:
    return [*items[:place], *items[place + 1 :]]


def test_every_swap_of_neighbours_is_found(intruder: Intruder) -> None:
    for start in range(APART):
        rows, places = list(intruder.rows), range(start, EVENTS - 1, APART)
        for place in places:
            rows[place], rows[place + 1] = rows[place + 1], rows[place]
        found = intruder.found(moved(rows))
        for place in places:
            assert any(one.number == place + 1 and "says of itself" in one.what for one in found.faults), place + 1


def test_an_insertion_is_found_wherever_it_is_made(intruder: Intruder) -> None:
    draw = random.Random(4)
    for place in [0, EVENTS, *(draw.randrange(EVENTS) for _ in range(10))]:
        again = intruder.rows[draw.randrange(EVENTS)]
        rows = moved([*intruder.rows[:place], again, *intruder.rows[place:]])
        old = [*intruder.entries[:place], intruder.entries[again[0] - 1], *intruder.entries[place:]]
        found = intruder.found(rows, [(number, *one[1:]) for number, one in enumerate(old, 1)])
        assert any(one.number in (place + 1, place + 2) and "does not follow" in one.what for one in found.faults), (
            place
        )


def test_every_cut_is_found_against_the_head(intruder: Intruder) -> None:
    draw = random.Random(5)
    for length in [0, 1, EVENTS - 1, *(draw.randrange(2, EVENTS - 1) for _ in range(12))]:
        found = intruder.found(intruder.rows[:length], intruder.entries[:length])
        assert any(f"its head was once event {EVENTS}" in one.what for one in found.faults), length


def test_every_changed_byte_of_a_file_is_found(intruder: Intruder) -> None:
    draw, blobs = random.Random(6), intruder.registry.blobs
    paths = sorted(path for path in (intruder.folder / "blobs").rglob("*") if path.is_file())
    for count in range(500):
        path = paths[count % len(paths)]
        content = path.read_bytes()
        path.write_bytes(
            content[: draw.randrange(len(content))] if not count % 7 else draw.choice(BYTES)(content, draw)
        )
        digest = path.parent.name + path.name
        assert blobs.fault(digest) == "the file is not what it was"
        if count % 50 == 0:
            assert [one.what for one in intruder.verify(files=True).faults] == [
                f"the file is not what it was: {digest[:12]}"
            ]
        path.write_bytes(content)
        assert blobs.fault(digest) is None


def test_a_file_that_is_said_to_have_been_left_out_is_told(intruder: Intruder) -> None:
    path = next(path for path in sorted((intruder.folder / "blobs").rglob("*")) if path.is_file())
    content = path.read_bytes()
    path.unlink()
    path.with_name(f"{path.name}.left-out").touch()
    assert intruder.verify(files=True).left_out == 1
    path.with_name(f"{path.name}.left-out").unlink()
    path.write_bytes(content)
