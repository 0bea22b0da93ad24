"""The pilot looks for harm with the probes that are on, on what it predicted already, and once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tiny_project import tiny_config, write_project
from zogan.evaluate.probes.reading import Probes
from zogan.evaluate.probes.run import probe as run_probes
from zogan.evaluate.verdict.verdict import Verdict
from zogan.patch import Patch
from zogan.patch.summary import describe
from zogan.pilot import pilot, probes


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("probed")
    keys: dict[str, Any] = {
        "train": {"epochs": 1, "batch_size": 8},
        "probes": {"robustness": False, "forgetting": False, "churn": {"limit": 0.99}},
    }
    write_project(folder, "own head", **keys)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        pilot(tiny_config(folder), until="verdict")
    return folder


@pytest.fixture(autouse=True)
def _cache(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))


def test_those_that_are_on_are_run_and_their_limits_judged(folder: Path) -> None:
    run = folder / "run"
    found = Probes.load(run / "probes.json")
    assert [one.name for one in found.readings] == ["calibration", "abstention", "churn"]
    assert found.patch == Patch.load(run / "patch.safetensors").digest
    clauses = {one.name: one for one in Verdict.load(run / "verdict.json").clauses if one.kind == "probe"}
    assert clauses.keys() == {"churn"}
    assert (clauses["churn"].threshold, clauses["churn"].value) == (0.99, found.readings[2].value.value)


def test_test_rows_are_not_predicted_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    plain = run_probes

    def probe(job: Any, *rest: Any, **more: Any) -> Any:
        predict = type(job.task).predict

        def counted(self: Any, model: Any, rows: Any, *others: Any, **named: Any) -> Any:
            seen.append(len(rows))
            return predict(self, model, rows, *others, **named)

        monkeypatch.setattr(type(job.task), "predict", counted)
        return plain(job, *rest, **more)

    monkeypatch.setattr(probes, "probe", probe)
    run = pilot(tiny_config(folder, "probes.calibration.bins=5"), until="probe")
    assert run.stages["probe"] == "done"
    assert seen == [12]  # the validation rows


def test_a_model_in_part_is_not_probed_and_the_pilot_goes_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "fits", lambda job, patches: False)
    run = pilot(tiny_config(folder, "probes.calibration.bins=4"), until="verdict")
    found = Probes.load(run.probes)
    assert not found.readings
    assert found.skipped["churn"] == "Probes need the whole model in memory"
    (clause,) = (one for one in Verdict.load(run.verdict).clauses if one.kind == "probe")
    assert (clause.outcome, clause.why) == ("undecided", "not_measured")


def test_the_temperature_is_in_the_patch(folder: Path) -> None:
    found = describe(folder / "run" / "patch.safetensors")
    reading = Probes.load(folder / "run" / "probes.json")
    assert 0.05 <= found.task["temperature"] <= 20
    assert found.task["labels"] == ["bad", "fine", "good"]
    assert reading.task == "classification"
