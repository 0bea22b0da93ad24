"""Probes over a finished run, and over a patch by itself."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from commands import failure, printed_json, printed_text

QUICK = ["--set", "probes.robustness.rows=6"]


def test_over_a_run_it_is_written(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tree = printed_json(["probe", "run", *QUICK, "--set", "probes.churn.limit=0.9"], capsys)
    assert [one["name"] for one in tree["readings"]] == [
        "calibration",
        "abstention",
        "robustness",
        "churn",
        "forgetting",
    ]
    assert tree["readings"][3]["outcome"] == "kept"
    written = json.loads((tuned / "run/probes.json").read_text())
    assert written == {key: value for key, value in tree.items() if key != "source"}
    out = printed_text(["probe", "run", *QUICK, "--only", "churn"], capsys)
    assert "rows that were right and are wrong" in out
    assert out.endswith("probes: run/probes.json\n")


def test_over_a_patch_nothing_is_written(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(tuned / "run/patch.safetensors", tuned / "mine.safetensors")
    before = (tuned / "run/probes.json").read_bytes()  # the pilot's
    alone = ["--patch", "mine.safetensors", "--production", "run/patch.safetensors", "--only", "churn"]
    tree = printed_json(["probe", *alone], capsys)
    assert [one["name"] for one in tree["readings"]] == ["churn", "churn.production"]
    assert tree["readings"][1]["value"]["value"] == 0
    assert (tuned / "run/probes.json").read_bytes() == before
    printed_json(["protocol", "freeze"], capsys)
    printed_json(["probe", *alone], capsys)
    assert json.loads((tuned / "looks.jsonl").read_text())["command"] == "probe"
    assert "run/patch.safetensors" not in printed_text(["probe", "--only", "groups"], capsys)


def test_what_is_refused(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "holds no patch.safetensors. Name one with --patch" in failure(["probe", "--set", "output=none"], capsys)
    assert "no probe is called 'chrun'. Did you mean 'churn'?" in failure(["probe", "--only", "chrun"], capsys)
