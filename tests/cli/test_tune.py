"""The tuning of a real run, as it is printed."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands import printed_json, printed_text
from zogan.patch import Patch


def test_epochs_cost_and_patch_are_the_runs(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tree = printed_json(["tune"], capsys)
    assert tree["stages"] == {"select": "kept", "tune": "kept"}
    assert [entry["epoch"] for entry in tree["epochs"]] == [1, 2, 3]
    assert tree["best_epoch"] == max(entry["epoch"] for entry in tree["epochs"] if entry["best"])
    assert tree["changed"] == Patch.load(Path(tree["patch"])).count > 0
    assert tree["wall_seconds"] > 0
    assert tree["peak_bytes"] > 0
    out = printed_text(["tune", "--quiet"], capsys)
    assert f"{tree['changed']:,} weights changed" in out
    assert "best" in out


def test_earlier_stages_run_where_they_have_not(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tree = printed_json(["tune", "--set", "output=anew", "--set", "train.epochs=1"], capsys)
    assert tree["stages"] == {"select": "done", "tune": "done"}
    assert len(tree["epochs"]) == 1
    assert not (tuned / "anew" / "evaluation.json").exists()


def test_figures_of_the_patch_before_do_not_stay(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed_json(["tune", "--set", "train.epochs=1"], capsys)
    assert not (tuned / "run" / "evaluation.json").exists()


def test_a_second_stage_is_told(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert printed_json(["tune"], capsys)["second_stage"] is None
    asked = ["tune", "--set", "adapters.two_stage=always", "--set", "train.epochs=1"]
    tree = printed_json(asked, capsys)
    assert tree["stages"] == {"select": "kept", "tune": "done"}
    assert len(tree["epochs"]) == len(tree["second_stage"]["epochs"]) == 1
    assert tree["second_stage"]["kept"]
    assert tree["second_stage"]["layers"]
    out = printed_text([*asked, "--quiet"], capsys)
    assert f"second stage: kept; {tree['second_stage']['reason']}" in " ".join(out.split())


def test_what_folds_said_is_printed(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = "data={train: train.jsonl, test: test.jsonl}"
    tree = printed_json(["tune", "--set", rows, "--set", "train.folds=2", "--set", "train.epochs=2"], capsys)
    folds = tree["folds"]
    assert (folds["folds"], len(folds["validation_losses"]), folds["epochs"]) == (2, 2, len(tree["epochs"]))
    assert tree["best_epoch"] == folds["epochs"]
    assert [(line["fold"], line["epoch"]) for line in folds["each"]] == [(1, 1), (1, 2), (2, 1), (2, 2)]
