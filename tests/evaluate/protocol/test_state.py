"""How a protocol stands, before it is frozen and after."""

from __future__ import annotations

from pathlib import Path

import pytest

from tiny_project import tiny_config, write_project
from tiny_protocol import AT, rows_at_hand
from zogan.evaluate.protocol.lock import freeze
from zogan.evaluate.protocol.looks import NAME, Look, add_look
from zogan.evaluate.protocol.state import state, too_late
from zogan.tasks import open_job
from zogan.tasks.job import Job


@pytest.fixture
def job(tmp_path: Path) -> Job:
    write_project(tmp_path, "own head")
    return open_job(tiny_config(tmp_path), cache=tmp_path / "cache")


def test_before_and_after_a_freeze(job: Job, tmp_path: Path) -> None:
    before = state(job, tmp_path)
    assert (before.path, before.frozen, before.changes, before.looks) == (None, None, None, 0)
    path = freeze(tmp_path, before.protocol, before.test, at=AT).path
    add_look(tmp_path / NAME, Look(at=AT, patch="a" * 64, command="pilot", test=before.test.sha256))
    add_look(tmp_path / NAME, Look(at=AT, patch="a" * 64, command="pilot", test="c" * 64))
    after = state(job, tmp_path)
    assert (after.path, after.looks) == (path, 1)
    assert not after.changes
    assert after.frozen is not None
    assert after.frozen.protocol == before.protocol


def test_a_freeze_of_the_run_goes_before_one_beside(job: Job, tmp_path: Path) -> None:
    found = state(job, tmp_path)
    freeze(tmp_path, found.protocol, found.test, at=AT)
    path = freeze(tmp_path / "run", found.protocol.model_copy(update={"margin": 0.1}), found.test, at=AT).path
    now = state(job, tmp_path)
    assert now.path == path
    assert now.changes is not None
    assert now.changes.lines() == ["margin was 0.1, is 0.0"]


def test_a_freeze_in_time_is_not_exploratory(tmp_path: Path) -> None:
    assert too_late(tmp_path / "run", tmp_path, rows_at_hand()) == ()


def test_a_freeze_behind_a_patch_or_a_look_is(tmp_path: Path) -> None:
    run, test = tmp_path / "run", rows_at_hand()
    run.mkdir()
    (run / "patch.safetensors").touch()
    assert too_late(run, tmp_path, test) == ("the run had a patch when it was frozen (run/patch.safetensors)",)
    for times in ("once", "2 times"):
        add_look(tmp_path / NAME, Look(at=AT, patch="a" * 64, command="pilot", test=test.sha256))
        said = f"the test rows had been looked at {times} when it was frozen"
        assert too_late(tmp_path / "none", tmp_path, test) == (said,)
