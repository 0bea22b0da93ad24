"""Jobs under restraint: killed runs end with the same bytes, and the patch is what was validated."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
import torch

import data
from killed import Killed
from tiny import tiny_decoder, tiny_encoder
from zogan.errors import ConfigError
from zogan.patch import Patch
from zogan.tasks import open_job
from zogan.tasks.job import Job
from zogan.train import tune
from zogan.train.job import Tuned
from zogan.train.methods import load_adapters

MakeJob = Callable[..., Job]
Kind = Literal["classification", "generation"]

PULL = {"decay": 1.0, "threshold": 0.05, "mixout": 0.2}
EITHER = {"label_smoothing": 0.1, "average": 0.6}
BACK = {"interpolate": 2}
HELD: list[tuple[Kind, str, dict[str, Any]]] = [
    ("classification", "sparse", {**PULL, **EITHER, **BACK, "r_drop": 1.0}),
    ("classification", "full", {**PULL, **EITHER, **BACK, "r_drop": 1.0}),
    ("classification", "lora", {"decay": 1.0, **EITHER, **BACK, "r_drop": 1.0}),
    ("classification", "head", EITHER),
    ("generation", "sparse", {**PULL, **EITHER, **BACK}),
    ("generation", "lora", {"decay": 1.0, **EITHER, **BACK, "r_drop": 1.0}),
]


@pytest.fixture
def make(tmp_path: Path) -> MakeJob:
    def make(kind: Kind = "classification", method: str = "sparse", *, layers: int = 1, **keys: Any) -> Job:
        folder = tmp_path / kind
        if not folder.exists():
            (tiny_encoder if kind == "classification" else tiny_decoder)(folder / "base", layers=layers, width=16)
        splits = data.write_splits(folder, kind, train=24, validation=9, test=6)
        usual = {"budget": {"density": 0.05}, "lora": {"rank": 2, "dropout": 0.2}}
        usual["train"] = {"epochs": 2, "batch_size": 8, "rate": 0.01, "checkpoint_seconds": 0.0}
        return open_job(data.make_config(folder, kind, data=splits, method=method, **usual | keys), cache=tmp_path)

    return make


def saved(tuned: Tuned, path: Path) -> bytes:
    tuned.patch.save(path)
    return path.read_bytes()


def values(patch: Patch) -> torch.Tensor:
    """All that was trained."""
    new = [change.new for change in patch.changes.values()]
    return torch.cat([tensor.reshape(-1) for tensor in (*new, *patch.tensors.values(), *patch.adapters.values())])


@pytest.mark.parametrize(("kind", "method", "settings"), HELD)
def test_a_killed_run_gives_the_same_patch_and_it_is_the_one_that_was_validated(
    make: MakeJob, tmp_path: Path, kind: Kind, method: str, settings: dict[str, Any]
) -> None:
    job, folder = make(kind, method, regularize=settings), tmp_path / "checkpoint"
    whole = tune(job)
    with pytest.raises(KeyboardInterrupt):
        tune(job, checkpoint=folder, progress=Killed(5))  # in the second epoch, where values are averaged
    torch.manual_seed(5)
    resumed = tune(make(kind, method, regularize=settings), checkpoint=folder)
    assert resumed.seconds_before > 0
    assert saved(resumed, tmp_path / "resumed") == saved(whole, tmp_path / "whole")
    assert resumed.interpolation == whole.interpolation

    model = job.task.model(seed=7, dtype=torch.float32)
    whole.patch.apply(model, job.task.tensor_names(model))
    found = job.task.monitor(
        load_adapters(model, whole.patch), job.examples("validation"), job.config.evaluate.batch_size
    )
    if settings.get("interpolate"):
        (known,) = [point.validation_score for point in whole.interpolation if point.best]
    else:
        known = [epoch.validation_score for epoch in whole.epochs if epoch.best][-1]
    assert found.score == pytest.approx(known, rel=1e-5 if method == "head" else 0.0, abs=0.0)


@pytest.mark.parametrize(("kind", "method", "settings"), HELD)
def test_each_technique_changes_what_comes_out(
    make: MakeJob, kind: Kind, method: str, settings: dict[str, Any]
) -> None:
    free = values(tune(make(kind, method)).patch)
    for name, value in settings.items():
        if name == "interpolate":
            continue
        held = values(tune(make(kind, method, regularize={name: value})).patch)
        assert held.shape != free.shape or not torch.equal(held, free), name


def test_nothing_that_is_asked_for_is_as_no_section(make: MakeJob, tmp_path: Path) -> None:
    plain, zeros = tune(make()), tune(make(regularize={"decay": 0.0, "interpolate": None}))
    assert saved(plain, tmp_path / "plain") == saved(zeros, tmp_path / "zeros")
    assert plain.interpolation == ()


def test_values_that_end_as_they_were_leave_the_patch(make: MakeJob) -> None:
    free, held, none = (tune(make(regularize={"threshold": length})).patch for length in (0.0, 0.5, 1e3))
    assert 0 < held.count < 0.9 * free.count
    assert none.count == 0
    assert not torch.equal(none.tensors["head.weight"], make().task.model(seed=0).get_parameter("head.weight"))
    for name, change in held.changes.items():
        assert torch.isin(change.positions, free.changes[name].positions).all()
        assert (change.old.view(torch.int32) != change.new.view(torch.int32)).all()


def test_decay_keeps_values_nearer(make: MakeJob) -> None:
    def moved(**settings: float) -> float:
        patch = tune(make(regularize=settings)).patch
        return sum(float((change.new - change.old).square().sum()) for change in patch.changes.values())

    assert moved(decay=20.0) < 0.8 * moved()


@pytest.mark.parametrize("kind", ["classification", "generation"])
def test_the_prefix_cache_changes_nothing(make: MakeJob, kind: Kind) -> None:
    settings = {**PULL, **EITHER, **BACK, **({"r_drop": 1.0} if kind == "classification" else {})}
    usual = {"epochs": 2, "batch_size": 8, "rate": 0.01}
    keys: dict[str, Any] = {"layers": 2, "regularize": settings, "budget": {"density": 0.05, "depth": 1}}
    kept, off = (tune(make(kind, **keys, train={**usual, "cache": cache})) for cache in ("auto", "off"))
    assert [epoch.validation_loss for epoch in kept.epochs] == pytest.approx(
        [epoch.validation_loss for epoch in off.epochs], rel=1e-3
    )
    assert [point.best for point in kept.interpolation] == [point.best for point in off.interpolation]
    assert kept.patch.count == pytest.approx(off.patch.count, rel=0.05)


def test_what_has_no_dropout_is_refused(make: MakeJob) -> None:
    with pytest.raises(ConfigError, match=r"regularize\.r_drop: two passes over a row are equal"):
        tune(make("generation", regularize={"r_drop": 1.0}))
    with pytest.raises(ConfigError, match=r"regularize\.r_drop: two passes over a row are equal"):
        tune(make("classification", "head", regularize={"r_drop": 1.0}))


@pytest.mark.parametrize(
    ("method", "name", "value"),
    [
        ("lora", "threshold", 0.1),
        ("lora", "mixout", 0.1),
        ("head", "decay", 1.0),
        ("head", "threshold", 0.1),
        ("head", "mixout", 0.1),
        ("head", "interpolate", 4),
    ],
)
def test_what_a_method_has_nothing_for_is_refused(make: MakeJob, method: str, name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"regularize\.{name} holds values.*method '{method}'.*leave it out"):
        make(method=method, regularize={name: value})
