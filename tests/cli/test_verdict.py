"""The verdict as a command, and what the gate does."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands import failure, printed_json, printed_text
from zogan.cli.app import run

LAX = ["--set", "protocol.claim=non_inferiority", "--set", "protocol.margin=0.9"]
STRICT = ["--set", "protocol.margin=0.9"]


def test_a_gate_lets_through_what_is_accepted_and_nothing_else(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["pilot", "--quiet", "--gate", *LAX]) == 0
    assert capsys.readouterr().out.startswith("Accepted: Accuracy")
    assert run(["verdict", "--gate"]) == 0
    assert run(["pilot", "--quiet", "--gate", *STRICT]) == 3
    printed = capsys.readouterr()
    assert "Rejected: Accuracy" in printed.out
    assert printed.err == ""
    assert printed_json(["verdict", "run", "--gate"], capsys, 3)["outcome"] == "rejected"
    assert printed_json(["verdict"], capsys)["outcome"] == "rejected"


def test_the_clauses_are_a_table_in_either_language(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["pilot", "--quiet", *LAX, "--set", "protocol.limits.patch_bytes=1MB"]) == 0
    capsys.readouterr()
    english, japanese = printed_text(["verdict"], capsys), printed_text(["verdict", "--lang", "ja"], capsys)
    assert "Accuracy, less that of the base" in english
    assert "≤ 1.0 MB" in english
    assert "No protocol was frozen before training." in english
    assert "正解率（元のモデルとの差）" in japanese
    assert "合格" in japanese
    tree = printed_json(["verdict"], capsys)
    assert [one["kind"] for one in tree["clauses"]] == ["claim", "limit"]
    assert tree["exploratory"] is True


def test_a_freeze_before_the_run_confirms_and_counts_the_look(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new = ["--set", "output=other"]
    printed_json(["protocol", "freeze", *new], capsys)
    printed_json(["pilot", *new], capsys)
    out = printed_text(["verdict", "other"], capsys)
    assert "before this was measured, and nothing has changed since." in out
    assert "Looks at these test rows since a protocol was frozen: 1." in out
    assert printed_json(["verdict", "other"], capsys)["exploratory"] is False


def test_what_is_no_run_is_refused(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "is not a run: it has no zogan.yaml" in failure(["verdict", "base"], capsys)
    (tuned / "zogan.yaml").unlink()
    assert failure(["verdict"], capsys) == "zogan.yaml: no such file. Make one with `zogan init`"
