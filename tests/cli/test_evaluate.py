"""The figures of a real run, as they are printed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from commands import printed_json, printed_text


def test_json_is_evaluation_json_and_where_it_is(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tree = printed_json(["evaluate"], capsys)
    assert tree.pop("run") == str(tuned / "run")
    assert tree.pop("stages") == {"select": "kept", "tune": "kept", "predict": "kept", "evaluate": "kept"}
    assert tree == json.loads((tuned / "run" / "evaluation.json").read_text(encoding="utf-8"))


def test_people_read_a_table(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = printed_text(["evaluate", "--quiet", "--set", "evaluate.level=0.9"], capsys)
    assert out.startswith("on 24 test rows")
    assert "before: the base" in out
    assert "90 % interval" in out
    assert out.splitlines()[-1] == f"figures: {tuned / 'run' / 'evaluation.json'}"
