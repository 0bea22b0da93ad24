"""A registry in one file: it comes over whole, in parts and later on, and nothing forged comes with it."""

from __future__ import annotations

import hashlib
import json
import os
import random
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import rfc8785

from people import Team, later, team
from zogan.errors import IntegrityError, ZoganError
from zogan.registry.archive import Archive
from zogan.registry.blobs import LEFT_OUT
from zogan.registry.database import RegistryError
from zogan.registry.envelope import Signed, pae
from zogan.registry.event import LARGEST_BYTES, Added, Body, Enrolled, Event
from zogan.registry.exchange import DivergedError
from zogan.registry.identity import Identity
from zogan.registry.log import Head, envelopes
from zogan.registry.registry import Registry

HERE = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Team:
    """A registry with two approved patches, of which the first is in production; and archives of it."""
    made = team(tmp_path_factory.mktemp("sent"))
    first = made.approved(1)
    made.approved(2, layers=1)
    made.promote(first)
    made.registry.export(made.folder / "all.zogan")
    made.registry.export(made.folder / "production.zogan", aliases=["support/production"])
    return made


@pytest.fixture
def here(tmp_path: Path) -> Callable[..., Any]:
    """Imports into a place of the test's own."""

    def bring(file: Path, **more: Any) -> Any:
        return Registry.import_from(file, str(tmp_path / "here.db"), memory=tmp_path / "heads.json", **more)

    return bring


def opened(folder: Path) -> Registry:
    return Registry(str(folder / "here.db"), memory=folder / "heads.json")


def nothing_at(folder: Path) -> bool:
    """Whether no byte was written there."""
    return not any(path.name.startswith("here") for path in folder.iterdir())


def test_it_comes_over_whole(sent: Team, here: Callable[..., Any], tmp_path: Path) -> None:
    head = sent.registry.head()
    found = here(sent.folder / "all.zogan", head=head)
    assert (found.head, found.events, found.left_out) == (head, head.number, 0)
    with opened(tmp_path) as registry:
        checked = registry.verify(written_down=head, full=True)
        assert (checked.faults, checked.blobs, checked.left_out) == ([], found.blobs, 0)
        assert registry.id == sent.registry.id
        assert registry.aliases() == sent.registry.aliases()
        assert registry.patches() == sent.registry.patches()
        assert registry.touching("encoder.layer.1.output.dense.weight") == sent.registry.touching(
            "encoder.layer.1.output.dense.weight"
        )
        registry.export(tmp_path / "again.zogan")
    assert (tmp_path / "again.zogan").read_bytes() == (sent.folder / "all.zogan").read_bytes()
    again = here(sent.folder / "all.zogan")
    assert (again.events, again.blobs, again.head) == (0, 0, head)


def test_only_the_files_that_were_named_come_along(sent: Team, here: Callable[..., Any], tmp_path: Path) -> None:
    found = here(sent.folder / "production.zogan")
    assert found.left_out > 0
    with opened(tmp_path) as registry:
        checked = registry.verify()
        assert (checked.faults, checked.left_out) == ([], found.left_out)
        standing, other = registry.find("support/production"), registry.patches()[0]
        assert registry.blobs.fault(standing.file) is None
        assert registry.blobs.fault(other.file) == LEFT_OUT
        with pytest.raises(IntegrityError, match="patch: the file is not held here"):
            registry.promote(other, "support/pilot", instead=None, identity=sent.operator, at=later(days=1))
        with pytest.raises(IntegrityError, match="the file is not held here"):
            registry.export(tmp_path / "other.zogan", patches=[other.digest])
        assert not (tmp_path / "other.zogan").exists()
        for path in (tmp_path / "here-blobs").rglob("*"):
            os.utime(path, (0, 0))
        registry.collect(at="2026-12-01T00:00:00+00:00")
        registry.backup(tmp_path / "copy")
        registry.export(tmp_path / "again.zogan")
    Registry.restore(tmp_path / "copy", str(tmp_path / "restored.db"))
    with Registry(str(tmp_path / "restored.db")) as restored:
        assert restored.verify().left_out == found.left_out
    assert here(tmp_path / "again.zogan").events == 0
    more = here(sent.folder / "all.zogan")
    assert (more.events, more.blobs, more.left_out) == (0, found.left_out, 0)
    with opened(tmp_path) as registry:
        assert registry.verify(full=True).left_out == 0
        lost = tmp_path / "here-blobs" / other.file[:2] / other.file[2:]
        lost.unlink()
        assert "the file is missing" in registry.verify().faults[0].what  # no mark hides what was here


