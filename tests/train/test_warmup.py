"""The head alone for a while: it is what the loop makes of a head alone, the body stays, and a kill does not show."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import data
from tiny import tiny_encoder
from tiny_project import tiny_config, write_project
from zogan.errors import ConfigError, ZoganError
from zogan.pilot import pilot
from zogan.progress import Silent
from zogan.tasks import open_job
from zogan.tasks.classifier import Classifier
from zogan.tasks.job import Job
from zogan.tasks.task import Monitor
from zogan.train import tune
from zogan.train.depth import selection_for, selection_reads
from zogan.train.head import begin
from zogan.train.job import config_digest, tune_job
from zogan.train.loop import Known

MakeJob = Callable[..., Job]
ROWS, BATCH = 24, 8


@pytest.fixture
def make(tmp_path: Path) -> MakeJob:
    def make(*, depth: Any = "all", labels: tuple[str, ...] = (), **keys: Any) -> Job:
        folder = tmp_path / "job"
        if not folder.exists():
            tiny_encoder(folder / "base", layers=3, width=16, labels=labels)
        splits = data.write_splits(folder, "classification", train=ROWS, validation=9, test=6)
        train = {"epochs": 2, "batch_size": BATCH, "rate": 0.01, **keys.pop("train", {})}
        if "folds" in train:
            del splits["validation"]
        keys = {"budget": {"density": 0.05, "depth": depth}, "lora": {"rank": 2}, **keys, "train": train}
        return open_job(data.make_config(folder, "classification", data=splits, **keys), cache=tmp_path / "cache")

    return make


class Heard(Silent):
    """Keeps the steps of each stage, and stops at one of them where that is asked."""

    def __init__(self, stage: str = "", step: int = 0) -> None:
        self.at, self.stage, self.steps = (stage, step), "", dict[str, int]()

    def start(self, stage: str, total: int) -> None:
        self.stage, self.steps[stage] = stage, 0

    def advance(self, done: int, **figures: float) -> None:
        self.steps[self.stage] = done
        if (self.stage, done) == self.at:
            raise KeyboardInterrupt


def begun(job: Job, progress: Silent | None = None) -> Classifier:
    model = job.task.model(seed=0)
    begin(job, model, progress=progress or Silent())
    assert isinstance(model, Classifier)
    return model


def body(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items() if name.startswith("body.")}


@pytest.mark.parametrize(
    "train",
    [
        {},
        {"accumulate": 2, "weight_decay": 0.3, "clip": 0.05, "decay": "cosine", "warmup": 0.5},
        {"tokens_per_batch": 60},
        {"balance": "weights"},
        {"balance": "batches"},
    ],
)
def test_it_is_the_loops_training_of_a_head_alone(make: MakeJob, train: dict[str, Any]) -> None:
    """The loop, on a head alone, told that each epoch is better than the one before."""
    smoothed = {"regularize": {"label_smoothing": 0.1}}
    alone = make(method="head", train={**train, "epochs": 3}, **smoothed)
    better = Known(tuple(Monitor(0.0, (-float(epoch),)) for epoch in range(3)))
    whole = tune_job(alone, None, checkpoint=None, log=None, progress=Silent(), known=better).patch.tensors
    head = begun(make(train={**train, "head_warmup": 3}, **smoothed)).head
    torch.testing.assert_close(head.weight.detach(), whole["head.weight"])
    torch.testing.assert_close(head.bias.detach(), whole["head.bias"])


@pytest.mark.parametrize("method", ["sparse", "full", "lora"])
def test_the_body_is_not_touched_whatever_decays(make: MakeJob, method: str) -> None:
    """A training whose first step does not come: what there is then is the base, bit for bit, and another head."""
    keys = {"train": {"head_warmup": 2, "weight_decay": 0.5}, "regularize": {"decay": 1.0}, "method": method}
    job = make(**keys)
    model, plain = begun(job), job.task.model(seed=0)
    assert all(torch.equal(tensor, body(plain)[name]) for name, tensor in body(model).items())
    assert all(p.grad is None for p in model.parameters())
    assert not torch.allclose(model.head.weight, plain.get_parameter("head.weight"))
    # In a whole run nothing joins in before: at a rate under which no weight moves the patch has the head alone.
    still = tune(make(**keys | {"train": {"head_warmup": 2, "rate": 1e-30, "head_rate": 0.01, "epochs": 1}}))
    assert not still.patch.changes
    assert still.patch.tensors.keys() == {"head.weight", "head.bias"}


@pytest.mark.parametrize("depth", [1, "all", "auto"])
@pytest.mark.parametrize("select", [["matrices"], ["matrices", "biases", "norms"]])
def test_selected_apart_or_at_once_the_patch_is_the_same(
    make: MakeJob, tmp_path: Path, depth: Any, select: list[str]
) -> None:
    keys: dict[str, Any] = {"depth": depth, "train": {"head_warmup": 1.5}, "select": {"parameters": select}}
    keys["budget"] = {"density": 0.25, "depth": depth}
    tune(make(**keys)).patch.save(tmp_path / "at-once")
    tune(make(**keys), selection=selection_for(make(**keys))).patch.save(tmp_path / "apart")
    assert (tmp_path / "at-once").read_bytes() == (tmp_path / "apart").read_bytes()


@pytest.mark.parametrize(
    ("method", "at"),
    [
        ("sparse", ("head", 2)),
        ("sparse", ("tune", 2)),
        ("sparse", ("tune", 5)),
        ("full", ("tune", 5)),
        ("lora", ("tune", 5)),
    ],
)
def test_a_kill_does_not_show(make: MakeJob, tmp_path: Path, method: str, at: tuple[str, int]) -> None:
    def job() -> Job:
        return make(method=method, train={"head_warmup": 1, "checkpoint_seconds": 0.0})

    whole, folder = tune(job()).patch, tmp_path / "checkpoint"
    with pytest.raises(KeyboardInterrupt):
        tune(job(), checkpoint=folder, progress=Heard(*at))
    torch.manual_seed(5)
    again = tune(job(), checkpoint=folder)
    assert (again.seconds_before > 0) is (at[0] == "tune")
    whole.save(tmp_path / "whole")
    again.patch.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "whole").read_bytes()


@pytest.mark.parametrize(("epochs", "steps"), [(1, 3), (0.3, 1), (2.4, 7), (0.1, 0)])
def test_parts_of_an_epoch_count_by_steps(make: MakeJob, epochs: float, steps: int) -> None:
    heard = Heard()
    begun(make(train={"head_warmup": epochs}), heard)
    assert heard.steps.get("head", 0) == steps


def test_where_no_epoch_is_better_the_warm_head_is_kept(make: MakeJob) -> None:
    ruined = {"head_warmup": 4, "head_rate": 0.05, "rate": 30.0, "clip": None}
    tuned = tune(make(train=ruined))
    assert not any(epoch.best for epoch in tuned.epochs), "the case is of a training that ruins the model"
    assert not tuned.patch.changes
    torch.testing.assert_close(tuned.patch.tensors["head.weight"], begun(make(train=ruined)).head.weight.detach())


def test_it_goes_on_from_a_fitted_start(make: MakeJob) -> None:
    still, ridge, cold = (
        begun(make(train={"head_warmup": epochs, "head_start": start, "head_rate": 1e-12})).head.weight
        for epochs, start in ((1, "ridge"), (0, "ridge"), (1, "normal"))
    )
    torch.testing.assert_close(still, ridge)
    assert not torch.allclose(still, cold)


def test_the_saliency_pass_sees_the_warm_head(make: MakeJob) -> None:
    cold, warm = (selection_for(make(train={"head_warmup": n, "head_rate": 0.1})).positions for n in (0, 8))
    assert any(not torch.equal(cold[name], warm[name]) for name in cold)


def test_folds_warm_each_fold_up(make: MakeJob) -> None:
    heard = Heard()
    tuned = tune(make(train={"head_warmup": 1, "folds": 2}), progress=heard)
    assert tuned.folds is not None
    assert heard.steps["head"] == 3  # of the last run, on all rows


def test_a_loss_that_is_not_finite_is_told(make: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    job = make(train={"head_warmup": 1})
    monkeypatch.setattr(job.task, "features", lambda *_: torch.full((ROWS, 16), float("nan")))
    with pytest.raises(ZoganError, match=r"^train\.head_warmup: the loss is nan\. Lower train\.head_rate"):
        begun(job)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"task": "generation"}, "train.head_warmup is for classification: generation has no new head"),
        ({"method": "head"}, "train.head_warmup is for what trains more than a head: raise train.epochs"),
        ({"train": {"head_warmup": -1}}, "train.head_warmup = -1: "),
    ],
)
def test_what_has_nothing_to_warm_up_is_refused(tmp_path: Path, keys: dict[str, Any], said: str) -> None:
    task = keys.pop("task", "classification")
    with pytest.raises(ConfigError, match=re.escape(said)):
        data.make_config(tmp_path, task, **{"train": {"head_warmup": 1}, **keys})


def test_so_is_a_base_that_keeps_its_head(make: MakeJob) -> None:
    with pytest.raises(ConfigError, match=r"^train\.head_warmup: the base keeps its own head, .*Leave it out"):
        make(labels=data.LABELS, train={"head_warmup": 1})


def test_off_it_leaves_no_mark_and_on_all_that_it_depends_on_counts(make: MakeJob) -> None:
    off, on = make().config, make(train={"head_warmup": 1}).config
    assert config_digest(off) == config_digest(make(train={"head_warmup": 0}).config) != config_digest(on)
    assert "head_warmup" not in selection_reads(off)["train"]
    timed = make(budget={"time": 0.9, "depth": "auto"}).config
    assert "head_warmup" not in selection_reads(timed)["train"]
    for other in (
        {"train": {"head_warmup": 2}},
        {"train": {"head_warmup": 1, "head_rate": 0.3}},
        {"train": {"head_warmup": 1, "clip": 0.3}},
        {"train": {"head_warmup": 1}, "regularize": {"label_smoothing": 0.1}},
    ):
        assert selection_reads(make(**other).config) != selection_reads(on)
    same = {"train": {"head_warmup": 1, "rate": 0.3}}
    assert selection_reads(make(**same).config) == selection_reads(on)


def test_the_head_that_a_pilot_compares_with_is_the_same(tmp_path: Path) -> None:
    def before(*overrides: str) -> bytes:
        run = pilot(tiny_config(tmp_path, *overrides), until="tune")
        return bytes(run.before.read_bytes())

    write_project(tmp_path)
    assert before("output=cold") == before("output=warm", "train.head_warmup=2")
