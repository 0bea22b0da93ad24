"""The prefix cache gives what running every layer gives, and the next run finds it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import torch

import data
from tiny import tiny_decoder, tiny_encoder
from zogan.errors import RunError
from zogan.models.cut import Cut
from zogan.progress import Silent
from zogan.tasks import open_job
from zogan.tasks.job import Job
from zogan.train import filling, forward, prefix, tune
from zogan.train.depth import selection_for
from zogan.train.feed import Rows
from zogan.train.filling import Whole, resident_bytes
from zogan.train.job import Tuned
from zogan.train.prefix import Prefixed, Resting, cut_by_depth, cut_by_training

MakeJob = Callable[..., Job]
TASKS = ["classification", "generation"]


class Listener(Silent):
    def __init__(self, kill_at: int = -1) -> None:
        self.stages: list[tuple[str, int]] = []
        self.notes: list[str] = []
        self.kill_at = kill_at

    def start(self, stage: str, total: int) -> None:
        self.stages.append((stage, total))

    def advance(self, done: int, **figures: float) -> None:
        if self.stages[-1][0] == "cache" and done == self.kill_at:
            raise KeyboardInterrupt

    def note(self, message: str) -> None:
        self.notes.append(message)

    @property
    def computed(self) -> list[int]:
        return [total for stage, total in self.stages if stage == "cache"]


@pytest.fixture
def make(tmp_path: Path) -> MakeJob:
    def make(task: str = "classification", *, depth: Any = 1, base: dict[str, Any] | None = None, **keys: Any) -> Job:
        folder = tmp_path / "job"
        if not folder.exists():
            tiny = tiny_encoder if task == "classification" else tiny_decoder
            tiny(folder / "base", layers=3, width=16, **(base or {}))
        splits = data.write_splits(folder, task, train=24, validation=9, test=6)  # type: ignore[arg-type]
        train = {"epochs": 2, "batch_size": 8, "rate": 0.01, **keys.pop("train", {})}
        keys = {"budget": {"density": 0.05, "depth": depth}, **keys, "train": train}
        return open_job(data.make_config(folder, task, data=splits, **keys), cache=tmp_path / "cache")

    return make


def cut_of(job: Job, model: Any, depth: int = 1) -> Cut:
    frozen = cut_by_depth(job, model, depth)
    assert frozen is not None
    return frozen.cut


def saved(tuned: Tuned, path: Path) -> bytes:
    tuned.patch.save(path)
    return path.read_bytes()


@pytest.mark.parametrize("task", TASKS)
def test_a_batch_from_the_cache_is_the_batch(make: MakeJob, task: str) -> None:
    job = make(task)
    model = job.task.model(seed=0)
    cut = cut_of(job, model)
    cached, plain = Prefixed(job, 4, Whole(job, model, cut)), Resting(job, 4, cut)
    for rows in ([0], [3, 1, 7]):
        one, targets = cached.loss(model, cached.batch(rows))
        other, same = plain.loss(model, plain.batch(rows))
        assert targets == same
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(cached.monitor(model).score, plain.monitor(model).score, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("task", TASKS)
def test_training_from_it_is_training_without_it(make: MakeJob, task: str) -> None:
    kept, off = tune(make(task)), tune(make(task, train={"cache": "off"}))
    assert kept.patch.changes.keys() == off.patch.changes.keys()
    for name, change in kept.patch.changes.items():
        assert torch.equal(change.positions, off.patch.changes[name].positions)
        torch.testing.assert_close(change.new, off.patch.changes[name].new, rtol=1e-3, atol=1e-4)
    assert [epoch.validation_loss for epoch in kept.epochs] == pytest.approx(
        [epoch.validation_loss for epoch in off.epochs], rel=1e-4
    )


@pytest.mark.parametrize("task", TASKS)
def test_only_the_topmost_layers_change(make: MakeJob, task: str) -> None:
    tuned = tune(make(task, depth=1))
    assert {name.split("layer")[1].lstrip("s")[:3] for name in tuned.patch.changes} == {".2."}
    two = tune(make(task, depth=2))
    assert {name.split("layer")[1].lstrip("s")[:3] for name in two.patch.changes} == {".1.", ".2."}


@pytest.mark.parametrize("depth", [3, 99, "all"])
def test_with_all_layers_there_is_nothing_to_keep(make: MakeJob, depth: Any) -> None:
    job, listener = make(depth=depth, budget={"density": 0.5, "depth": depth}), Listener()
    tune(job, progress=listener)
    assert listener.computed == []
    assert listener.notes
    assert not any("in every epoch" in note for note in listener.notes)


def test_the_next_run_finds_it_and_another_seed_too(make: MakeJob, tmp_path: Path) -> None:
    first = Listener()
    tuned = tune(make(), progress=first)
    assert len(first.computed) == 2  # training rows, by the selection; validation rows, by the training
    again = Listener()
    assert saved(tune(make(), progress=again), tmp_path / "again") == saved(tuned, tmp_path / "first")
    tune(make(train={"seed": 1, "batch_size": 4, "epochs": 1}, select={"criterion": "fisher"}), progress=again)
    assert again.computed == []


@pytest.mark.parametrize(
    "keys",
    [
        {"depth": 2},
        {"train": {"max_length": 5}},
        {"train": {"cache_dtype": "bf16"}},
        {"train": {"precision": "bf16"}},
    ],
    ids=lambda keys: next(iter(keys)),
)
def test_what_it_hangs_on_makes_another(make: MakeJob, keys: dict[str, Any]) -> None:
    tune(make())
    listener = Listener()
    tune(make(**keys), progress=listener)
    assert len(listener.computed) == 2


@pytest.mark.parametrize("dtype", ["bf16", "fp16", "int8"])
def test_it_may_be_kept_in_fewer_bits(make: MakeJob, dtype: str) -> None:
    exact, rough = tune(make()), tune(make(train={"cache_dtype": dtype}))
    assert rough.epochs[0].train_loss != exact.epochs[0].train_loss
    assert rough.epochs[0].train_loss == pytest.approx(exact.epochs[0].train_loss, rel=0.02)


def test_a_killed_one_goes_on(make: MakeJob, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(forward, "TOKENS_AT_ONCE", 1)  # one row at once
    monkeypatch.setattr(filling, "SAVE_EVERY_SECONDS", -1.0)
    job = make()
    model = job.task.model(seed=0)
    cut = cut_of(job, model)
    with pytest.raises(KeyboardInterrupt):
        Prefixed(job, 4, Whole(job, model, cut), progress=Listener(kill_at=10))
    runs: list[Any] = []
    whole = cut.capture

    def counted(run: Any) -> Any:
        runs.append(run)
        return whole(run)

    monkeypatch.setattr(cut, "capture", counted)
    gone_on = Prefixed(job, 4, Whole(job, model, cut), splits=("train",))
    assert len(runs) == 24 - 9
    elsewhere = open_job(job.config, cache=tmp_path / "elsewhere")
    other = Prefixed(elsewhere, 4, Whole(elsewhere, model, cut), splits=("train",))
    rows = list(range(24))
    assert torch.equal(gone_on.batch(rows)["hidden"], other.batch(rows)["hidden"])


def test_what_cannot_be_cut_runs_whole_and_says_so(make: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefix, "stacks", lambda model: {})
    listener = Listener()
    tune(make(), progress=listener)
    told = "the layers that do not train run in every epoch: it has no list of like layers"
    assert told in listener.notes


def test_what_trains_below_the_cut_is_no_cut(make: MakeJob) -> None:
    job, listener = make(), Listener()
    model = job.task.model(seed=0)
    model.requires_grad_(False)
    embedding = cast(torch.nn.Embedding, model.get_submodule("body.embeddings.word_embeddings"))
    embedding.requires_grad_(True)
    assert cut_by_training(job, model, listener) is None
    assert "what trains lies below body.encoder.layer.2 too" in listener.notes[-1]


def test_a_head_alone_trains_above_the_last_layer_but_one(make: MakeJob) -> None:
    job = make()
    model = job.task.model(seed=0)
    model.requires_grad_(False)
    model.get_submodule("head").requires_grad_(True)
    frozen = cut_by_training(job, model)
    assert frozen is not None
    assert str(frozen.cut) == "body.encoder.layer.2"
    assert "head.weight" not in frozen.names
    assert "body.embeddings.word_embeddings.weight" in frozen.names


def test_the_depth_is_where_it_is_cut_though_only_higher_layers_train(make: MakeJob) -> None:
    for depth, place in ((2, 1), (1, 2), (3, 2), (99, 2), ("all", 2)):
        job = make(depth=depth)
        model = job.task.model(seed=0)
        model.requires_grad_(False)
        model.get_submodule("body.encoder.layer.2").requires_grad_(True)
        frozen = cut_by_training(job, model)
        assert frozen is not None
        assert str(frozen.cut) == f"body.encoder.layer.{place}"


def test_what_does_not_train_has_no_dropout(make: MakeJob) -> None:
    job = make()
    model = job.task.model(seed=0).train()
    cut = cut_of(job, model)
    assert isinstance(Resting(job, 4, cut), Rows)
    rows = Resting(job, 4, cut)
    rows.loss(model, rows.batch([0]))
    training = {
        name for name, module in model.named_modules() if isinstance(module, torch.nn.Dropout) and module.training
    }
    assert training
    assert all("layer.2" in name for name in training)


def test_a_full_disk_is_told(make: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage:
        free = 10

    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage)
    with pytest.raises(RunError, match=r"the prefix cache needs 0\.0 GB .* --set train\.cache_dtype=bf16"):
        tune(make())


def test_so_much_stays_in_memory(make: MakeJob) -> None:
    assert resident_bytes(make(train={"cache_memory": "2KB"}).config) == 2000
    assert resident_bytes(make().config) > 10**8
    bound = {"density": 0.05, "depth": 1, "memory": "20GB"}
    assert resident_bytes(make(budget=bound).config) == 0
    assert resident_bytes(make(budget=bound, train={"cache_memory": "2KB"}).config) == 2000
    tune(make(train={"cache_memory": 0}))


def test_the_selection_reads_it_too(make: MakeJob) -> None:
    kept, off = selection_for(make()), selection_for(make(train={"cache": "off"}))
    assert {name: flat.tolist() for name, flat in kept.positions.items()} == {
        name: flat.tolist() for name, flat in off.positions.items()
    }
    assert kept.meta["depth"] == 1


def test_packed_rows_are_read_behind_one_another(make: MakeJob) -> None:
    packed = {"packing": True, "tokens_per_batch": 60, "epochs": 1}
    job = make("generation", train=packed)
    model = job.task.model(seed=0)
    cut = cut_of(job, model)
    feed, plain = Prefixed(job, 4, Whole(job, model, cut)), Resting(job, 4, cut)
    batch = feed.batch([4, 2])
    assert batch["hidden"].shape == (1, feed.lengths[4] + feed.lengths[2], 16)
    torch.testing.assert_close(feed.loss(model, batch), plain.loss(model, plain.batch([4, 2])), rtol=1e-5, atol=1e-5)
    kept = tune(make("generation", train=packed))
    off = tune(make("generation", train={**packed, "cache": "off"}))
    assert kept.epochs[0].train_loss == pytest.approx(off.epochs[0].train_loss, rel=1e-4)