def test_the_bare_base_has_no_files(tmp_path: Path) -> None:
    made = team(tmp_path / "there")
    made.promote(made.approved(1))
    made.roll_back("base")
    with pytest.raises(RegistryError, match="the bare base stands at support/production"):
        made.registry.export(tmp_path / "base.zogan", aliases=["support/production"])
    made.registry.export(tmp_path / "all.zogan")
    with pytest.raises(RegistryError, match="exists already"):
        made.registry.export(tmp_path / "all.zogan")


def test_what_is_new_is_added_and_what_is_old_adds_nothing(tmp_path: Path, here: Callable[..., Any]) -> None:
    made = team(tmp_path / "there")
    made.candidate(1)
    made.registry.export(tmp_path / "old.zogan")
    here(tmp_path / "old.zogan")
    made.candidate(2)
    made.registry.export(tmp_path / "new.zogan")
    found = here(tmp_path / "new.zogan")
    assert (found.events, found.head) == (2, made.registry.head())
    assert found.blobs > 0
    older = here(tmp_path / "old.zogan")
    assert (older.events, older.blobs, older.archive.number, older.head) == (0, 0, 6, made.registry.head())
    with opened(tmp_path) as registry:
        assert not registry.verify(full=True).faults
        assert len(registry.patches()) == 2


def test_two_that_went_on_are_shown_and_not_merged(tmp_path: Path, here: Callable[..., Any]) -> None:
    made = team(tmp_path / "there")
    made.registry.export(tmp_path / "begun.zogan")
    common = here(tmp_path / "begun.zogan").head
    with opened(tmp_path) as registry:
        registry.enrol("Mia", "ab" * 32, ("engineer",), identity=made.owner, at=made.now())
        mine = registry.head()
    made.candidate(1)
    made.registry.export(tmp_path / "apart.zogan")
    with pytest.raises(DivergedError, match="both went on behind event 4: by 1 here, by 2 there") as told:
        here(tmp_path / "apart.zogan")
    assert told.value.common == common
    assert [one.body.kind for one in told.value.here.events] == ["enrol"]
    assert [one.body.kind for one in told.value.there.events] == ["add", "evaluate"]
    assert told.value.there.names[made.engineer.keyid] == "Eva"
    other = team(tmp_path / "other")
    other.registry.export(tmp_path / "other.zogan")
    with pytest.raises(DivergedError, match="it is another registry than the one here") as told:
        here(tmp_path / "other.zogan")
    assert (told.value.common, told.value.here.count, told.value.there.count) == (None, 5, 4)
    with opened(tmp_path) as registry:
        assert registry.head() == mine
        assert registry.verify(full=True).blobs == 0
    assert not list((tmp_path / "here-blobs").rglob("*"))


def test_a_head_that_came_another_way_holds(sent: Team, here: Callable[..., Any], tmp_path: Path) -> None:
    forged = team(tmp_path / "forged")
    forged.candidate(1)
    forged.registry.export(tmp_path / "forged.zogan")
    for head in (sent.registry.head(), Head(3, "ab" * 32), Head(900, "ab" * 32)):
        with pytest.raises(IntegrityError, match="does not lead to the head that was kept"):
            here(tmp_path / "forged.zogan", head=head)
    assert nothing_at(tmp_path)


def test_a_registry_that_is_gone_comes_back_no_older(tmp_path: Path, here: Callable[..., Any]) -> None:
    made = team(tmp_path / "there")
    made.registry.export(tmp_path / "old.zogan")
    made.candidate(1)
    made.registry.export(tmp_path / "new.zogan")
    here(tmp_path / "new.zogan")
    (tmp_path / "here.db").unlink()
    with pytest.raises(IntegrityError, match="does not lead to the head that was kept, 6:"):
        here(tmp_path / "old.zogan")
    assert here(tmp_path / "new.zogan").events == 6


