"""What a step minimises, and that rows which go through twice are two passes."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
import torch

import data
from tiny import tiny_decoder, tiny_encoder
from zogan.config import RegularizeConfig
from zogan.tasks import open_job
from zogan.tasks.job import Job
from zogan.train.feed import Features, Rows, targets
from zogan.train.regularize import Objective
from zogan.train.regularize.r_drop import r_drop

Kind = Literal["classification", "generation"]
KINDS: tuple[Kind, ...] = ("classification", "generation")
ROWS = [2, 0, 5]


@pytest.fixture
def job(tmp_path: Path, request: pytest.FixtureRequest) -> Job:
    kind: Kind = request.param
    (tiny_encoder if kind == "classification" else tiny_decoder)(tmp_path / "base", layers=1, width=16)
    splits = data.write_splits(tmp_path, kind, train=9, validation=6, test=3)
    return open_job(data.make_config(tmp_path, kind, data=splits), cache=tmp_path / "cache")


def feed(job: Job, **settings: float) -> Rows:
    return Rows(job, 4, Objective(job.task, RegularizeConfig.model_validate(settings)))


@pytest.mark.parametrize("job", KINDS, indirect=True)
def test_smoothed_targets_are_those_of_torch(job: Job) -> None:
    model, rows = job.task.model(seed=0), feed(job, label_smoothing=0.2)
    batch = rows.batch(ROWS)
    loss, number = rows.loss(model, batch)
    logits, labels = job.task.logits(model, batch)
    known = torch.nn.functional.cross_entropy(logits, labels, reduction="sum", label_smoothing=0.2)
    assert number == targets(batch) == len(labels)
    torch.testing.assert_close(loss, known)
    weight = next(p for name, p in model.named_parameters() if "layer" in name and p.dim() == 2)
    torch.testing.assert_close(*(torch.autograd.grad(of, weight, retain_graph=True)[0] for of in (loss, known)))


@pytest.mark.parametrize("job", KINDS, indirect=True)
def test_figures_on_validation_rows_stay_plain(job: Job) -> None:
    model = job.task.model(seed=0)
    plain = Rows(job, 4).monitor(model)
    assert feed(job, label_smoothing=0.5, r_drop=3.0).monitor(model) == plain


@pytest.mark.parametrize("job", KINDS, indirect=True)
def test_two_passes_without_dropout_are_the_plain_loss_twice(job: Job) -> None:
    model, rows = job.task.model(seed=0).eval(), feed(job, r_drop=5.0)
    batch = rows.batch(ROWS)
    loss, number = rows.loss(model, batch)
    plain, once = job.task.loss(model, Rows(job, 4).batch(ROWS))
    assert number == targets(batch) == 2 * once
    torch.testing.assert_close(loss, 2 * plain, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("job", ["classification"], indirect=True)
def test_two_passes_under_dropout_are_told_apart(job: Job) -> None:
    model, rows = job.task.model(seed=0).train(), feed(job, r_drop=5.0, label_smoothing=0.1)
    batch = rows.batch(ROWS)
    torch.manual_seed(0)
    loss, _ = rows.loss(model, batch)
    torch.manual_seed(0)
    logits, labels = job.task.logits(model, batch)
    assert labels.tolist() == [job.examples("train")[row].labels[0] for row in ROWS * 2]
    assert not torch.equal(logits[:3], logits[3:])
    assert loss == r_drop(logits, labels, 5.0, 0.1)


@pytest.mark.parametrize("job", ["classification"], indirect=True)
def test_features_go_through_twice_too(job: Job) -> None:
    from zogan.tasks.classification import Classification

    assert isinstance(job.task, Classification)
    model = job.task.model(seed=0)
    found = Features(job.task, model, feed(job, r_drop=5.0))
    assert found.batch(ROWS)["labels"].tolist() == [job.examples("train")[row].labels[0] for row in ROWS * 2]
    once = Features(job.task, model, Rows(job, 4))
    loss, number = found.loss(model, found.batch(ROWS))
    torch.testing.assert_close(loss, 2 * once.loss(model, once.batch(ROWS))[0])
    assert number == 6


def test_packed_rows_go_through_twice(tmp_path: Path) -> None:
    tiny_decoder(tmp_path / "base", layers=1, width=16)
    splits = data.write_splits(tmp_path, "generation", train=9, validation=6, test=3)
    config = data.make_config(tmp_path, "generation", data=splits, train={"packing": True, "tokens_per_batch": 90})
    job = open_job(config, cache=tmp_path / "cache")
    model, rows = job.task.model(seed=0).eval(), feed(job, r_drop=5.0)
    loss, number = rows.loss(model, rows.batch(ROWS))
    plain, once = job.task.loss(model, Rows(job, 4).batch(ROWS))
    assert number == 2 * once
    torch.testing.assert_close(loss, 2 * plain, rtol=1e-4, atol=1e-4)
