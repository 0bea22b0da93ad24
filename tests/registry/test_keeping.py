"""Files and copies: nothing twice, nothing lost, nothing that was changed comes back."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from people import Team, later, team
from zogan.errors import ConfigError, IntegrityError, ZoganError
from zogan.registry.blobs import Blobs
from zogan.registry.database import Database, RegistryError
from zogan.registry.log import Head
from zogan.registry.migrations import LATEST
from zogan.registry.registry import Registry


@pytest.fixture
def here(tmp_path: Path) -> Team:
    return team(tmp_path / "registry")


@pytest.mark.parametrize("url", ["folder", "memory://zogan-blobs"])
def test_a_file_is_kept_once_by_its_content(tmp_path: Path, url: str) -> None:
    blobs = Blobs(url if "://" in url else str(tmp_path / url))
    (tmp_path / "file").write_bytes(b"content")
    digest = blobs.put(b"content")
    assert digest == blobs.put(tmp_path / "file")
    assert blobs.get(digest) == b"content"
    assert blobs.fault(digest) is None
    assert [name for _, name, _ in blobs.names()] == [digest]
    assert blobs.fault("0" * 64) == "the file is missing"
    with pytest.raises(IntegrityError, match="the file is missing"):
        blobs.get("0" * 64)
    (path,) = (path for path, _, _ in blobs.names())
    assert blobs.remove(path) == 7


@pytest.mark.parametrize("name", ["../../secret", "/etc/passwd", "ab", "A" * 64, "a" * 64 + "\n", "..", ""])
def test_a_name_that_is_no_hash_reaches_no_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_bytes(b"content")
    blobs = Blobs(str(tmp_path / "blobs"))
    for ask in (blobs.get, blobs.fault, blobs.holds, blobs.leave_out):
        with pytest.raises(IntegrityError, match="is no SHA-256"):
            ask(name)


def test_a_storage_that_nothing_serves_is_told() -> None:
    with pytest.raises(ConfigError, match=r"registry\.blobs"):
        Blobs("nothing-like-it://bucket")


def test_a_database_of_another_kind_is_refused() -> None:
    with pytest.raises(ConfigError, match="'mysql' is no database for a registry"):
        Database("mysql://host/registry")


def test_only_what_no_event_names_and_what_is_old_is_collected(here: Team) -> None:
    here.approved(1)
    blobs = here.registry.blobs
    old, young = blobs.put(b"left behind"), blobs.put(b"being written")
    partial = here.folder / "blobs" / old[:2] / f"{old[2:]}.17.partial"
    partial.write_bytes(b"half")
    day_ago = partial.stat().st_mtime - 2 * 86400
    for path in (here.folder / "blobs").rglob("*"):
        if path.is_file() and path.name != young[2:]:
            os.utime(path, (day_ago, day_ago))
    at = later("1970-01-01T00:00:00+00:00", seconds=int(day_ago + 2 * 86400))
    counted = here.registry.collect(at=at, dry=True)
    assert (counted.removed, counted.young) == (2, 1)
    assert here.registry.collect(at=at).removed_bytes == len(b"left behind") + len(b"half")
    assert blobs.fault(old) == "the file is missing"
    assert blobs.fault(young) is None
    assert not here.registry.verify().faults


def test_a_copy_comes_back_as_it_was(here: Team, tmp_path: Path) -> None:
    here.promote(here.approved(1))
    found = here.registry.backup(tmp_path / "copy")
    assert (found.events, found.head) == (8, here.registry.head())
    with pytest.raises(RegistryError, match="exists already"):
        here.registry.backup(tmp_path / "copy")
    again = Registry.restore(tmp_path / "copy", str(tmp_path / "again.db"), memory=tmp_path / "heads.json")
    assert again.head == found.head
    with Registry(str(tmp_path / "again.db"), memory=tmp_path / "heads.json") as registry:
        assert not registry.verify(written_down=found.head, full=True).faults
        assert registry.aliases() == here.registry.aliases()
        assert registry.id == here.registry.id
    with pytest.raises(RegistryError, match="holds a registry already"):
        Registry.restore(tmp_path / "copy", str(tmp_path / "again.db"))


HARMS = {
    "byte": "event [45]",
    "line gone": "event 4: does not follow on",
    "last line gone": "and its head is 7:",
    "file": "is not what it was",
    "lines swapped": "event 4: does not follow on",
}


@pytest.mark.parametrize("harm", HARMS)
def test_a_changed_backup_is_not_restored(here: Team, tmp_path: Path, harm: str) -> None:
    here.approved(1)
    here.registry.backup(tmp_path / "copy")
    path = tmp_path / "copy" / "events.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    if harm == "byte":
        lines[3] = lines[3][:-12] + bytes([lines[3][-12] ^ 1]) + lines[3][-11:]
    elif harm == "line gone":
        del lines[3]
    elif harm == "last line gone":
        del lines[-1]
    elif harm == "lines swapped":
        lines[3], lines[4] = lines[4], lines[3]
    else:
        blob = next(one for one in sorted((tmp_path / "copy" / "blobs").rglob("*")) if one.is_file())
        blob.write_bytes(b"other")
    path.write_bytes(b"".join(lines))
    with pytest.raises(ZoganError, match=HARMS[harm]):
        Registry.restore(tmp_path / "copy", str(tmp_path / "again.db"))
    with pytest.raises(RegistryError, match="it holds no event"):
        Registry(str(tmp_path / "again.db"))


def test_no_copy_is_told(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=r"is no copy of a registry: it has no events.jsonl"):
        Registry.restore(tmp_path, str(tmp_path / "again.db"))


def test_a_head_is_read_as_it_is_written() -> None:
    head = Head(17, "ab" * 32)
    assert Head.parse(f" {head}\n") == head
    with pytest.raises(RegistryError, match="is no head"):
        Head.parse("17")


def test_the_tables_are_those_that_the_migrations_make(here: Team) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from zogan.registry.tables import metadata

    with here.registry.database.engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, metadata) == []
        assert context.get_current_revision() == LATEST


def test_tables_of_a_newer_zogan_are_refused(here: Team) -> None:
    with here.registry.database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(RegistryError, match="those of a newer zogan"):
        Registry(str(here.folder / "registry.db"))
