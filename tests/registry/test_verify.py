"""Whatever is done to the log, the tables or the files behind the registry's back is found, and nothing else is."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from people import Team, later, team
from zogan.errors import IntegrityError, ZoganError
from zogan.registry.log import Head
from zogan.registry.registry import Registry
from zogan.registry.verify import Verified


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Team:
    """A registry with some history; to be read alone."""
    made = team(tmp_path_factory.mktemp("written"))
    first, second = made.approved(1), made.approved(2, layers=1)
    made.promote(first)
    made.promote(second)
    made.roll_back()
    made.registry.close()
    return made


@pytest.fixture
def copy(written: Team, tmp_path: Path) -> Path:
    """A copy of its folder."""
    return Path(shutil.copytree(written.folder, tmp_path / "copy"))


def verified(folder: Path, head: Head | None = None, *, full: bool = True) -> Verified:
    """What a machine finds that has kept at most that head."""
    with Registry(str(folder / "registry.db"), str(folder / "blobs"), unproved=True) as registry:
        return registry.verify(written_down=head, full=full)


def tamper(folder: Path, *statements: str) -> None:
    """Change the database with its triggers off, and put them back on: all that a careful intruder would do."""
    with closing(sqlite3.connect(folder / "registry.db", isolation_level=None)) as connection:
        triggers = dict(connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall())
        for name in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.execute(statement)
        for sql in triggers.values():
            connection.execute(sql)


def test_what_was_not_changed_is_whole(written: Team, copy: Path) -> None:
    head = Registry(str(copy / "registry.db"), str(copy / "blobs")).head()
    found = verified(copy, head)
    assert not found.faults
    assert found.events == found.signatures == 13
    assert found.blobs > 8
    assert found.head == head
    del written


@pytest.mark.parametrize("statement", ["UPDATE events SET hash = hash", "DELETE FROM events WHERE number = 3"])
def test_the_database_itself_refuses_a_change(copy: Path, statement: str) -> None:
    with (
        closing(sqlite3.connect(copy / "registry.db")) as connection,
        pytest.raises(sqlite3.IntegrityError, match="never"),
    ):
        connection.execute(statement)


def test_the_database_itself_refuses_a_number_that_is_taken_or_leaves_a_gap(copy: Path) -> None:
    with closing(sqlite3.connect(copy / "registry.db")) as connection:
        again = "INSERT OR REPLACE INTO events SELECT ?, hash, payload, keyid, signature FROM events WHERE number = 3"
        for number in (3, 99):
            with pytest.raises(sqlite3.IntegrityError, match="without gaps"):
                connection.execute(again, (number,))


def flipped(value: bytes | str, random: random.Random) -> bytes | str:
    """The same with another byte somewhere."""
    if isinstance(value, str):
        place = random.randrange(len(value))
        other = random.choice([one for one in "0123456789abcdef{" if one != value[place]])
        return value[:place] + other + value[place + 1 :]
    place = random.randrange(len(value))
    return value[:place] + bytes([value[place] ^ random.randrange(1, 256)]) + value[place + 1 :]


@pytest.mark.parametrize("column", ["hash", "payload", "keyid", "signature"])
def test_a_changed_byte_is_found(copy: Path, column: str) -> None:
    draw = random.Random(column)
    for number in range(1, 14):
        with closing(sqlite3.connect(copy / "registry.db")) as connection:
            (old,) = connection.execute(f"SELECT {column} FROM events WHERE number = ?", (number,)).fetchone()
        changed(copy, column, number, flipped(old, draw))
        found = verified(copy)
        assert any(one.number in (number, number + 1) for one in found.faults), (column, number, found.faults)
        changed(copy, column, number, old)
    assert not verified(copy).faults


def changed(folder: Path, column: str, number: int, value: bytes | str) -> None:
    """Write a value into a column of an event."""
    literal = f"x'{value.hex()}'" if isinstance(value, bytes) else "'" + value.replace("'", "''") + "'"
    tamper(folder, f"UPDATE events SET {column} = {literal} WHERE number = {number}")


@pytest.mark.parametrize("value", ["17", "'text'", "x''", "x'ff00'", "1.5"])
@pytest.mark.parametrize("column", ["hash", "payload", "keyid", "signature"])
def test_any_kind_of_value_in_any_column_is_found(copy: Path, column: str, value: str) -> None:
    tamper(copy, f"UPDATE events SET {column} = {value} WHERE number = 5")
    assert any(one.number == 5 for one in verified(copy).faults)


CHANGES: dict[str, tuple[str, ...]] = {
    "deletion": ("DELETE FROM events WHERE number = 6", "DELETE FROM entries WHERE number = 6"),
    "deletion with the others moved up": (
        "DELETE FROM events WHERE number = 6",
        "DELETE FROM entries WHERE number = 6",
        "UPDATE events SET number = number - 1 WHERE number > 6",
        "UPDATE entries SET number = number - 1 WHERE number > 6",
    ),
    "swap": (
        "UPDATE events SET number = 100 WHERE number = 7",
        "UPDATE events SET number = 7 WHERE number = 8",
        "UPDATE events SET number = 8 WHERE number = 100",
    ),
    "insertion of an event that was signed": (
        "INSERT INTO events SELECT 14, hash, payload, keyid, signature FROM events WHERE number = 12",
        "INSERT INTO entries SELECT 14, at, kind, by, patch, alias FROM entries WHERE number = 12",
    ),
    "first event gone": ("DELETE FROM events WHERE number = 1", "DELETE FROM entries WHERE number = 1"),
    "key swapped for another's": (
        "UPDATE events SET keyid = (SELECT keyid FROM events WHERE number = 1) WHERE number = 8",
    ),
    "alias moved in the tables alone": (
        "UPDATE aliases SET document = replace(document, '\"since\":13', '\"since\":12')",
    ),
    "stage raised": ("UPDATE patches SET stage = 'production' WHERE stage = 'approved'",),
    "role raised": ("UPDATE people SET document = replace(document, 'engineer', 'owner')",),
    "policy softened": ("UPDATE policies SET document = replace(document, '\"approvals\":1', '\"approvals\":0')",),
    "standing made up": ("INSERT INTO standings VALUES ('support/production', 'abc', 3)",),
    "found by another time": ("UPDATE entries SET at = '2026-02-01T00:00:00+00:00' WHERE number = 12",),
    "found by another patch": ("UPDATE entries SET patch = NULL WHERE number = 12",),
    "found no more": ("DELETE FROM entries WHERE number = 12",),
    "tensor hidden": ("DELETE FROM tensors WHERE tensor = (SELECT min(tensor) FROM tensors)",),
    "patch hidden": ("DELETE FROM patches WHERE number = 5",),
    "patch made up": (
        "INSERT INTO patches SELECT 'aa', number, base, parent, stage, tensors, document FROM patches LIMIT 1",
    ),
}


@pytest.mark.parametrize("statements", CHANGES.values(), ids=CHANGES)
def test_what_was_done_to_the_tables_is_found(copy: Path, statements: tuple[str, ...]) -> None:
    tamper(copy, *statements)
    assert verified(copy).faults


@pytest.mark.parametrize("gone", [1, 5, 12])
def test_a_cut_is_found_by_a_head_that_was_kept(copy: Path, gone: int) -> None:
    with Registry(str(copy / "registry.db"), str(copy / "blobs")) as registry:
        head = registry.head()
    tamper(
        copy,
        f"DELETE FROM events WHERE number > {13 - gone}",
        f"DELETE FROM entries WHERE number > {13 - gone}",
    )
    found = verified(copy, head)
    assert any("was once event 13" in one.what for one in found.faults)
    with pytest.raises(IntegrityError, match="event 13 is not there as this machine has seen it"):
        Registry(str(copy / "registry.db"), str(copy / "blobs"), memory=kept(copy, head))


def kept(folder: Path, head: Head) -> Path:
    """A machine's memory of a head."""
    from zogan.registry.remembered import Remembered

    file = folder / "kept.json"
    Remembered(file, str((folder / "registry.db").resolve())).keep(head)
    return file


