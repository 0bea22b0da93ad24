"""Where batches come from: rows through the whole model, or frozen features that say the same for a head."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import data
from tiny import tiny_decoder, tiny_encoder
from zogan.errors import DataError, ModelError
from zogan.tasks import open_job
from zogan.tasks.classification import Classification
from zogan.tasks.job import Job
from zogan.tasks.task import IGNORED
from zogan.train.feed import Features, Rows, targets
from zogan.train.loop import Feed


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Job:
    folder = tmp_path_factory.mktemp("classes")
    tiny_encoder(folder / "base", pooling="mean", normalize=True)
    splits = data.write_splits(folder, "classification", train=21, validation=9, test=3)
    return open_job(data.make_config(folder, data=splits), cache=folder / "cache")


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Job:
    folder = tmp_path_factory.mktemp("texts")
    tiny_decoder(folder / "base")
    splits = data.write_splits(folder, "generation", train=7, validation=5, test=3)
    return open_job(data.make_config(folder, "generation", data=splits), cache=folder / "cache")


@settings(max_examples=60, deadline=None)
@given(rows=st.integers(1, 5), time=st.integers(1, 6), seed=st.integers(0, 1000))
def test_targets_are_what_the_shifted_loss_sees(rows: int, time: int, seed: int) -> None:
    labels = torch.randint(0, 3, (rows, time), generator=torch.Generator().manual_seed(seed))
    labels[labels == 0] = IGNORED
    # The first token has none before it to be predicted from.
    seen = sum(int(label != IGNORED) for row in labels.tolist() for label in row[1:])
    assert targets({"labels": labels}) == seen
    assert targets({"labels": labels[:, 0]}) == rows


def test_a_batchs_targets_are_those_of_its_loss(classes: Job, texts: Job) -> None:
    for job in (classes, texts):
        rows, model = Rows(job, 4), job.task.model(seed=0)
        for chosen in ([0], [2, 1, 5]):
            batch = rows.batch(chosen)
            loss, number = rows.loss(model, batch)
            assert number == targets(batch)
            assert loss.requires_grad
            alone = sum(rows.loss(model, rows.batch([row]))[0].item() for row in chosen)
            assert loss.item() == pytest.approx(alone, rel=1e-4)


def test_packed_rows_have_the_loss_of_rows_alone(tmp_path: Path) -> None:
    tiny_decoder(tmp_path / "base")
    splits = data.write_splits(tmp_path, "generation", train=7, validation=5, test=3)
    config = data.make_config(tmp_path, "generation", data=splits, train={"packing": True, "tokens_per_batch": 90})
    job = open_job(config, cache=tmp_path / "cache")
    rows, model = Rows(job, 4), job.task.model(seed=0)
    batch = rows.batch([2, 1, 5])
    assert batch["input_ids"].shape == (1, sum(rows.lengths[row] for row in (2, 1, 5)))
    (loss, number), one_by_one = rows.loss(model, batch), [job.task.collate([rows.examples[row]]) for row in (2, 1, 5)]
    assert number == targets(batch) == sum(targets(one) for one in one_by_one)
    alone = torch.stack([rows.loss(model, one)[0] for one in one_by_one]).sum()
    torch.testing.assert_close(loss, alone)
    weight = next(model.parameters())
    torch.testing.assert_close(torch.autograd.grad(loss, weight), torch.autograd.grad(alone, weight))
    padded = job.task.monitor(model, job.examples("validation"), 4)
    assert rows.monitor(model) == padded


def test_rows_are_the_training_rows_and_figures_the_validation_rows(classes: Job) -> None:
    rows, model = Rows(classes, 4), classes.task.model(seed=0)
    assert isinstance(rows, Feed)
    assert rows.lengths == [len(example.ids) for example in classes.examples("train")]
    assert rows.batch([3])["input_ids"][0].tolist() == list(classes.examples("train")[3].ids)
    assert rows.monitor(model) == classes.task.monitor(model, classes.examples("validation"), 4)


def test_no_row_is_told(tmp_path: Path) -> None:
    tiny_encoder(tmp_path / "base")
    splits = data.write_splits(tmp_path, "classification", train=6, validation=3, test=3)
    job = open_job(data.make_config(tmp_path, data=splits), cache=tmp_path / "cache")
    object.__setattr__(job.splits, "validation", ())
    with pytest.raises(DataError, match="validation: no rows are left"):
        Rows(job, 4)


def test_features_say_what_the_whole_model_says(classes: Job) -> None:
    task = classes.task
    assert isinstance(task, Classification)
    model = task.model(seed=0)
    rows = Rows(classes, 4)
    features = Features(task, model, rows)
    assert isinstance(features, Feed)
    assert len(features.lengths) == len(rows.lengths)
    for chosen in ([0], [4, 2, 11]):
        short, long = features.batch(chosen), rows.batch(chosen)
        assert torch.equal(short["labels"], long["labels"])
        assert targets(short) == targets(long) == len(chosen)
        (ours, number), (theirs, _) = features.loss(model, short), rows.loss(model, long)
        assert number == len(chosen)
        torch.testing.assert_close(ours, theirs)
    found, whole = features.monitor(model), rows.monitor(model)
    assert found.loss == pytest.approx(whole.loss, rel=1e-5)
    assert found.score == pytest.approx(whole.score, rel=1e-5)
    assert found.score[1] == found.loss


def test_tokens_cut_the_batches_of_features_as_those_of_rows(tmp_path: Path) -> None:
    tiny_encoder(tmp_path / "base")
    splits = data.write_splits(tmp_path, "classification", train=6, validation=3, test=3)
    for train, like_rows in (({}, False), ({"tokens_per_batch": 40}, True)):
        job = open_job(data.make_config(tmp_path, data=splits, train=train), cache=tmp_path / "cache")
        assert isinstance(job.task, Classification)
        rows = Rows(job, 4)
        assert (Features(job.task, job.task.model(seed=0), rows).lengths == rows.lengths) is like_rows


def test_features_need_no_body(classes: Job) -> None:
    task = classes.task
    assert isinstance(task, Classification)
    model = task.model(seed=0)
    features = Features(task, model, Rows(classes, 4))
    with torch.no_grad():
        for parameter in model.get_submodule("body").parameters():
            parameter.fill_(float("nan"))
    loss, _ = features.loss(model, features.batch([0, 1]))
    assert torch.isfinite(loss)
    loss.backward()  # type: ignore[no-untyped-call]
    assert {name for name, p in model.named_parameters() if p.grad is not None} == {"head.weight", "head.bias"}


def test_figures_leave_no_graph_and_no_mode(classes: Job) -> None:
    task = classes.task
    assert isinstance(task, Classification)
    model = task.model(seed=0).train()
    rows = Rows(classes, 4)
    features = Features(task, model, rows)
    assert not features.features.requires_grad
    rows.monitor(model)
    features.monitor(model)
    assert all(module.training for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_base_with_its_own_head_has_no_features(tmp_path: Path) -> None:
    tiny_encoder(tmp_path / "base", labels=data.LABELS)
    splits = data.write_splits(tmp_path, "classification", train=6, validation=3, test=3)
    job = open_job(data.make_config(tmp_path, data=splits), cache=tmp_path / "cache")
    assert isinstance(job.task, Classification)
    with pytest.raises(ModelError, match="keeps its own head: it has no features apart"):
        Features(job.task, job.task.model(seed=0), Rows(job, 4))
