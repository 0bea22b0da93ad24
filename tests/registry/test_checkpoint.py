"""What was proved here before is not worked out anew, and whatever was changed since is found all the same."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import zogan
from made_up import AT, OPERATOR, Place, add, evaluate, key
from zogan.registry import reader
from zogan.registry.registry import Registry
from zogan.registry.verify import Verified


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A registry with two patches in production, the second in place of the first."""
    made = Place(tmp_path)
    made.begin(1)
    with made.open() as registry:
        for name in ("first", "second"):
            bring(registry, name)
    verified(made)
    return made


def bring(registry: Registry, name: str) -> None:
    patch = registry.find(str(add(registry, name).patch))
    evaluate(registry, patch, name)
    registry.approve(registry.find(patch.digest), identity=key("reviewer 0"), at=AT)
    standing = [one.patch for one in registry.aliases()]
    instead = standing[0] if standing else None
    registry.promote(registry.find(patch.digest), "support/production", instead=instead, identity=OPERATOR, at=AT)


def verified(place: Place, *, full: bool = False) -> Verified:
    with Registry(str(place.folder / "registry.db"), memory=place.folder / "heads.json", unproved=True) as registry:
        return registry.verify(files=False, full=full)


def kept(place: Place) -> Path:
    (found,) = place.folder.glob("*.proved")
    return found


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of the events that were read one by one."""
    numbers: list[int] = []
    take = reader.Reader.take

    def counted(self: reader.Reader, row: tuple[object, ...]) -> None:
        numbers.append(int(str(row[0])))
        take(self, row)

    monkeypatch.setattr(reader.Reader, "take", counted)
    return numbers


def test_only_what_is_new_is_read_one_by_one(place: Place, taken: list[int]) -> None:
    assert verified(place).events == 12
    assert taken == []
    with place.open() as registry:
        bring(registry, "third")
    again = verified(place)
    assert (again.events, again.signatures, again.faults) == (16, 4, [])
    assert taken == [13, 14, 15, 16]
    assert verified(place).faults == []
    assert len(taken) == 4
    assert verified(place, full=True).signatures == 16


CHANGES = (
    "UPDATE events SET payload = replace(payload, 'accuracy', 'accuracx') WHERE number = 6",
    "UPDATE events SET hash = keyid WHERE number = 6",
    "UPDATE events SET signature = zeroblob(64) WHERE number = 6",
    "UPDATE events SET signature = 'text' WHERE number = 6",
    "DELETE FROM events WHERE number = 6",
    "DELETE FROM events WHERE number = 12",
    "DELETE FROM events WHERE number = 1",
    "UPDATE events SET number = -1 WHERE number = 6",
    "UPDATE entries SET alias = 'sales/production' WHERE number = 8",
    "UPDATE entries SET at = 5 WHERE number = 8",
    "DELETE FROM entries WHERE number = 8",
    "INSERT INTO entries SELECT 99, at, kind, by, patch, alias FROM entries WHERE number = 8",
    "UPDATE patches SET stage = 'production'",
    "UPDATE patches SET parent = base",
    "UPDATE patches SET document = replace(document, '0.75', '0.76')",
    "UPDATE patches SET document = x'00'",
    "DELETE FROM patches WHERE number = 5",
    "INSERT INTO patches SELECT 'aa', number, base, parent, stage, tensors, document FROM patches LIMIT 1",
    "UPDATE people SET document = replace(document, 'engineer', 'owner')",
    "UPDATE policies SET document = replace(document, '\"approvals\":1', '\"approvals\":0')",
    "UPDATE aliases SET document = replace(document, '\"since\":1', '\"since\":2')",
    "INSERT INTO standings VALUES ('support/production', 'abc', 3)",
    "DELETE FROM standings WHERE number = 8",
    "DELETE FROM tensors",
    "INSERT INTO tensors VALUES ('layer.9', 'aa')",
)


@pytest.mark.parametrize("more", [False, True], ids=["as it was", "with more since"])
@pytest.mark.parametrize("statement", CHANGES)
def test_the_same_is_found_as_without_it(place: Place, statement: str, more: bool) -> None:
    if more:
        with place.open() as registry:
            bring(registry, "third")
    with closing(sqlite3.connect(place.folder / "registry.db", isolation_level=None)) as connection:
        triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute(statement)
        for _, sql in triggers:
            connection.execute(sql)
    found = verified(place)
    assert found.faults
    kept(place).unlink()
    assert verified(place).faults == found.faults


@pytest.mark.parametrize("harm", ["byte", "cut", "empty", "gone", "version"])
def test_one_that_is_not_whole_is_not_believed(
    place: Place, harm: str, taken: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = kept(place)
    content = file.read_bytes()
    if harm == "byte":
        file.write_bytes(content.replace(b"production", b"produktion", 1))
    elif harm == "cut":
        file.write_bytes(content[: len(content) // 2])
    elif harm == "empty":
        file.write_bytes(b"")
    elif harm == "gone":
        file.unlink()
    else:
        monkeypatch.setattr(zogan, "__version__", "0.0.1")
    again = verified(place)
    assert (again.events, again.signatures, again.faults) == (12, 0, [])
    assert len(taken) == 12
    assert verified(place).events == 12
    assert len(taken) == 12  # it was written anew


def test_one_of_another_head_is_not_believed(place: Place, taken: list[int]) -> None:
    old = kept(place).read_bytes()
    with place.open() as registry:
        bring(registry, "third")
    verified(place)
    kept(place).write_bytes(old)
    del taken[:]
    assert verified(place).faults == []
    assert len(taken) == 16


def test_a_new_registry_in_its_place_begins_without_it(place: Place) -> None:
    file = kept(place)
    for one in place.folder.glob("registry.db*"):
        one.unlink()
    Registry.create(
        str(place.folder / "registry.db"),
        identity=OPERATOR,
        name="Olga",
        registry="d" * 32,
        at=AT,
        memory=place.folder / "heads.json",
    ).close()
    assert not file.exists()


def test_files_that_were_named_before_are_hashed_still(place: Place) -> None:
    url, memory = str(place.folder / "registry.db"), place.folder / "heads.json"
    with Registry(url, str(place.folder / "blobs"), memory=memory) as registry:
        whole = registry.verify()
        assert whole.blobs == registry.verify(full=True).blobs > 5
        victim = registry.find("support/production").file
        (place.folder / "blobs" / victim[:2] / victim[2:]).write_bytes(b"other")
        assert [str(one) for one in registry.verify().faults] == [
            f"event 9: the file is not what it was: {victim[:12]}"
        ]
