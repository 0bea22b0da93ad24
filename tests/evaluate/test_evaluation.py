"""evaluation.json comes back as it was."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from pydantic import ValidationError

from zogan.errors import RunError
from zogan.evaluate.evaluation import Difference, Evaluation, Figure, MetricInfo


def evaluation() -> Evaluation:
    return Evaluation(
        task="generation",
        split="test",
        rows=3,
        before_is="base",
        level=0.95,
        resamples=200,
        metrics=(MetricInfo(name="loss", higher_is_better=False, rows=3),),
        before={"loss": Figure(value=1 / 3, low=0.1, high=0.7, method="bca")},
        after={"loss": Figure(value=0.2, low=0.1, high=0.3, method="bca")},
        difference={"loss": Difference(value=0.2 - 1 / 3, low=-0.2, high=-0.1, method="bca", better=True)},
    )


def test_it_comes_back(tmp_path: Path) -> None:
    file = tmp_path / "evaluation.json"
    file.write_text(evaluation().dumps(), encoding="utf-8")
    assert Evaluation.load(file) == evaluation()
    assert "0.3333333333333333" in file.read_text(encoding="utf-8")


def test_figures_are_numbers() -> None:
    with pytest.raises(ValidationError, match="finite number"):
        Figure(value=math.nan, low=0, high=0, method="bca")


def test_another_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"none\.json: cannot be read: .*No such file"):
        Evaluation.load(tmp_path / "none.json")
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(RunError, match=r"other\.json: cannot be read: .*Field required"):
        Evaluation.load(tmp_path / "other.json")
