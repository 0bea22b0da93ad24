"""Operations are those of the products that run, and depth, density and the cache are in them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import data
from tiny import tiny_decoder, tiny_encoder
from zogan.tasks import open_job
from zogan.tasks.job import Job
from zogan.train.cost import Volume, form_of, forward, inputs, volume, volumes_of, work_of

MakeJob = Callable[..., Job]
LAYERS = 4


@pytest.fixture
def make(tmp_path: Path) -> MakeJob:
    def make(task: str = "generation", **keys: Any) -> Job:
        folder = tmp_path / task
        if not folder.exists():
            tiny = tiny_encoder if task == "classification" else tiny_decoder
            tiny(folder / "base", layers=LAYERS, width=64)
        splits = data.write_splits(folder, task, train=12, validation=5, test=3)  # type: ignore[arg-type]
        keys = {"train": {"epochs": 2, "batch_size": 4}} | keys
        return open_job(data.make_config(folder, task, data=splits, **keys), cache=tmp_path / "cache")

    return make


@pytest.mark.parametrize("task", ["generation", "classification"])
def test_a_full_step_is_what_torch_counts(make: MakeJob, task: str) -> None:
    job = make(task)
    model = job.task.model(seed=0, dtype=torch.float32).train()
    model.requires_grad_(True)
    rows = list(range(4))
    batch = job.task.collate([job.examples("train")[row] for row in rows])
    body: Any = model.body if task == "classification" else model
    body.set_attn_implementation("eager")  # torch does not count its own attention on the processor
    job.task.loss(model, batch)  # the first call looks how the model forms its logits
    with FlopCounterMode(display=False) as counter:
        loss, _ = job.task.loss(model, batch)
        loss.backward()  # type: ignore[no-untyped-call]
    form, seen = form_of(job, model), volume(job, "train", [rows])
    counted = forward(form.layers, form, seen) + inputs(form.layers, form, seen)
    counted += 2 * sum(form.layers) * seen.tokens + 6 * form.head * seen.targets
    assert counted == pytest.approx(counter.get_total_flops(), rel=0.02)


def test_an_empty_model_has_the_same_form(make: MakeJob) -> None:
    for task in ("generation", "classification"):
        job = make(task)
        whole = form_of(job, job.task.model(seed=0, dtype=torch.float32))
        assert form_of(job, job.task.model(seed=0, dtype=torch.float32, empty=True)) == whole
        assert len(whole.layers) == LAYERS
        assert whole.width == 64


def test_the_volume_is_that_of_the_batches(make: MakeJob) -> None:
    job = make()
    lengths = [len(example.ids) for example in job.examples("train")]
    one = volume(job, "train", [[0, 1]])
    longest = max(lengths[:2])
    labelled = sum(sum(label >= 0 for label in job.examples("train")[row].labels[1:]) for row in (0, 1))
    assert one == Volume(2 * longest, 2 * longest**2, labelled, 1)
    assert one + one == one.times(2)
    packed = make(train={"packing": True, "epochs": 1})
    assert volume(packed, "train", [[0, 1]]).tokens == sum(lengths[:2])
    found = volumes_of(job)
    assert found.training.batches == 2 * 3
    assert found.training.tokens >= 2 * sum(lengths)
    assert found.selection.batches == 3


def test_depth_density_and_the_cache_are_paid_for(make: MakeJob) -> None:
    job = make()
    form, volumes = form_of(job, job.task.model(seed=0, empty=True)), volumes_of(job)

    def total(method: str, depth: int | None = None, **keys: Any) -> int:
        other = make(**keys) if keys else job
        return work_of(other.config, form, volumes_of(other), method=method, depth=depth).total

    totals = [total("sparse", depth) for depth in range(1, LAYERS + 1)]
    assert totals == sorted(totals)
    assert total("sparse") == totals[-1]
    assert total("lora") < total("full")
    long = {"epochs": 50, "batch_size": 4}
    assert total("sparse", train=long) < total("lora", train=long) < total("full", train=long)
    assert total("sparse", 2, train={"cache": "off", "epochs": 2}) > total("sparse", 2)
    assert total("sparse", 2, budget={"density": 0.5}) > total("sparse", 2)
    assert work_of(job.config, form, volumes, method="sparse", depth=LAYERS).cache == 0
    assert work_of(job.config, form, volumes, method="sparse", depth=1).cache > 0


def test_two_passes_and_each_point_between_old_and_new_are_paid_for(make: MakeJob) -> None:
    plain = volumes_of(make(regularize={"interpolate": 0}))
    twice = volumes_of(make(regularize={"r_drop": 1.0, "interpolate": 0}))
    points = volumes_of(make(regularize={"interpolate": 4}))
    assert twice.training.tokens == 2 * plain.training.tokens
    assert twice.training.batches == plain.training.batches
    assert (twice.selection, twice.cache, twice.validation) == (plain.selection, plain.cache, plain.validation)
    epochs = make().config.train.epochs
    assert points.validation.tokens * epochs == plain.validation.tokens * (epochs + 6)
    assert points.training == plain.training
    assert volumes_of(make()) == points, "a generation has them by itself"


def test_each_reselection_is_one_more_pass_of_the_selection(make: MakeJob) -> None:
    plain, thrice = make(train={"epochs": 2}), make(train={"epochs": 2, "reselect": 3})
    form = form_of(plain, plain.task.model(seed=0, empty=True))
    once, more = (work_of(job.config, form, volumes_of(job), method="sparse") for job in (plain, thrice))
    assert (more.selection, more.training) == (4 * once.selection, once.training)
    both = make(train={"epochs": 2, "reselect": 3}, adapters={"two_stage": "auto"})
    assert work_of(both.config, form, volumes_of(both), method="sparse").selection == 5 * once.selection


def test_a_head_alone_costs_one_pass(make: MakeJob) -> None:
    job = make("classification")
    form, volumes = form_of(job, job.task.model(seed=0, empty=True)), volumes_of(job)
    head = work_of(job.config, form, volumes, method="head")
    assert head.cache == forward(form.layers, form, volumes.cache)
    assert head.total < work_of(job.config, form, volumes, method="sparse", depth=1).total


def test_a_second_stage_is_the_same_once_more_with_adapters(make: MakeJob) -> None:
    keys: dict[str, Any] = {"lora": {"rank": 4}, "budget": {"density": 0.01, "depth": 3}}
    job, twice = make(**keys), make(**keys, adapters={"two_stage": "auto", "layers": 2})
    form, volumes = form_of(job, job.task.model(seed=0)), volumes_of(job)
    once, both = (work_of(one.config, form, volumes, method="sparse", depth=3) for one in (job, twice))
    assert (both.cache, both.selection, both.validation) == (once.cache, 2 * once.selection, 2 * once.validation)
    beside = 4 * form.sides * 2 // LAYERS
    assert both.training == 2 * once.training + 6 * beside * volumes.training.tokens
    for method in ("full", "lora", "head"):
        assert work_of(twice.config, form, volumes, method=method) == work_of(job.config, form, volumes, method=method)
