"""Freezing: once, whole, unseen by no one who changes it, and anew only when it is asked for."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from data import text_rows
from tiny_protocol import AT, protocol, rows_at_hand
from zogan.errors import IntegrityError, RunError
from zogan.evaluate.protocol.lock import NAME, find, freeze, read

LATER = "2026-02-02T03:04:05+00:00"


def test_a_freeze_is_read_back(tmp_path: Path) -> None:
    one = protocol(margin=0.02, slices=[{"name": "late", "matches": "late", "floor": 0.5}])
    found = freeze(tmp_path / "new", one, rows_at_hand(), at=AT, exploratory=("late",))
    assert (found.path, found.outcome, found.old) == (tmp_path / "new" / NAME, "frozen", None)
    assert read(found.path) == found.lock
    assert found.lock.exploratory == ("late",)
    assert [path.name for path in found.path.parent.iterdir()] == [NAME]


def test_the_hash_is_of_the_canonical_protocol(tmp_path: Path) -> None:
    found = freeze(tmp_path, protocol(), rows_at_hand(), at=AT)
    tree = json.loads(found.path.read_text())
    text = json.dumps(tree["protocol"], sort_keys=True, separators=(",", ":"))
    assert hashlib.sha256(text.encode()).hexdigest() == tree["sha256"]
    assert list(tree) == sorted(tree)


def test_the_order_in_the_configuration_does_not_matter() -> None:
    slices = [{"name": name, "matches": name, "floor": 0.5} for name in ("a", "b")]
    assert protocol(slices=slices, seeds=[1, 0]).digest == protocol(slices=slices[::-1], seeds=[0, 1, 1]).digest
    assert protocol(slices=slices).digest != protocol(slices=slices[:1]).digest


def test_the_same_again_is_kept_as_it_was(tmp_path: Path) -> None:
    before = freeze(tmp_path, protocol(), rows_at_hand(), at=AT).path.read_bytes()
    again = freeze(tmp_path, protocol(), rows_at_hand(), at=LATER, exploratory=("late",), anew=True)
    assert (again.outcome, again.lock.frozen_at, again.lock.exploratory) == ("kept", AT, ())
    assert again.path.read_bytes() == before


def test_another_is_refused_with_what_changed(tmp_path: Path) -> None:
    path = freeze(tmp_path, protocol(), rows_at_hand(), at=AT).path
    before = path.read_bytes()
    with pytest.raises(
        RunError, match=rf"{NAME}: another protocol is frozen here since 2026-01-02.*: margin was 0\.0, is"
    ):
        freeze(tmp_path, protocol(margin=0.1), rows_at_hand(), at=LATER)
    with pytest.raises(RunError, match=r"test rows: 1 added, 0 removed\. Give --anew"):
        freeze(tmp_path, protocol(), rows_at_hand(text_rows(13)), at=LATER)
    assert path.read_bytes() == before


def test_anew_keeps_the_old_under_its_hash(tmp_path: Path) -> None:
    olds = [
        freeze(tmp_path, protocol(margin=margin), rows_at_hand(), at=at, anew=True).path.read_bytes()
        for margin, at in ((0.0, AT), (0.1, AT), (0.0, LATER), (0.1, LATER))
    ]
    kept = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.name != NAME}
    assert kept == {f"protocol.lock.{hashlib.sha256(old).hexdigest()[:12]}.json": old for old in olds[:3]}


def test_what_was_changed_by_hand_is_seen(tmp_path: Path) -> None:
    path = freeze(tmp_path, protocol(margin=0.1), rows_at_hand(), at=AT).path
    path.write_text(path.read_text().replace('"margin": 0.1', '"margin": 0.01'))
    with pytest.raises(IntegrityError, match="its protocol is not the one that was frozen"):
        read(path)
    with pytest.raises(IntegrityError, match="is not the one that was frozen"):
        freeze(tmp_path, protocol(), rows_at_hand(), at=AT, anew=True)


@pytest.mark.parametrize("content", ["", "{}", '{"format": 2}', "\x00"])
def test_what_is_no_freeze_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / NAME).write_text(content)
    with pytest.raises(IntegrityError, match="is no frozen protocol"):
        read(tmp_path / NAME)


def test_the_first_folder_with_one_counts(tmp_path: Path) -> None:
    run, beside = tmp_path / "run", tmp_path / "beside"
    assert find(run, beside) is None
    assert read(run / NAME) is None
    freeze(beside, protocol(), rows_at_hand(), at=AT)
    assert find(run, beside) == beside / NAME
    freeze(run, protocol(), rows_at_hand(), at=AT)
    assert find(run, beside) == run / NAME
