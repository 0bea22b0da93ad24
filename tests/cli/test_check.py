"""zogan check says an answer, its reason and the figures behind it."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands import failure, printed_json, printed_text


def test_it_answers_in_words_and_in_json(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tree = printed_json(["check", "--quiet"], capsys)
    assert tree["answer"] in ("suited", "adapters_or_full", "not_enough_data", "not_needed")
    assert tree["rows"] == {"train": 48, "validation": 12, "test": 24}
    assert list(tree["figures"])[:4] == ["chance", "head", "neighbour", "layers"]
    out = printed_text(["check", "--quiet"], capsys)
    assert tree["reason"] in out
    assert "the base's own head, as it is" in out
    assert "squared gradient in the top 0.5 % of" in out
    assert f"takes {tree['test_rows_needed']:,} test rows, four times in five; there are 24" in out
    reach = tree["figures"]["reach"]
    assert (reach["unit"], f"{100 * reach['value']:.1f} points" in out) == ("difference", True)
    assert "next: " in out.strip().splitlines()[-1]


def test_a_missing_configuration_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert failure(["check"], capsys) == "zogan.yaml: no such file. Make one with `zogan init`"


def test_its_help_keeps_it_apart_from_the_check_of_the_data(capsys: pytest.CaptureFixture[str]) -> None:
    out = printed_text(["check", "--help"], capsys)
    assert "whether tuning is worth it" in " ".join(out.split())
    assert "zogan data check" in out
