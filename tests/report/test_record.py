"""A run's files are read, or refused with the command that makes them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from sample_run import write_run
from zogan.errors import IntegrityError, RunError
from zogan.report.record import read


def test_a_finished_run_is_read(tmp_path: Path) -> None:
    record = read(write_run(tmp_path / "run"))
    assert [metric.name for metric in record.metrics] == ["accuracy", "macro_f1"]
    assert record.new_tensors == ("head.bias", "head.weight")
    assert list(record.stages) == ["data", "select", "head_only", "tune", "evaluate"]
    assert 0 < record.density < 0.01
    assert record.places.changed == round(record.density * record.base_weights)


def test_runs_on_fewer_rows_are_costs_of_the_learning_curve(tmp_path: Path) -> None:
    record = read(write_run(tmp_path / "run"))
    spent = {f"curve-{size}:{number}": cost(10.0, 5) for size in ("quarter", "half") for number in range(2)}
    stages = {**record.costs["stages"], "curve": cost(0.5, 7), **spent, "model-card.md": cost(1.0, 1)}
    found = replace(record, costs={**record.costs, "stages": stages}).stages
    assert list(found) == [*record.stages, "curve"]
    assert found["curve"] == cost(40.5, 7)


def cost(seconds: float, peak: int) -> dict[str, float]:
    return {"wall_seconds": seconds, "peak_bytes": peak}


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"is not a run: it has no zogan\.yaml"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("name", "command"), [("evaluation.json", "zogan evaluate"), ("patch.safetensors", "zogan tune")]
)
def test_a_missing_stage_is_named_with_its_command(tmp_path: Path, name: str, command: str) -> None:
    run = write_run(tmp_path / "run")
    (run / name).unlink()
    with pytest.raises(RunError, match=f"has no {name} yet. Run `{command}` first"):
        read(run)


def test_an_evaluation_of_the_base_alone_is_refused(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    tree = json.loads((run / "evaluation.json").read_text())
    (run / "evaluation.json").write_text(json.dumps(tree | {"after": None, "difference": None}))
    with pytest.raises(RunError, match="holds no figures after tuning"):
        read(run)


@pytest.mark.parametrize("name", ["data.json", "costs.json", "metrics.jsonl"])
@pytest.mark.parametrize("content", ["{", "[]"])
def test_damaged_files_are_named(tmp_path: Path, name: str, content: str) -> None:
    run = write_run(tmp_path / "run")
    (run / name).write_text(content)
    with pytest.raises(IntegrityError, match=f"{name}: is damaged"):
        read(run)


def test_a_run_without_a_log_is_read(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    (run / "metrics.jsonl").unlink()
    (run / "environment.json").unlink()
    assert read(run).epochs == []
