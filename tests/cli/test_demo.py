"""The demo: its files, and the pilot on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import zogan.demo
from commands import failure, printed_json, printed_text
from tiny_project import write_project
from zogan.errors import DataError


@pytest.fixture(autouse=True)
def _small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tiny project in place of the wheels' rows and models."""

    def write_demo(task: str, folder: Path, *, progress: Any) -> Path:
        progress.note("rows read")
        return write_project(folder, "generation" if task == "generation" else "own head")

    monkeypatch.setattr(zogan.demo, "write_demo", write_demo)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def test_it_writes_and_runs_the_pilot(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tree = printed_json(["demo", "generation", "mine", "--set", "train.epochs=1"], capsys)
    assert set(tree["stages"].values()) == {"done"}
    assert Path(tree["report"]) == tmp_path / "mine" / "run" / "report.html"


def test_it_can_write_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tree = printed_json(["demo", "classification", "--no-run"], capsys)
    assert tree == {"folder": "demo-classification", "config": "demo-classification/zogan.yaml"}
    assert not (tmp_path / "demo-classification" / "run").exists()
    out = printed_text(["demo", "classification", "--no-run", "--quiet"], capsys)
    assert out.splitlines()[-1] == "next: zogan pilot demo-classification/zogan.yaml"


def test_an_unknown_key_is_said_before_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = failure(["demo", "classification", "--set", "train.rat=1"], capsys)
    assert line.endswith("unknown key 'train.rat'. Did you mean 'rate'?")


def test_a_wheel_that_is_missing_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(task: str, folder: Path, *, progress: Any) -> Path:
        raise DataError("the wheel is not installed", todo="pip install it")

    monkeypatch.setattr(zogan.demo, "write_demo", refuse)
    assert failure(["demo", "classification"], capsys) == "the wheel is not installed. pip install it"
