"""Estimates follow from operations and pace; what is not run is not charged."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import data
import zogan
from tiny import tiny_decoder, tiny_encoder
from zogan.patch import Patch
from zogan.tasks import open_job
from zogan.tasks.job import Job
from zogan.train.calibration import Calibration, Pace
from zogan.train.cost import Volume, form_of, volumes_of
from zogan.train.estimator import Estimate, Estimator, Setting

MakeJob = Callable[..., Job]
LAYERS = 4


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


def steady(job: Job, **paces: Pace) -> Calibration:
    """A machine on which each layer takes a second a batch of the mean size, and reading nothing."""
    volumes, kinds = volumes_of(job), ("forward", "select", "sparse", "lora", "full")
    mean = Volume(*(value // volumes.training.batches for value in vars_of(volumes.training)))
    return Calibration(mean, {kind: Pace(1.0, 0.0) for kind in kinds} | paces, 0.0)


def vars_of(volume: Volume) -> tuple[int, int, int, int]:
    return volume.tokens, volume.pairs, volume.targets, volume.batches


def test_the_seconds_are_those_of_the_layers_that_run(make: MakeJob) -> None:
    job = make()
    estimator = Estimator(job, steady(job, select=Pace(0.0, 0.0), forward=Pace(0.0, 0.0)))
    batches = volumes_of(job).training.batches
    assert estimator.estimate(Setting("full")).seconds == pytest.approx(LAYERS * batches, rel=0.1)
    assert estimator.estimate(Setting("sparse", 1)).seconds == pytest.approx(batches, rel=0.1)
    assert estimator.estimate(Setting("sparse", 3)).seconds == pytest.approx(3 * batches, rel=0.1)
    half = estimator.estimate(Setting("full"), epochs=1).seconds
    assert half == pytest.approx(estimator.estimate(Setting("full")).seconds / 2)


def test_the_optimiser_is_paid_by_the_weight(make: MakeJob) -> None:
    job = make()
    plain, paid = steady(job), steady(job, full=Pace(1.0, 0.0, optimiser=1e-3))
    form = form_of(job, job.task.model(seed=0, empty=True))
    more = (
        Estimator(job, paid).estimate(Setting("full")).seconds - Estimator(job, plain).estimate(Setting("full")).seconds
    )
    assert more == pytest.approx(1e-3 * form.parameters * volumes_of(job).training.batches)


def test_without_a_cache_the_layers_below_run_in_every_epoch(make: MakeJob) -> None:
    off = make(train={"cache": "off", "epochs": 2, "batch_size": 4})
    on = make()
    assert seconds(off, Setting("sparse", 1)) > seconds(on, Setting("sparse", 1))
    assert seconds(off, Setting("sparse", LAYERS)) == pytest.approx(seconds(on, Setting("sparse", LAYERS)))


def seconds(job: Job, setting: Setting) -> float:
    return Estimator(job, steady(job)).estimate(setting).seconds


def test_memory_grows_with_depth_and_with_what_trains(make: MakeJob) -> None:
    job = make()
    pace = Pace(1.0, 0.0, layer_bytes=10**9, rest_bytes=10**8)
    estimator = Estimator(job, steady(job, sparse=pace, lora=pace, full=pace))
    peaks = [estimator.estimate(Setting("sparse", depth)).peak_bytes for depth in range(1, LAYERS + 1)]
    assert [after - before for before, after in itertools.pairwise(peaks)] == pytest.approx(
        [10**9] * (LAYERS - 1), rel=0.01
    )
    assert estimator.estimate(Setting("full")).peak_bytes >= peaks[-1] - 10**8


@pytest.mark.parametrize("setting", [Setting("sparse", 2), Setting("lora"), Setting("full")])
def test_what_a_model_leaves_in_the_process_counts(make: MakeJob, setting: Setting) -> None:
    job = make()
    plain, left = steady(job), steady(job, forward=Pace(1.0, 0.0, left_bytes=10**8))
    peaks = [Estimator(job, calibration).estimate(setting).peak_bytes for calibration in (plain, left)]
    assert peaks[1] - peaks[0] == 10**8


def test_the_settings_are_those_that_apply(make: MakeJob) -> None:
    generation, classification = make(), make("classification")
    labels = [setting.label(LAYERS) for setting in Estimator(generation, steady(generation)).settings()]
    assert labels == ["sparse, 1 of 4 layers", "sparse, 2 of 4 layers", "sparse, all layers", "LoRA", "full"]
    assert Estimator(classification, steady(classification)).settings()[0].label(LAYERS) == "head only"
    without = steady(generation)
    without.paces.pop("lora")
    assert Setting("lora") not in Estimator(generation, without).settings()


@pytest.mark.parametrize(
    ("keys", "setting"),
    [
        ({}, Setting("sparse", LAYERS)),
        ({"budget": {"depth": 2}}, Setting("sparse", 2)),
        ({"budget": {"depth": 99}}, Setting("sparse", LAYERS)),
        ({"budget": {"depth": "all"}}, Setting("sparse", LAYERS)),
        ({"method": "lora"}, Setting("lora")),
    ],
)
def test_the_configured_setting(make: MakeJob, keys: dict[str, Any], setting: Setting) -> None:
    job = make(**keys)
    assert Estimator(job, steady(job)).configured() == setting


def test_within_a_time_the_configured_depth_is_the_deepest_in_reach(make: MakeJob) -> None:
    job = make(budget={"time": 0.5}, train={"epochs": 20, "batch_size": 4})
    depth = Estimator(job, steady(job)).configured().depth
    assert depth is not None
    assert 1 <= depth < LAYERS


def test_a_price_comes_from_the_hours(make: MakeJob) -> None:
    job = make()
    assert Estimator(job, steady(job)).estimate(Setting("full")).price is None
    priced = make(cost={"per_hour": 7.2, "currency": "JPY"})
    found = Estimator(priced, steady(priced)).estimate(Setting("full"))
    assert found.price == pytest.approx(found.seconds * 7.2 / 3600)


@pytest.mark.parametrize("method", ["sparse", "lora", "full"])
def test_what_trains_and_the_file_are_near_what_comes_out(make: MakeJob, tmp_path: Path, method: str) -> None:
    job = make(method=method)
    estimator = Estimator(job, steady(job))
    found, tuned = estimator.estimate(estimator.configured()), zogan.tune(job)
    assert found.trainable == pytest.approx(tuned.trainable, rel=0.05)
    tuned.patch.save(tmp_path / "patch.safetensors")
    values = sum(
        2 * change.new.numel() * change.new.element_size()
        for change in Patch.load(tmp_path / "patch.safetensors").changes.values()
    )
    assert found.file_bytes >= 0.9 * values  # tiny patches are mostly names


def test_from_python_every_method_is_estimated(make: MakeJob) -> None:
    found = zogan.estimate(make())
    assert [one.setting.method for one in found] == ["sparse", "sparse", "sparse", "lora", "full"]
    assert all(one.seconds > 0 and one.peak_bytes > 10**7 and one.work.total > 0 for one in found)
    tree = found[0].as_json()
    assert tree["method"] == "sparse"
    assert tree["operations"] == found[0].work.total
    assert isinstance(replace(found[0], price=1.0), Estimate)


def test_a_second_stage_takes_the_epochs_once_more_and_its_adapters(make: MakeJob, tmp_path: Path) -> None:
    job, twice = (
        make(budget={"density": 0.05, "depth": 2}),
        make(budget={"density": 0.05, "depth": 2}, adapters={"two_stage": "always"}),
    )
    once, both = (Estimator(one, steady(one, select=Pace(0.0, 0.0))) for one in (job, twice))
    setting = once.configured()
    before = once.estimate(setting, epochs=0).seconds  # the cache alone
    assert both.estimate(setting, epochs=0).seconds == pytest.approx(before)
    steps = once.estimate(setting).seconds - before
    assert both.estimate(setting).seconds - before == pytest.approx(2 * steps)
    tuned = zogan.tune(twice)
    assert tuned.second is not None
    assert both.estimate(setting).trainable - once.estimate(setting).trainable == tuned.second.trainable
    more = sum(4 * tensor.numel() for tensor in tuned.patch.adapters.values())
    assert both.estimate(setting).file_bytes - once.estimate(setting).file_bytes == more
    assert both.estimate(Setting("full")).seconds == once.estimate(Setting("full")).seconds


def test_what_trains_is_the_share_with_vectors_and_embeddings(make: MakeJob) -> None:
    kinds = {"parameters": ["matrices", "biases", "norms", "embeddings"]}
    job = make("classification", select=kinds, budget={"density": 0.3, "depth": "all"})
    estimator = Estimator(job, steady(job))
    found = estimator.estimate(estimator.configured())
    assert found.trainable == pytest.approx(zogan.tune(job).trainable, rel=0.05)
    shallower = estimator.estimate(Setting("sparse", 1))
    plain = make("classification", budget={"density": 0.3, "depth": "all"})
    assert shallower.trainable == Estimator(plain, steady(plain)).estimate(Setting("sparse", 1)).trainable