KILLED = """
import os, sys
sys.path.insert(0, sys.argv[4])
from pathlib import Path
from zogan.registry import blobs, exchange
from zogan.registry.registry import Registry
left = int(sys.argv[3])
def dying(original):
    def run(*given, **more):
        global left
        left -= 1
        if left < 0:
            os._exit(9)
        return original(*given, **more)
    return run
blobs.Blobs.put = dying(blobs.Blobs.put)
exchange.write = dying(exchange.write)
Registry.import_from(Path(sys.argv[1]), sys.argv[2])
"""


@pytest.mark.parametrize("after", [3, 22])
def test_killed_halfway_nothing_is_half_done(sent: Team, here: Callable[..., Any], tmp_path: Path, after: int) -> None:
    archive = sent.folder / "all.zogan"
    source = str(Path(sys.modules["zogan"].__path__[0]).parent)
    ran = subprocess.run(
        [sys.executable, "-c", KILLED, str(archive), str(tmp_path / "here.db"), str(after), source], check=False
    )
    assert ran.returncode == 9
    if (tmp_path / "here.db").exists():
        with pytest.raises(RegistryError, match="it holds no event"):
            opened(tmp_path)
    assert here(archive).events == 11
    with opened(tmp_path) as registry:
        assert not registry.verify(full=True).faults


