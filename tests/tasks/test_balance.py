"""What balancing does to a job: to the loss of a batch, to the order, to the selection, and what is told of it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

import data
from killed import Killed
from tiny import tiny_decoder, tiny_encoder
from zogan.data.rows import Place, TextRow
from zogan.errors import ConfigError
from zogan.select.job import select_for
from zogan.tasks import open_job
from zogan.tasks.balance import drawn_by, told, weights_of
from zogan.tasks.classification import Classification
from zogan.tasks.job import Job
from zogan.train import tune
from zogan.train.feed import Features, Rows
from zogan.train.job import config_digest

COMMON, RARE = 20, 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("uneven")
    tiny_encoder(folder / "base", pooling="mean", normalize=True, layers=1, width=16)
    data.write_splits(folder, "classification", train=3, validation=9, test=6)
    words = ["late lost"] * COMMON + ["thanks quick"] * RARE
    rows = [
        TextRow(f"{text} {index}", "bad" if index < COMMON else "good", Place("train.jsonl", index + 1))
        for index, text in enumerate(words)
    ]
    data.write_rows(folder / "train.jsonl", [*rows, TextRow("paper seat", "fine", Place("train.jsonl", 30))])
    return folder


def open_with(folder: Path, balance: str, method: str = "sparse", **train: Any) -> Job:
    config = data.make_config(
        folder,
        data={name: f"{name}.jsonl" for name in ("train", "validation", "test")},
        method=method,
        budget={"density": 0.05},
        train={"epochs": 2, "batch_size": 8, "balance": balance, **train},
    )
    return open_job(config, cache=folder / "cache")


def test_a_weighted_loss_is_that_of_rows_that_stand_there_as_often(folder: Path) -> None:
    job = open_with(folder, "weights")
    rows, model = Rows(job, 4), job.task.model(seed=0).eval()
    chosen = [0, 1, COMMON, COMMON + RARE]
    batch = rows.batch(chosen)
    loss, number = rows.loss(model, batch)
    assert number == len(chosen)
    plain = Rows(open_with(folder, "none"), 4)
    assert "weights" not in plain.batch(chosen)
    each = [plain.loss(model, plain.batch([row]))[0].item() for row in chosen]
    total = COMMON + RARE + 1
    weights = [total / (3 * count) for count in (COMMON, COMMON, RARE, 1)]
    assert loss.item() == pytest.approx(sum(w * one for w, one in zip(weights, each, strict=True)), rel=1e-4)
    every = weights_of(job)
    assert every is not None
    assert float(every.mean()) == pytest.approx(1.0)


def test_a_head_on_features_is_weighted_as_well(folder: Path) -> None:
    job = open_with(folder, "weights", "head")
    assert isinstance(job.task, Classification)
    model = job.task.model(seed=0)
    rows = Rows(job, 4)
    feed = Features(job.task, model, rows)
    chosen = [0, COMMON]
    on_features, on_rows = (one.loss(model.eval(), one.batch(chosen))[0].item() for one in (feed, rows))
    assert on_features == pytest.approx(on_rows, rel=1e-4)


def test_validation_stays_plain(folder: Path) -> None:
    job = open_with(folder, "weights")
    model = job.task.model(seed=0)
    examples = job.examples("validation")
    with torch.no_grad():
        logits = model.eval()(**{k: v for k, v in job.task.collate(examples).items() if k != "labels"}).logits
    plain = cross_entropy(logits, torch.tensor([example.labels[0] for example in examples]))
    assert Rows(job, 4).monitor(model).loss == pytest.approx(plain.item(), rel=1e-4)


@pytest.mark.parametrize("method", ["sparse", "head"])
@pytest.mark.parametrize("balance", ["weights", "batches"])
def test_a_killed_run_gives_the_same_patch_and_balance_another(
    folder: Path, tmp_path: Path, balance: str, method: str
) -> None:
    job = open_with(folder, balance, method, checkpoint_seconds=0.0)
    whole = tune(job).patch
    with pytest.raises(KeyboardInterrupt):
        tune(job, checkpoint=tmp_path / "state", progress=Killed(6))
    resumed, plain = tune(job, checkpoint=tmp_path / "state").patch, tune(open_with(folder, "none", method)).patch
    for name, patch in (("whole", whole), ("resumed", resumed), ("plain", plain)):
        patch.save(tmp_path / name)
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "resumed").read_bytes()
    assert not torch.equal(whole.tensors["head.weight"], plain.tensors["head.weight"])


def test_the_saliency_pass_sees_what_training_will(folder: Path) -> None:
    plain, weights, batches = (select_for(open_with(folder, kind)) for kind in ("none", "weights", "batches"))
    assert plain.meta["worth"] != weights.meta["worth"]
    assert plain.meta["worth"] != batches.meta["worth"] != weights.meta["worth"]


def test_what_is_done_is_told(folder: Path) -> None:
    assert told(open_with(folder, "none")) is None
    assert drawn_by(open_with(folder, "weights")) is None
    listener = Killed()
    tune(open_with(folder, "weights", "head"), progress=listener)
    assert "a row of 'fine' (1 rows) weighs 8.33; a row of 'bad' (20 rows) weighs 0.417" in "".join(listener.notes)
    sentence = told(open_with(folder, "batches"))
    assert sentence is not None
    assert sentence.startswith("classes are made even by batches: each of the 1 rows of 'fine' comes ")
    assert "of the 20 rows of 'bad' " in sentence


def test_at_its_default_it_leaves_no_mark_in_a_patch(folder: Path) -> None:
    digests = {kind: config_digest(open_with(folder, kind).config) for kind in ("none", "weights", "batches")}
    assert len(set(digests.values())) == 3
    before = open_with(folder, "none").config.model_dump(mode="json")
    for key in ("balance", "compile", "folds", "head_start", "head_warmup", "reselect", "reselect_share"):
        del before["train"][key]
    # Not regularize: rows as few as these are held by R-Drop, which changes what is trained.
    for section in ("adapters", "search", "protocol", "probes", "registry"):
        del before[section]
    for section in ("output", "language", "evaluate", "data", "model", "cost"):
        del before[section]
    for key in ("checkpoint_seconds", "cache_memory"):
        del before["train"][key]
    del before["budget"]["memory"]
    del before["select"]["parameters"]
    assert hashlib.sha256(json.dumps(before, sort_keys=True).encode()).hexdigest() == digests["none"]


def test_generation_has_no_classes(tmp_path: Path) -> None:
    tiny_decoder(tmp_path / "base")
    with pytest.raises(ConfigError, match=r"train\.balance is for classification"):
        data.make_config(tmp_path, "generation", train={"balance": "weights"})
