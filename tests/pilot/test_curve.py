"""A learning curve's runs are stages: each is made once, and what is made again is no more than what changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tiny_project import tiny_config, write_project
from zogan.errors import DataError
from zogan.evaluate.curve import NAME, Curve
from zogan.evaluate.predictions import load
from zogan.pilot import pilot

FEWER = {f"curve-{size}:{number}" for size in ("quarter", "half") for number in range(3)}
STAGES = FEWER | {"curve-all:1", "curve-all:2", "curve"}


def test_the_curve_is_made_once_and_taken_up_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    evaluate = {"resamples": 100, "learning_curve": True}
    write_project(tmp_path, "own head", train={"epochs": 1, "batch_size": 8}, evaluate=evaluate, probes=OFF)
    run = pilot(tiny_config(tmp_path), until="probe")
    assert {name for name in run.stages if name.startswith("curve")} == STAGES
    found = Curve.load(run.folder / NAME)
    assert (found.sizes, found.runs, found.metric) == ((12, 24, 48), 3, "accuracy")
    own = load(run.predictions).after
    assert own is not None
    assert not list((run.folder / "curve").glob("*/state.pt"))  # checkpoints go with the runs that they are of
    (run.folder / "curve" / "half-1.safetensors").unlink()
    again = pilot(tiny_config(tmp_path), until="probe")
    assert {name for name, status in again.stages.items() if status == "done"} == {"curve-half:1"}
    assert Curve.load(run.folder / NAME) == found
    without = pilot(tiny_config(tmp_path, "evaluate.learning_curve=false"), until="probe")
    assert set(without.stages.values()) == {"kept"}
    assert not (run.folder / NAME).exists()


def test_rows_that_cannot_be_doubled_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    evaluate = {"resamples": 100, "learning_curve": True}
    write_project(tmp_path, "own head", train={"epochs": 1}, evaluate=evaluate, probes=OFF)
    path = tmp_path / "train.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:5]))
    with pytest.raises(DataError, match="labels are not twice"):
        pilot(tiny_config(tmp_path), until="probe")


OFF = dict.fromkeys(("calibration", "abstention", "robustness", "churn", "forgetting"), False)
