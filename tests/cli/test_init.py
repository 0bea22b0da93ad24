"""From a folder with data to a configuration that the other commands take."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands import failure, printed_json, printed_text
from zogan.config import load_config


def test_what_it_writes_goes_into_the_check(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tuned / "zogan.yaml").unlink()
    tree = printed_json(["init"], capsys)
    assert tree["config"] == "zogan.yaml"
    assert tree["to_fill_in"] == []
    assert tree["found"]["model"] == "base"
    assert load_config(tuned / "zogan.yaml").data.test == tuned / "test.jsonl"
    assert printed_json(["data", "check"], capsys)["fatal"] is False


def test_here_the_next_command_needs_no_path(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = printed_text(["init", "--force"], capsys)
    assert out.splitlines()[-1] == "next:    zogan data check"


def test_a_folder_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    out = printed_text(["init", "deep/folder", "--task", "generation"], capsys)
    assert "fill in: model" in out
    assert "fill in: data.train" in out
    assert [path.name for path in (tmp_path / "deep" / "folder").iterdir()] == ["zogan.yaml"]


def test_a_configuration_that_is_there_stays(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = (tuned / "zogan.yaml").read_bytes()
    assert failure(["init"], capsys) == "zogan.yaml: exists already. Give --force to replace it"
    assert (tuned / "zogan.yaml").read_bytes() == mine


@pytest.mark.parametrize("name", ["train.jsonl", "train.jsonl/deep"])
def test_a_file_is_no_folder(tuned: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "is a file, not a folder" in failure(["init", name], capsys)
