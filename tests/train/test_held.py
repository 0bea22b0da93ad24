"""A model larger than the memory that it may take is tuned all the same, to the same patch."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import data
from tiny import tiny_decoder, tiny_encoder
from zogan.errors import ConfigError
from zogan.models.lean import Lean
from zogan.patch import Patch
from zogan.progress import Silent
from zogan.sparse.attach import Delta
from zogan.tasks import open_job
from zogan.tasks.job import Job
from zogan.tasks.task import ClassPredictions, Predictions, TextPredictions
from zogan.train import filling, forward, held, tune
from zogan.train.held import InPart, InWhole, hold
from zogan.train.job import Tuned
from zogan.train.need import to_evaluate, to_tune
from zogan.train.plan import Plan

MakeJob = Callable[..., Job]
LAYERS = 5
KINDS: dict[str, tuple[str, Callable[..., Path], dict[str, Any]]] = {
    "generation": ("generation", tiny_decoder, {}),
    "new head": ("classification", tiny_encoder, {"pooling": "mean", "normalize": True}),
    "own head": ("classification", tiny_encoder, {"labels": data.LABELS}),
    "new head on a decoder": ("classification", tiny_decoder, {"head": False}),
    "a decoder's own head": ("classification", tiny_decoder, {"labels": data.LABELS}),
}


class Listener(Silent):
    def __init__(self, kill_at: int = -1) -> None:
        self.notes: list[str] = []
        self.done: list[int] = []
        self.kill_at, self._stage = kill_at, ""

    def start(self, stage: str, total: int) -> None:
        self._stage = stage

    def advance(self, done: int, **figures: float) -> None:
        if self._stage == "cache":
            self.done.append(done)
            if done == self.kill_at:
                raise KeyboardInterrupt

    def note(self, message: str) -> None:
        self.notes.append(message)


@pytest.fixture
def make(tmp_path: Path) -> MakeJob:
    def make(kind: str = "generation", *, cache: str = "cache", **keys: Any) -> Job:
        folder, (task, tiny, base) = tmp_path / "job", KINDS[kind]
        if not folder.exists():
            tiny(folder / "base", layers=LAYERS, width=16, **base)
        splits = data.write_splits(folder, task, train=12, validation=5, test=3)  # type: ignore[arg-type]
        keys = {"budget": {"density": 0.05, "depth": 2}, "train": {"epochs": 2, "batch_size": 4, "rate": 0.01}} | keys
        return open_job(data.make_config(folder, task, data=splits, **keys), cache=tmp_path / cache)

    return make


@pytest.fixture
def in_part(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def in_part(at_once: int, index: int = LAYERS - 2) -> None:
        monkeypatch.setattr(held, "plan_for", lambda job, need: Plan(index, at_once, 10**9))

    return in_part


def saved(tuned: Tuned, path: Path) -> bytes:
    tuned.patch.save(path)
    return path.read_bytes()


@pytest.mark.parametrize("at_once", [1, 2, 3])
@pytest.mark.parametrize("kind", ["new head", "own head", "generation"])
def test_the_patch_is_that_of_the_whole_model(
    make: MakeJob, in_part: Callable[[int], None], tmp_path: Path, kind: str, at_once: int
) -> None:
    whole = tune(make(kind))
    in_part(at_once)
    listener = Listener()
    part = tune(make(kind, cache="other"), progress=listener)
    assert saved(part, tmp_path / "part") == saved(whole, tmp_path / "whole")
    assert part.parameters == whole.parameters
    parts = math.ceil((LAYERS - 2) / at_once)
    assert listener.done[-1] == parts  # a handful of short rows is one batch
    assert f"those below are read from the folder, {at_once} at a time" in listener.notes[0]
    assert not list((tmp_path / "other" / "prefix").glob("*/layer-*"))


def test_no_more_than_asked_for_is_ever_held(
    make: MakeJob, in_part: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    in_part(1)
    counts: list[int] = []
    whole = Lean.hold

    def counted(self: Lean, start: int, stop: int, *, first: bool = False) -> None:
        whole(self, start, stop, first=first)
        counts.append(len(self.held))

    monkeypatch.setattr(Lean, "hold", counted)
    tune(make())
    assert max(counts) == 2  # the two that train
    assert counts.count(1) >= LAYERS - 2


@pytest.mark.parametrize("kill_at", [3, 12, 13, 20])
def test_a_killed_one_goes_on(
    make: MakeJob,
    in_part: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    kill_at: int,
) -> None:
    monkeypatch.setattr(forward, "TOKENS_AT_ONCE", 1)  # one row at once: 12 batches of the training rows
    whole = tune(make())
    monkeypatch.setattr(filling, "SAVE_EVERY_SECONDS", -1.0)
    in_part(1)
    with pytest.raises(KeyboardInterrupt):
        tune(make(cache="other"), progress=Listener(kill_at))
    listener = Listener()
    again = tune(make(cache="other"), progress=listener)
    assert listener.done[0] == kill_at  # the last batch was not marked yet
    assert saved(again, tmp_path / "again") == saved(whole, tmp_path / "whole")


def test_the_next_run_reads_no_layer_but_those_that_train(make: MakeJob, in_part: Callable[[int], None]) -> None:
    in_part(2)
    tune(make())
    listener = Listener()
    tune(make(), progress=listener)
    assert listener.done == []


def test_position_biases_of_the_first_layer_go_along(make: MakeJob, in_part: Callable[[int], None]) -> None:
    # held by the cut's own tests for the whole model; here: the first layer stays where it is needed
    job = make()
    in_part(1)
    part = hold(job, to_tune(job))
    assert isinstance(part, InPart)
    frozen = part.by_depth()
    assert frozen is not None
    assert not frozen.cut.needs_first
    assert frozen.names >= {"model.embed_tokens.weight"}
    assert all(name.startswith(("model.layers.3.", "model.layers.4.", "model.norm", "lm_head")) for name in names(part))


def names(part: InPart) -> list[str]:
    frozen = part.by_training()
    assert frozen is not None
    return [name for name, _ in part.model.named_parameters() if name not in frozen.names]


@pytest.mark.parametrize("kind", ["new head", "new head on a decoder"])
def test_a_head_alone_is_that_of_the_whole_model(
    make: MakeJob, in_part: Callable[..., None], tmp_path: Path, kind: str
) -> None:
    keys: dict[str, Any] = {"method": "head", "evaluate": {"batch_size": 4}}  # features are computed in these
    whole = tune(make(kind, **keys))
    in_part(2, LAYERS - 1)
    part = tune(make(kind, **keys), progress=(listener := Listener()))
    assert saved(part, tmp_path / "part") == saved(whole, tmp_path / "whole")
    assert [epoch.validation_score for epoch in part.epochs] == [epoch.validation_score for epoch in whole.epochs]
    assert part.parameters == whole.parameters
    assert listener.done[-1] == 2 * 2  # five validation rows in batches of four, through four layers


def same(ours: Predictions, theirs: Predictions) -> bool:
    if isinstance(ours, ClassPredictions) and isinstance(theirs, ClassPredictions):
        return np.array_equal(ours.probabilities, theirs.probabilities) and np.array_equal(ours.losses, theirs.losses)
    assert isinstance(ours, TextPredictions)
    assert isinstance(theirs, TextPredictions)
    return np.array_equal(ours.losses, theirs.losses) and np.array_equal(ours.tokens, theirs.tokens)


@pytest.mark.parametrize("train", [{}, {"cache_dtype": "int8", "precision": "bf16"}], ids=["exact", "rough"])
@pytest.mark.parametrize("kind", KINDS)
def test_figures_are_those_of_the_whole_model_to_the_last_bit(
    make: MakeJob, in_part: Callable[..., None], kind: str, train: dict[str, str]
) -> None:
    job = make(kind, train={"epochs": 1, "batch_size": 4, **train}, evaluate={"batch_size": 5, "answers": 0})
    patch = tune(job).patch
    assert patch.changes
    need = to_evaluate(job, "train", [patch])
    whole = hold(job, need)
    in_part(2)
    part = hold(job, need)
    assert isinstance(whole, InWhole)
    assert isinstance(part, InPart)
    said: list[list[Predictions]] = []
    for one in (whole, part):
        names, settings = job.task.tensor_names(one.model), job.config.evaluate
        before = job.task.predict(one.model, job.splits.train, settings, None, one.enter("train"))
        patch.apply(one.model, names)
        after = job.task.predict(one.model, job.splits.train, settings, None, one.enter("train"))
        patch.revert(one.model, names)
        said.append([before, after])
    assert not same(*said[0])
    assert all(map(same, *said))


def test_what_is_changed_below_is_refused(make: MakeJob, in_part: Callable[..., None]) -> None:
    job = make(evaluate={"answers": 0})
    model, name = job.task.model(seed=0), "model.embed_tokens.weight"
    old = model.get_parameter(name).detach().reshape(-1)[:1].clone()
    deltas = {name: Delta(torch.arange(1), old, old + 1)}
    patch = Patch.capture(deltas, job.task.tensor_names(model), job.base.fingerprint, job.base.folder)
    in_part(2)
    with pytest.raises(
        ConfigError, match=r"a patch changes 'model\.embed_tokens\.weight', which runs below the layers"
    ):
        hold(job, to_evaluate(job, "test", [patch]))


def test_figures_of_batches_of_another_size_have_a_cache_of_their_own(
    make: MakeJob, in_part: Callable[..., None]
) -> None:
    in_part(3)
    for size, computed in ((4, 3), (4, None), (5, 3), (12, 1)):
        job, listener = make(evaluate={"batch_size": size, "answers": 0}), Listener()
        hold(job, to_evaluate(job, "train"), progress=listener)
        assert (listener.done[-1] if listener.done else None) == computed
