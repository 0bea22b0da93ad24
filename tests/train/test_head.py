"""A fitted start is what it says it is, and the saliency pass and the training both set out from it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import NearestCentroid
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import data
from tiny import tiny_encoder
from zogan.config import HeadStart
from zogan.tasks import open_job
from zogan.tasks.classifier import Classifier
from zogan.tasks.job import Job
from zogan.train import tune
from zogan.train.depth import selection_for
from zogan.train.head import PENALTIES, STRENGTHS, begin, start_head
from zogan.train.loop import Epoch

MakeJob = Callable[..., Job]
FITTED: tuple[HeadStart, ...] = ("means", "ridge", "logistic")


@pytest.fixture
def make(tmp_path: Path) -> MakeJob:
    def make(start: HeadStart, *, depth: Any = 1, **keys: Any) -> Job:
        folder = tmp_path / "job"
        if not folder.exists():
            tiny_encoder(folder / "base", layers=3, width=16)
        splits = data.write_splits(folder, "classification", train=24, validation=9, test=6)
        train = {"epochs": 2, "batch_size": 8, "rate": 0.01, "head_start": start, **keys.pop("train", {})}
        keys = {"budget": {"density": 0.05, "depth": depth}, **keys, "train": train}
        return open_job(data.make_config(folder, "classification", data=splits, **keys), cache=tmp_path / "cache")

    return make


def drawn(rows: int = 60, dim: int = 12, labels: int = 5, *, noise: float = 1.0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    y = torch.arange(rows) % labels
    means = torch.randn(labels, dim, generator=generator)
    return means[y] + noise * torch.randn(rows, dim, generator=generator), y


def started(start: HeadStart, x: Tensor, y: Tensor) -> nn.Linear:
    head = nn.Linear(x.shape[1], int(y.max()) + 1)
    start_head(head, start, x, y)
    return head


def test_means_are_the_nearest_centroid() -> None:
    x, y = drawn()
    found = started("means", x, y)(x).argmax(dim=1)
    assert found.tolist() == NearestCentroid().fit(x.numpy(), y.numpy()).predict(x.numpy()).tolist()


def test_ridge_is_the_least_squares_solution_of_one_of_the_penalties() -> None:
    x, y = drawn()
    head, target = started("ridge", x, y), np.eye(5)[y.numpy()]
    unit = float(((x - x.mean(0)) ** 2).sum() / x.shape[1])
    angles = []
    for penalty in PENALTIES:
        weight = torch.from_numpy(Ridge(penalty * unit).fit(x.numpy(), target).coef_).float()
        angles.append(float(torch.cosine_similarity(weight.reshape(1, -1), head.weight.detach().reshape(1, -1))))
    assert max(angles) == pytest.approx(1.0, abs=1e-5)


def test_ridge_is_as_sure_as_what_is_left_out_in_turn_allows() -> None:
    """The factor is the best one for predictions by fits that have not seen the row, made here one after the other."""
    x, y = drawn(noise=2.0)
    head, target = started("ridge", x, y), np.eye(5)[y.numpy()]
    unit = float(((x - x.mean(0)) ** 2).sum() / x.shape[1])
    best = (float("inf"), 0.0, 0.0)
    for penalty in PENALTIES:
        left_out = np.zeros_like(target)
        for row in range(len(x)):
            others = np.arange(len(x)) != row
            fit = Ridge(penalty * unit).fit(x[others].numpy(), target[others])
            left_out[row] = fit.predict(x[row : row + 1].numpy())[0]
        for factor in np.geomspace(0.1, 100, 400):
            loss = float(cross_entropy(torch.from_numpy(factor * left_out), y))
            best = min(best, (loss, penalty, factor))
    whole = torch.from_numpy(Ridge(best[1] * unit).fit(x.numpy(), target).coef_).float()
    torch.testing.assert_close(head.weight.detach(), best[2] * whole, rtol=0.03, atol=1e-4)


@pytest.mark.parametrize("labels", [2, 5])
def test_logistic_is_the_regression_at_one_of_the_penalties(labels: int) -> None:
    x, y = drawn(labels=labels, noise=1.5)
    found = started("logistic", x, y)(x).softmax(dim=1).detach().numpy()
    length = float((x**2).sum(1).mean())
    fits = [LogisticRegression(C=strength / length, max_iter=1000).fit(x.numpy(), y.numpy()) for strength in STRENGTHS]
    assert min(np.abs(fit.predict_proba(x.numpy()) - found).max() for fit in fits) < 1e-3


@pytest.mark.parametrize("noise", [0.3, 6.0])
def test_logistic_is_as_sure_as_the_rows_allow(noise: float) -> None:
    """Where classes lie apart the weakest penalty is taken, where they lie in each other the strongest."""
    x, y = drawn(rows=100, noise=noise)
    weight = started("logistic", x, y).weight.detach().numpy()
    length = float((x**2).sum(1).mean())
    wanted = STRENGTHS[-1 if noise < 1 else 0] / length
    fit = LogisticRegression(C=wanted, max_iter=1000).fit(x.numpy(), y.numpy())
    np.testing.assert_allclose(weight, fit.coef_, atol=2e-3)


@pytest.mark.parametrize("start", FITTED)
def test_what_it_gives_is_better_than_a_guess_on_rows_that_it_has_not_seen(start: HeadStart) -> None:
    x, y = drawn(rows=120, noise=1.5)
    head = started(start, x[:60], y[:60])
    assert float(cross_entropy(head(x[60:]), y[60:]).detach()) < 0.6 * np.log(5)


@pytest.mark.parametrize("start", FITTED)
def test_classes_of_one_row_and_rows_without_a_fault_stay_finite(start: HeadStart) -> None:
    for x, y in ((torch.eye(4), torch.arange(4)), drawn(noise=0.0), (torch.ones(6, 3), torch.arange(6) % 2)):
        head = started(start, x, y)
        assert torch.isfinite(head.weight).all()
        assert torch.isfinite(head.bias).all()


def test_normal_leaves_the_head_as_it_is(make: MakeJob) -> None:
    job = make("normal")
    model, other = (job.task.model(seed=0) for _ in range(2))
    begin(job, model)
    assert isinstance(model, Classifier)
    assert torch.equal(model.head.weight, other.get_parameter("head.weight"))


@pytest.mark.parametrize("start", FITTED)
@pytest.mark.parametrize("depth", [1, "all", "auto"])
def test_selected_apart_or_at_once_the_patch_is_the_same(
    make: MakeJob, tmp_path: Path, start: HeadStart, depth: Any
) -> None:
    at_once = tune(make(start, depth=depth))
    apart = tune(make(start, depth=depth), selection=selection_for(make(start, depth=depth)))
    at_once.patch.save(tmp_path / "at-once")
    apart.patch.save(tmp_path / "apart")
    assert (tmp_path / "at-once").read_bytes() == (tmp_path / "apart").read_bytes()


def test_the_saliency_pass_sees_it(make: MakeJob) -> None:
    plain, ridge = (selection_for(make(start, depth="all")).positions for start in ("normal", "ridge"))
    assert any(not torch.equal(plain[name], ridge[name]) for name in plain)


def test_training_sets_out_from_it(make: MakeJob) -> None:
    """At a rate of next to nothing the head in the patch is the start."""
    job = make("ridge", depth="all", train={"epochs": 1, "head_rate": 1e-12, "rate": 1e-12})
    model = job.task.model(seed=0)
    begin(job, model)
    torch.testing.assert_close(tune(job).patch.tensors["head.weight"], model.get_parameter("head.weight").detach())


@pytest.mark.parametrize("method", ["full", "lora", "head"])
def test_every_method_has_it(make: MakeJob, method: str) -> None:
    keys: dict[str, Any] = {"method": method, "train": {"epochs": 1, "head_rate": 1e-12, "rate": 1e-12}}
    starts: tuple[HeadStart, ...] = ("means", "ridge")
    means, ridge = (tune(make(start, depth="all", **keys)).patch.tensors["head.weight"] for start in starts)
    assert not torch.allclose(means, ridge)


def test_where_no_epoch_is_better_the_start_is_kept(make: MakeJob, tmp_path: Path) -> None:
    """A rate that ruins the model; and a kill at the end of the first epoch changes nothing."""
    keys: dict[str, Any] = {"depth": "all", "train": {"rate": 3.0, "head_rate": 3.0, "epochs": 2, "clip": None}}
    tuned = tune(make("ridge", **keys), log=tmp_path / "log")
    job = make("ridge", **keys)
    model = job.task.model(seed=0)
    begin(job, model)
    assert not tuned.patch.changes
    assert torch.equal(tuned.patch.tensors["head.weight"], model.get_parameter("head.weight"))
    assert not any(epoch.best for epoch in tuned.epochs)
    kinds = [json.loads(line)["kind"] for line in (tmp_path / "log").read_text().splitlines()]
    assert kinds[0] == "start"
    assert kinds.count("start") == 1

    def killed(epoch: Epoch) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(make("ridge", **keys), checkpoint=tmp_path / "state", watch=killed)
    again = tune(make("ridge", **keys), checkpoint=tmp_path / "state")
    assert again.patch.digest == tuned.patch.digest


def test_an_epoch_that_is_better_is_kept(make: MakeJob) -> None:
    tuned = tune(make("means", depth="all", train={"epochs": 6}))
    assert any(epoch.best for epoch in tuned.epochs)
    assert tuned.patch.changes
