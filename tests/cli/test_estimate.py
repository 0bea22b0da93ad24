"""What tuning takes, said before it is run."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands import failure, printed_json, printed_text


def test_a_table_of_methods(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tree = printed_json(["estimate"], capsys)
    assert {one["method"] for one in tree["estimates"]} >= {"sparse", "lora", "full"}
    assert all(one["seconds"] > 0 and one["peak_bytes"] > 0 for one in tree["estimates"])
    out = printed_text(["estimate", "--quiet", "--set", "cost.per_hour=360", "--set", "cost.currency=CHF"], capsys)
    assert "of full" in out
    assert "CHF" in out
    assert "full" in out


@pytest.mark.parametrize("name", ["estimate.svg", "estimate.png"])
def test_a_picture(tuned: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    tree = printed_json(["estimate", "--plot", name], capsys)
    assert tree["plot"] == name
    start = Path(name).read_bytes()[:400]
    assert start.startswith(b"\x89PNG") if name.endswith("png") else b"<svg" in start or b"<?xml" in start


def test_no_kind_of_picture(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = failure(["estimate", "--plot", "estimate.doc"], capsys)
    assert line == "estimate.doc: .doc is no kind of picture. One of .svg, .png, .pdf"