def members(file: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(file) as found:
        return {info.filename: found.read(info) for info in found.infolist()}


def info_of(name: str, mode: int = stat.S_IFREG | 0o644) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, mode << 16
    return info


def packed(file: Path, content: dict[str, bytes], *more: tuple[zipfile.ZipInfo, bytes]) -> None:
    """Write an archive as an attacker would: whatever it holds."""
    with zipfile.ZipFile(file, "w") as found:
        for name, one in content.items():
            found.writestr(info_of(name), one)
        for info, one in more:
            found.writestr(info, one)


def resealed(content: dict[str, bytes], **changes: Any) -> dict[str, bytes]:
    """The manifest made to fit the events again."""
    lines = content["events.jsonl"].splitlines()
    tree = json.loads(content["manifest.json"])
    text = content["events.jsonl"]
    tree |= {"events": len(lines), "size": len(text), "sha256": hashlib.sha256(text).hexdigest()}
    tree["head"] = f"{len(lines)}:{hashlib.sha256(lines[-1]).hexdigest()}"
    tree["blobs"] = {name.replace("/", "")[5:]: len(one) for name, one in content.items() if name.startswith("blobs/")}
    return {**content, "manifest.json": rfc8785.dumps({**tree, **changes})}


def compressed(name: str, content: bytes) -> tuple[zipfile.ZipInfo, bytes]:
    info = info_of(name)
    info.compress_type = zipfile.ZIP_DEFLATED
    return info, content


NEW = "blobs/ab/" + "c" * 62

NAMES: dict[str, list[tuple[zipfile.ZipInfo, bytes]]] = {
    "holds '../../etc/cron.d/zogan', which no": [(info_of("../../etc/cron.d/zogan"), b"x")],
    "holds '/tmp/zogan', which no": [(info_of("/tmp/zogan"), b"x")],
    r"holds 'blobs/\.\./": [(info_of("blobs/../" + "c" * 62), b"x")],
    r"holds 'blobs\\\\ab": [(info_of("blobs\\ab\\" + "c" * 62), b"x")],
    "holds 'blobs/ab/' *, which no": [(info_of("blobs/ab/", stat.S_IFDIR | 0o755), b"")],
    "as something else than a plain file": [(info_of(NEW, stat.S_IFLNK | 0o777), b"/etc/passwd")],
    "holds 'events.jsonl' twice": [(info_of("events.jsonl"), b"")],
    "is compressed, or longer than": [compressed(NEW, bytes(2**24))],
    "its files are not those of its manifest": [(info_of(NEW), b"x")],
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("told", NAMES)
def test_no_name_and_no_size_of_an_archive_is_believed(
    sent: Team, here: Callable[..., Any], tmp_path: Path, told: str
) -> None:
    packed(tmp_path / "hostile.zogan", members(sent.folder / "all.zogan"), *NAMES[told])
    with pytest.raises(IntegrityError, match=told):
        here(tmp_path / "hostile.zogan")
    assert nothing_at(tmp_path)


@pytest.mark.parametrize("field", [20, 24], ids=["stored", "original"])
def test_lengths_that_lie_are_refused(sent: Team, here: Callable[..., Any], tmp_path: Path, field: int) -> None:
    content = bytearray((sent.folder / "all.zogan").read_bytes())
    for size in (0, 1, 2**31, 2**32 - 2):
        at = content.rindex(b"PK\x01\x02") + field  # in the directory at its end
        changed = bytes(content[:at]) + size.to_bytes(4, "little") + bytes(content[at + 4 :])
        (tmp_path / "hostile.zogan").write_bytes(changed)
        with pytest.raises(IntegrityError, match=r"hostile\.zogan"):
            here(tmp_path / "hostile.zogan")
    assert nothing_at(tmp_path)


def appended(sent: Team, identity: Identity, body: Body, *, number: int | None = None) -> bytes:
    """One more event behind the archive's, signed and chained as it should be."""
    lines = members(sent.folder / "all.zogan")["events.jsonl"].splitlines()
    event = Event(
        number=number or len(lines) + 1,
        previous=hashlib.sha256(lines[-1]).hexdigest(),
        at=later(days=1),
        by=identity.keyid,
        body=body,
    )
    payload = event.dumps()
    return Signed(payload, identity.keyid, identity.sign(pae(payload))).dumps() + b"\n"


def events(sent: Team, change: Callable[[list[bytes]], None]) -> dict[str, bytes]:
    """The archive's files with other events, and a manifest that fits them."""
    content = members(sent.folder / "all.zogan")
    lines = content["events.jsonl"].splitlines(keepends=True)
    change(lines)
    return resealed({**content, "events.jsonl": b"".join(lines)})


def test_a_role_that_was_forged_is_found(sent: Team, here: Callable[..., Any], tmp_path: Path) -> None:
    eve = Enrolled(name="Eve", public="ab" * 32, roles=("owner",))
    packed(tmp_path / "a.zogan", events(sent, lambda lines: lines.append(appended(sent, sent.engineer, eve))))
    with pytest.raises(IntegrityError, match=r"event 12: the rules do not permit it: Eva \(engineer\) may not enrol"):
        here(tmp_path / "a.zogan")
    (tmp_path / "keys").mkdir()
    stranger = team(tmp_path / "keys").owner
    packed(tmp_path / "b.zogan", events(sent, lambda lines: lines.append(appended(sent, stranger, eve))))
    with pytest.raises(IntegrityError, match="event 12: is signed by a key that is not enrolled"):
        here(tmp_path / "b.zogan")
    content = members(sent.folder / "all.zogan")
    keys = json.loads(content["manifest.json"])["keys"]
    keys[1]["roles"] = ["engineer", "owner"]
    packed(tmp_path / "c.zogan", resealed(content, keys=keys))
    with pytest.raises(IntegrityError, match="its manifest names other people than its events"):
        here(tmp_path / "c.zogan")
    assert nothing_at(tmp_path)


def test_an_envelope_counts_once_and_in_its_own_registry(sent: Team, here: Callable[..., Any], tmp_path: Path) -> None:
    packed(tmp_path / "twice.zogan", events(sent, lambda lines: lines.insert(5, lines[4])))
    with pytest.raises(IntegrityError, match="event 6: does not follow on the event before it"):
        here(tmp_path / "twice.zogan")
    other = team(tmp_path / "other")
    with other.registry.database.reading() as connection:
        foreign = [one.dumps() + b"\n" for one in envelopes(connection)]
    packed(tmp_path / "foreign.zogan", events(sent, lambda lines: lines.__setitem__(3, foreign[3])))
    with pytest.raises(IntegrityError, match="event 4: does not follow on the event before it"):
        here(tmp_path / "foreign.zogan")
    packed(tmp_path / "again.zogan", events(sent, lambda lines: lines.append(foreign[0])))
    with pytest.raises(IntegrityError, match="event 12: does not follow on"):
        here(tmp_path / "again.zogan")
    assert nothing_at(tmp_path)


def test_an_event_that_is_too_large_is_neither_written_nor_taken(
    sent: Team, here: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from zogan.registry import event

    before, added = sent.registry.head(), sent.registry.log(patch=sent.registry.patches()[0].digest)[-1].body
    assert isinstance(added, Added)
    giant = added.model_copy(update={"patch": "ab" * 32, "labels": ("x" * LARGEST_BYTES,)})  # else as it may be
    with pytest.raises(ZoganError, match=r"more than the 1,048,576 that one may have; nothing was written"):
        sent.registry._append(giant, sent.engineer, later(days=2))
    assert sent.registry.head() == before
    with monkeypatch.context() as patched:
        patched.setattr(event, "LARGEST_BYTES", 2**30)
        line = appended(sent, sent.engineer, giant)
    packed(tmp_path / "giant.zogan", events(sent, lambda lines: lines.append(line)))
    with pytest.raises(IntegrityError, match="event 12: is no event that this zogan reads"):
        here(tmp_path / "giant.zogan")
    packed(tmp_path / "line.zogan", events(sent, lambda lines: lines.append(b"x" * 2**22 + b"\n")))
    with pytest.raises(IntegrityError, match="cut or too long, behind event 11"):
        here(tmp_path / "line.zogan")
    assert nothing_at(tmp_path)


def test_what_does_not_fit_its_manifest_is_refused(sent: Team, here: Callable[..., Any], tmp_path: Path) -> None:
    content = members(sent.folder / "all.zogan")
    blob = max((name for name in content if name.startswith("blobs/")), key=lambda name: len(content[name]))
    harms = {
        "is not what its name says": {**content, blob: b"y" + content[blob][1:]},
        "its files are not those": {name: one for name, one in content.items() if name != blob},
        "its manifest cannot be read": {**content, "manifest.json": b" " + content["manifest.json"]},
        "its events are not those": {**content, "events.jsonl": content["events.jsonl"][:-1] + b" \n"},
        "which no event names": resealed({**content, f"blobs/{'d' * 2}/{'e' * 62}": b"x"}),
        "its manifest says": resealed(content, head=f"11:{'a' * 64}"),
        "begin the registry": resealed(content, registry="f" * 32),
        "it has no events.jsonl": {name: one for name, one in content.items() if name != "events.jsonl"},
    }
    for told, harm in harms.items():
        packed(tmp_path / "harmed.zogan", harm)
        with pytest.raises(IntegrityError, match=told if told != "its events are not those" else "envelope|events"):
            here(tmp_path / "harmed.zogan")
    (tmp_path / "harmed.zogan").write_bytes(b"no archive")
    with pytest.raises(IntegrityError, match="cannot be read: File is not a zip file"):
        here(tmp_path / "harmed.zogan")
    with pytest.raises(RegistryError, match="no such file"):
        here(tmp_path / "none.zogan")
    assert nothing_at(tmp_path)


def test_no_byte_of_an_archive_changes_what_comes_over(sent: Team, here: Callable[..., Any], tmp_path: Path) -> None:
    content = (sent.folder / "production.zogan").read_bytes()
    draw, taken = random.Random(11), 0
    for _ in range(80):
        at = draw.randrange(len(content))
        changed = content[:at] + bytes([content[at] ^ draw.randrange(1, 256)]) + content[at + 1 :]
        (tmp_path / "changed.zogan").write_bytes(changed[: draw.choice([None, None, None, at])])
        try:
            found = here(tmp_path / "changed.zogan")
        except ZoganError:
            continue
        taken += 1  # a date or a version in the zip's own headers
        assert found.head == sent_head(sent)
    assert taken < 80 // 8


def sent_head(sent: Team) -> Head:
    with Archive(sent.folder / "production.zogan") as archive:
        return Head.parse(archive.manifest.head)
