"""Two runs on the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from commands import failure, printed_json, printed_text
from tiny_project import at_work, tiny_config
from zogan.pilot import pilot


@pytest.fixture(scope="module")
def two(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished project with a second run at another rate; to be read alone."""
    folder = Path(shutil.copytree(finished, tmp_path_factory.mktemp("two") / "project"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        pilot(tiny_config(folder, "train.rate=0.02", "output=second"), until="evaluate")
    return folder


@pytest.fixture
def here(two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return at_work(two, tmp_path / "here", monkeypatch)


def test_people_read_tables(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = printed_text(["compare", "run", "second", "--rows", "1", "--quiet"], capsys)
    assert out.startswith("A: run (run, patch ")
    assert "on 24 test rows" in out
    for word in ("Accuracy", "Macro-F1", "B − A", "95 % interval", "p (Holm)", "churn: ", "right (Accuracy): both "):
        assert word in out
    assert "1 of 24 rows that differ, the clearest first" in out


def test_json_holds_as_many_rows_as_are_asked_for_and_a_file_all(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tree = printed_json(["compare", "run", "second", "--rows", "2", "--save", "rows.jsonl"], capsys)
    assert len(tree["differences"]) == min(2, tree["differing"])
    lines = [json.loads(line) for line in (here / "rows.jsonl").read_text().splitlines()]
    assert len(lines) == tree["differing"] > 2
    assert lines[:2] == tree["differences"]
    assert tree["saved"] == "rows.jsonl"
    assert (tree["a"]["kind"], tree["rows"]) == ("run", 24)
    assert printed_json(["compare", "run", "second", "--rows", "0"], capsys)["differences"] == []


def test_a_patch_takes_the_configuration_here_and_is_a_look(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    expected = printed_json(["compare", "run", "second"], capsys)
    printed_json(["protocol", "freeze"], capsys)
    patch = "second/patch.safetensors"
    tree = printed_json(["compare", "run", patch, "--set", "train.seed=0"], capsys)
    assert tree["metrics"] == expected["metrics"]
    looks = [json.loads(line) for line in (here / "looks.jsonl").read_text().splitlines()]
    assert [(one["command"], one["patch"]) for one in looks] == [("compare", tree["b"]["patch"])]
    printed_json(["compare", "run", "second"], capsys)  # measured long ago: no look
    assert len((here / "looks.jsonl").read_text().splitlines()) == 1
    (here / "zogan.yaml").rename(here / "other.yaml")
    assert failure(["compare", "run", patch], capsys) == "zogan.yaml: no such file. Make one with `zogan init`"
    again = printed_json(["compare", "run", patch, "--config", "other.yaml"], capsys)
    assert again["metrics"] == expected["metrics"]


def test_what_is_wrong_is_said_on_one_line(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "gone: does not exist" in failure(["compare", "run", "gone"], capsys)
    assert "rows.txt: ends with none of .csv, .jsonl" in failure(
        ["compare", "run", "second", "--save", "rows.txt"], capsys
    )
    (here / "second" / "predictions.safetensors").write_bytes(b"torn")
    assert "holds no predictions" in failure(["compare", "run", "second"], capsys, 4)
