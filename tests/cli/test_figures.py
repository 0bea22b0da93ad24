"""Before, after and difference as a table and as a value."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from rich.console import Console
from rich.table import Table

from sample_run import write_run
from zogan.cli.figures import figures_table, figures_tree
from zogan.evaluate.evaluation import Evaluation

Task = Literal["classification", "generation"]
Outcome = Literal["better", "worse", "unproven"]


def load(tmp_path: Path, task: Task = "classification", outcome: Outcome = "better") -> Evaluation:
    return Evaluation.load(write_run(tmp_path / "run", task, outcome) / "evaluation.json")


def drawn(table: Table) -> str:
    console = Console(width=120)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


@pytest.mark.parametrize("outcome", ["better", "worse", "unproven"])
@pytest.mark.parametrize("task", ["classification", "generation"])
def test_each_figure_has_its_row_and_no_word_of_its_own(tmp_path: Path, task: Task, outcome: Outcome) -> None:
    evaluation = load(tmp_path, task, outcome)
    text = drawn(figures_table(evaluation))
    assert sum(" to " in line for line in text.splitlines()) == len(evaluation.metrics)
    assert not any(word in text for word in ("better", "worse", "proven"))
    assert text.startswith(f"on {evaluation.rows:,} test rows")
    assert "95 % interval" in text


def test_a_figure_stands_on_its_scale(tmp_path: Path) -> None:
    line = next(line for line in drawn(figures_table(load(tmp_path))).splitlines() if "Accuracy" in line)
    assert [cell for cell in line.split("  ") if cell.strip()][1].strip() == "73.4 %"
    assert "+4.9 points" in line


def test_without_an_after_there_is_before_alone(tmp_path: Path) -> None:
    alone = load(tmp_path).model_copy(update={"after": None, "difference": None})
    table = figures_table(alone)
    assert len(table.columns) == 2
    assert "difference" not in drawn(table)


def test_the_value_is_the_evaluations_own(tmp_path: Path) -> None:
    evaluation = load(tmp_path)
    tree = figures_tree(evaluation)
    assert tree.keys() == {"rows", "metrics", "before", "after", "difference", "external", "overfitting"}
    assert tree["before"]["accuracy"]["value"] == evaluation.before["accuracy"].value
