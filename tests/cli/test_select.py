"""The selection of a real run, as it is printed."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands import failure, printed_json, printed_text
from zogan.select.storage import load_selection


def test_what_is_printed_is_what_the_file_holds(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tree = printed_json(["select"], capsys)
    selection = load_selection(Path(tree["selection"]))
    assert tree["stages"] == {"select": "kept"}
    assert tree["chosen"] == selection.count == sum(tree["tensors"].values())
    assert tree["about"]["criterion"] == "gradient"
    out = printed_text(["select", "--quiet"], capsys)
    assert out.startswith(f"{selection.count:,} weights chosen, ")
    assert "kind of matrix" in out


def test_another_density_chooses_more(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = printed_json(["select", "--set", "output=few"], capsys)
    many = printed_json(["select", "--set", "output=many", "--set", "budget.density=0.04"], capsys)
    assert few["stages"] == many["stages"] == {"select": "done"}
    assert few["chosen"] < many["chosen"]
    assert few["share"] < many["share"]
    assert not (tuned / "few" / "patch.safetensors").exists()


def test_a_method_that_chooses_nothing_is_refused(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = failure(["select", "--set", "method=full"], capsys)
    assert line == "zogan.yaml: method 'full' chooses no weights. Only method: sparse does"


def test_how_many_of_which_kind_are_chosen(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keys = ["--set", "output=kinds", "--set", "select.parameters=[norms,matrices]", "--set", "budget.density=0.2"]
    tree = printed_json(["select", *keys], capsys)
    counts = tree["parameters"]
    assert sum(counts.values()) == tree["chosen"] == sum(tree["tensors"].values())
    assert 0.19 < tree["share"] <= 0.2
    out = printed_text(["select", "--quiet", *keys], capsys)
    line = f"of the matrices that may change: {counts['matrices']:,} in matrices, {counts['norms']:,} in norms\n"
    assert line in out
    assert "biases and norms" in out
