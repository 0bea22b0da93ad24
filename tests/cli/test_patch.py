"""The patch of a real run: shown, put into its base, and taken back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from commands import failure, printed_json, printed_text
from tiny_project import contents
from zogan.cli.app import run

PATCH = "run/patch.safetensors"


def test_show_says_what_it_holds(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tree = printed_json(["patch", "show", PATCH], capsys)
    assert tree["task"]["head"] == "base"
    assert tree["changed"] == sum(change["changed"] for change in tree["changes"])
    out = printed_text(["patch", "show", PATCH], capsys)
    assert tree["digest"] in out
    assert "largest change" in out


def test_apply_then_revert_is_the_base(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = contents(tuned / "base")
    applied = printed_json(["patch", "apply", PATCH, "base", "-o", "applied"], capsys)
    assert (applied["operation"], applied["folder"]) == ("apply", "applied")
    assert contents(tuned / "applied")["model.safetensors"] != base["model.safetensors"]
    printed_json(["patch", "revert", PATCH, "applied", "-o", "again"], capsys)
    assert contents(tuned / "again")["model.safetensors"] == base["model.safetensors"]
    assert contents(tuned / "base") == base


def test_in_place_and_back(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = contents(tuned / "base")
    assert printed_json(["patch", "apply", PATCH, "base", "--in-place"], capsys)["weights"] > 0
    assert printed_text(["patch", "revert", PATCH, "base", "--in-place"], capsys).startswith("reverted: ")
    assert contents(tuned / "base") == base


@pytest.mark.parametrize("operation", ["show", "apply", "revert"])
@pytest.mark.parametrize("damage", [lambda content: content[:-9], lambda content: b"", lambda content: content[::-1]])
def test_a_damaged_patch_is_an_integrity_error(
    tuned: Path, operation: str, damage: object, capsys: pytest.CaptureFixture[str]
) -> None:
    assert callable(damage)
    file = tuned / PATCH
    file.write_bytes(damage(file.read_bytes()))
    base = contents(tuned / "base")
    rest = [] if operation == "show" else ["base", "--in-place"]
    assert "patch.safetensors" in failure(["patch", operation, PATCH, *rest], capsys, 4)
    assert contents(tuned / "base") == base


@pytest.mark.parametrize("operation", ["show", "apply", "revert"])
def test_a_patch_that_is_not_there_is_one_line(tuned: Path, operation: str, capsys: pytest.CaptureFixture[str]) -> None:
    rest = [] if operation == "show" else ["base", "-o", "out"]
    arguments = ["patch", operation, "nowhere.safetensors", *rest, "--json"]
    assert run(arguments) in (2, 4)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "nowhere.safetensors" in json.loads(printed.err)["error"]
    assert not (tuned / "out").exists()


def test_a_folder_that_is_there_is_not_written_over(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(tuned / "run")
    assert "run" in failure(["patch", "apply", PATCH, "base", "-o", "run"], capsys)
    assert contents(tuned / "run") == before


def test_what_was_never_applied_cannot_be_taken_back(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = contents(tuned / "base")
    assert run(["patch", "revert", PATCH, "base", "--in-place", "-q"]) in (2, 4)
    assert capsys.readouterr().err.count("\n") == 1
    assert contents(tuned / "base") == base