def test_a_log_in_the_place_of_another_is_found_by_a_head(written: Team, tmp_path: Path) -> None:
    with Registry(str(written.folder / "registry.db"), str(written.folder / "blobs")) as registry:
        head = registry.head()
    other = team(tmp_path / "other")
    for number in range(1, 5):
        other.approved(number)
    other.registry.close()
    assert not verified(other.folder).faults
    found = verified(other.folder, head)
    assert [one.what for one in found.faults] == [f"is not the event of the head that was kept, 13:{head.hash[:12]}…"]


def test_triggers_that_are_gone_are_told(copy: Path) -> None:
    with closing(sqlite3.connect(copy / "registry.db")) as connection:
        connection.execute("DROP TRIGGER events_not_deleted")
    assert [str(one) for one in verified(copy).faults] == [
        "the database lacks the trigger events_not_deleted, and would let events be changed"
    ]


def damaged(path: Path) -> None:
    """Another byte in a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("harm", [damaged, Path.unlink], ids=["changed", "gone"])
def test_a_file_that_is_not_what_it_was_is_found(copy: Path, harm: Callable[[Path], None]) -> None:
    for path in sorted((copy / "blobs").rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            harm(path)
            name = path.parent.name + path.name
            assert [one.what.rpartition(" ")[2] for one in verified(copy).faults] == [name[:12]]
            path.write_bytes(content)


def test_a_byte_of_the_database_file_never_ends_it_with_a_crash(copy: Path) -> None:
    draw, path = random.Random(5), copy / "registry.db"
    with Registry(str(path), str(copy / "blobs")) as registry:
        head = registry.head()
    content = path.read_bytes()
    for _ in range(60):
        place = draw.randrange(4096, len(content))
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x41]) + content[place + 1 :])
        with suppress(ZoganError):  # refused as damaged, and nothing else
            verified(copy, head)
    path.write_bytes(content)
    assert not verified(copy, head).faults


def test_an_event_that_the_rules_forbid_is_found_though_it_is_signed_and_chained(copy: Path, written: Team) -> None:
    from zogan.registry.envelope import Signed, pae
    from zogan.registry.event import Enrolled, Event

    with Registry(str(copy / "registry.db"), str(copy / "blobs")) as registry:
        head = registry.head()
    body = Enrolled(name="Eve", public="ab" * 32, roles=("owner",))
    event = Event(number=14, previous=head.hash, at=later(days=1), by=written.engineer.keyid, body=body)
    payload = event.dumps()
    one = Signed(payload, written.engineer.keyid, written.engineer.sign(pae(payload)))
    tamper(
        copy,
        f"INSERT INTO events VALUES (14, '{one.hash}', x'{payload.hex()}', '{one.keyid}', x'{one.signature.hex()}')",
        f"INSERT INTO entries VALUES (14, '{event.at}', 'enrol', '{event.by}', NULL, NULL)",
    )
    assert [str(fault) for fault in verified(copy).faults] == [
        "event 14: the rules do not permit it: Eva (engineer) may not enrol or revoke people"
    ]


def test_an_event_that_is_too_large_is_found(copy: Path, written: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    from zogan.registry import event as module
    from zogan.registry.envelope import Signed, pae
    from zogan.registry.event import LARGEST_BYTES, Added, Event

    with Registry(str(copy / "registry.db"), str(copy / "blobs")) as registry:
        head, added = registry.head(), registry.log(patch=registry.patches()[0].digest)[-1].body
    assert isinstance(added, Added)
    body = added.model_copy(update={"patch": "ab" * 32, "labels": ("x" * LARGEST_BYTES,)})  # else as it may be
    event = Event(number=14, previous=head.hash, at=later(days=1), by=written.engineer.keyid, body=body)
    with monkeypatch.context() as patched:
        patched.setattr(module, "LARGEST_BYTES", 2**30)
        payload = event.dumps()
    one = Signed(payload, written.engineer.keyid, written.engineer.sign(pae(payload)))
    tamper(
        copy,
        f"INSERT INTO events VALUES (14, '{one.hash}', x'{payload.hex()}', '{one.keyid}', x'{one.signature.hex()}')",
        f"INSERT INTO entries VALUES (14, '{event.at}', 'add', '{event.by}', '{body.patch}', NULL)",
    )
    assert [str(fault) for fault in verified(copy).faults] == ["event 14: is no event that this zogan reads"]


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Team]:
    made = team(tmp_path / "alone")
    yield made
    made.registry.close()


def test_signatures_that_were_checked_here_are_not_checked_again(alone: Team) -> None:
    alone.candidate(1)
    assert alone.registry.verify().signatures == 6
    alone.candidate(2)
    again = alone.registry.verify()
    assert (again.events, again.signatures, again.faults) == (8, 2, [])
    assert alone.registry.verify(full=True, processes=1).signatures == 8


def test_only_what_is_new_is_read(alone: Team) -> None:
    digest = alone.approved(1)
    assert alone.registry.verify(new=True).events == 7  # nothing was verified here before
    alone.promote(digest)
    again = alone.registry.verify(new=True)
    assert (again.events, again.signatures, again.faults) == (1, 1, [])
    alone.registry.close()
    tamper(alone.folder, "UPDATE events SET signature = zeroblob(64) WHERE number = 8")
    with Registry(str(alone.folder / "registry.db"), memory=alone.folder / "heads.json", unproved=True) as registry:
        assert any("signature" in one.what for one in registry.verify(new=True).faults)
    tamper(alone.folder, "UPDATE events SET payload = zeroblob(9) WHERE number = 7")
    with Registry(str(alone.folder / "registry.db"), memory=alone.folder / "heads.json", unproved=True) as registry:
        assert any(one.number == 7 for one in registry.verify(new=True).faults)


def test_several_processes_find_the_same(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from zogan.registry import signatures

    monkeypatch.setattr(signatures, "_WORTH", 4)
    monkeypatch.setattr(signatures, "_BATCH", 2)
    with Registry(str(copy / "registry.db"), str(copy / "blobs"), unproved=True) as registry:
        assert not registry.verify(processes=2).faults
    tamper(copy, "UPDATE events SET signature = zeroblob(64) WHERE number = 9")
    with Registry(str(copy / "registry.db"), str(copy / "blobs"), unproved=True) as registry:
        faults = [one.what for one in registry.verify(processes=2).faults if one.number == 9]
    assert "its signature is not that of the key that it names" in faults
