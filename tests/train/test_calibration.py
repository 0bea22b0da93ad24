"""A few layers stand for all: what they cost and keep is measured once, and found again."""

from __future__ import annotations

import json
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import data
from tiny import tiny_decoder, tiny_encoder
from zogan.data.batch import bucketed
from zogan.models.cut import stacks
from zogan.tasks import open_job
from zogan.tasks.job import Job
from zogan.train import calibration
from zogan.train.calibration import KINDS, Pace, calibrate, few_layers, kept_bytes, kinds_for
from zogan.train.plan import program_bytes

MakeJob = Callable[..., Job]
LAYERS = 5


@pytest.fixture
def make(tmp_path: Path) -> MakeJob:
    def make(task: str = "generation", **keys: Any) -> Job:
        folder = tmp_path / task
        if not folder.exists():
            tiny = tiny_encoder if task == "classification" else tiny_decoder
            tiny(folder / "base", layers=LAYERS, width=16)
        splits = data.write_splits(folder, task, train=12, validation=5, test=3)  # type: ignore[arg-type]
        keys = {"train": {"epochs": 2, "batch_size": 4}, "budget": {"density": 0.05}, **keys}
        return open_job(data.make_config(folder, task, data=splits, **keys), cache=tmp_path / "cache")

    return make


@pytest.mark.parametrize("task", ["generation", "classification"])
def test_every_kind_of_run_is_measured(make: MakeJob, task: str) -> None:
    found = calibrate(make(task))
    assert set(found.paces) == set(KINDS)
    assert all(pace.layer + pace.rest > 0 for pace in found.paces.values())
    assert all(found.paces[kind].layer_bytes + found.paces[kind].rest_bytes > 0 for kind in ("sparse", "lora", "full"))
    assert found.paces["full"].optimiser > 0
    assert found.read > 0
    assert found.volume.batches == 1


def test_without_a_peak_of_its_own_a_step_takes_what_autograd_keeps(
    make: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "growth", lambda run: 0)
    job = make()
    paces = calibrate(job, ["sparse", "full"]).paces
    pace = paces["full"]
    # What a frozen matrix's own gradient would need is not kept.
    assert pace.layer_bytes >= paces["sparse"].layer_bytes > 0
    model = job.task.model(seed=0, dtype=torch.float32).train().requires_grad_(True)
    largest = max(bucketed([len(e.ids) for e in job.examples("train")], 4, seed=0, epoch=0), key=len)
    batch = job.task.collate([job.examples("train")[row] for row in largest])
    whole = kept_bytes(model, lambda: job.task.loss(model, batch)[0])
    assert pace.rest_bytes + LAYERS * pace.layer_bytes == pytest.approx(whole, rel=0.1)


def test_what_is_kept_for_backward_is_freed_after_it_was_counted() -> None:
    model, seen = torch.nn.Linear(4, 8), []

    def run() -> torch.Tensor:
        found = model(torch.ones(2, 4)).exp()  # a node that keeps what it gives
        seen.append(weakref.ref(found))
        loss: torch.Tensor = found.sum()
        return loss

    assert kept_bytes(model, run) >= 2 * 8 * 4
    assert seen[0]() is None


@pytest.mark.parametrize("task", ["generation", "classification"])
def test_a_model_of_few_layers_has_values_in_all_of_them(make: MakeJob, task: str) -> None:
    job = make(task)
    model, number = few_layers(job, 3)
    assert number == 3
    assert len(next(iter(stacks(model).values()))) == 3
    assert not any(parameter.is_meta for parameter in model.parameters())
    loss, _ = job.task.loss(model, job.task.collate(job.examples("train")[:2]))
    assert torch.isfinite(loss)
    assert few_layers(job, 99)[1] == LAYERS


def test_what_was_measured_is_found_again(make: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    job = make()
    first = calibrate(job, ["forward"])
    monkeypatch.setattr(calibration, "_pace", lambda *_: pytest.fail("measured again"))
    assert calibrate(make(), ["forward"]).paces == first.paces
    other = Pace(1.0, 2.0)
    monkeypatch.setattr(calibration, "_pace", lambda *_: other)
    found = calibrate(job, ["forward"], anew=True).paces["forward"]
    assert replace(found, left_bytes=0) == other
    assert calibrate(job, ["forward"]).paces["forward"] == found
    found = calibrate(make(train={"batch_size": 2, "epochs": 2}), ["forward"]).paces["forward"]
    assert replace(found, left_bytes=0) == other


def test_what_running_a_model_leaves_in_the_process_is_kept_with_its_pace(
    make: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "resident", lambda: program_bytes() + 123)
    assert calibrate(make(), ["forward"]).left_bytes == 123
    monkeypatch.setattr(calibration, "resident", lambda: program_bytes() + 456)
    assert calibrate(make(), ["forward"]).left_bytes == 123
    assert calibrate(make(), ["forward", "select"]).left_bytes == 456


def test_a_file_of_another_version_is_measured_anew(make: MakeJob) -> None:
    job = make()
    calibrate(job, ["forward"])
    (file,) = (job.cache / "calibration").glob("*.json")
    for broken in ("{", json.dumps({"speed": 1})):
        file.write_text(broken, encoding="utf-8")
        assert calibrate(job, ["forward"]).paces["forward"].layer >= 0
        assert set(json.loads(file.read_text(encoding="utf-8"))) >= {"layer", "rest"}


def test_a_method_asks_for_what_its_cost_is_made_of() -> None:
    assert kinds_for("lora") == ("forward", "lora")
    assert set(kinds_for("sparse")) < set(KINDS)


def test_vectors_are_measured_beside_the_elements(make: MakeJob) -> None:
    # In so few layers they would be more than the share.
    kinds = {"parameters": ["biases", "norms", "embeddings"]}
    job = make("classification", select=kinds, budget={"density": 0.01})
    paces = calibrate(job, ["select", "sparse"]).paces
    assert all(pace.layer + pace.rest > 0 for pace in paces.values())
