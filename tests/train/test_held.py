"""A model larger than the memory that it may take is tuned all the same, to the same patch."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from torch import nn

import data
from tiny import tiny_decoder, tiny_encoder
from zogan.errors import ConfigError
from zogan.models.lean import Lean
from zogan.progress import Silent
from zogan.tasks import open_job
from zogan.tasks.job import Job
from zogan.train import filling, held, plan, tune
from zogan.train.held import InPart, InWhole, hold
from zogan.train.job import Tuned
from zogan.train.plan import Plan, Sizes, measure, plan_for

MakeJob = Callable[..., Job]
LAYERS = 5


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
    def make(task: str = "generation", *, cache: str = "cache", base: dict[str, Any] | None = None, **keys: Any) -> Job:
        folder = tmp_path / "job"
        if not folder.exists():
            tiny = tiny_encoder if task == "classification" else tiny_decoder
            tiny(folder / "base", layers=LAYERS, width=16, **(base or {}))
        splits = data.write_splits(folder, task, train=12, validation=5, test=3)  # type: ignore[arg-type]
        keys = {"budget": {"density": 0.05, "depth": 2}, "train": {"epochs": 2, "batch_size": 4, "rate": 0.01}} | keys
        return open_job(data.make_config(folder, task, data=splits, **keys), cache=tmp_path / cache)

    return make


@pytest.fixture
def in_part(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    def in_part(at_once: int) -> None:
        monkeypatch.setattr(held, "plan_for", lambda job: Plan(LAYERS - 2, at_once, 10**9))

    return in_part


def saved(tuned: Tuned, path: Path) -> bytes:
    tuned.patch.save(path)
    return path.read_bytes()


@pytest.mark.parametrize("at_once", [1, 2, 3])
@pytest.mark.parametrize("task", ["classification", "generation"])
def test_the_patch_is_that_of_the_whole_model(
    make: MakeJob, in_part: Callable[[int], None], tmp_path: Path, task: str, at_once: int
) -> None:
    whole = tune(make(task))
    in_part(at_once)
    listener = Listener()
    part = tune(make(task, cache="other"), progress=listener)
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
    monkeypatch.setattr(filling, "TOKENS_AT_ONCE", 1)  # one row at once: 12 batches of the training rows
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
    part = hold(job)
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


def test_where_it_fits_it_is_whole(make: MakeJob) -> None:
    assert plan_for(make()) is None
    assert isinstance(hold(make()), InWhole)
    assert plan_for(make(budget={"memory": "20GB"})) is None
    assert plan_for(make(method="full", budget={"memory": "1MB"})) is None


def test_the_bound_decides(make: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    layer, sizes = 10**9, None

    def measured(job: Job, model: nn.Module, *, program: int) -> Sizes:
        return Sizes(program=0, rest=layer, layers=(layer,) * LAYERS, largest=0, activations=0, tokens=1)

    monkeypatch.setattr(plan, "measure", measured)

    def planned(memory: str, depth: Any = 2) -> Plan | None:
        return plan_for(make(budget={"memory": memory, "depth": depth, "density": 1e-9}))

    assert planned("6.3GB") is None
    assert planned("6.1GB") == Plan(3, 3, 4 * layer + plan.LOGITS_BYTES * 0 + _peak(sizes, 3))
    tight = planned("3.3GB")
    assert tight is not None
    assert (tight.index, tight.at_once) == (3, 2)
    with pytest.raises(
        ConfigError, match=r"budget\.memory: tuning 5 of 5 layers takes about 6\.2 GB, and 5\.0 GB may be"
    ):
        planned("5GB", depth="all")
    with pytest.raises(ConfigError, match=r"Up to 3 of 5 layers fit: --set budget\.depth=3"):
        planned("4.3GB", depth=4)
    with pytest.raises(ConfigError, match=r"One layer takes about 2\.2 GB: --set budget\.memory=2\.2GB"):
        planned("2GB", depth=1)


def _peak(_: object, at_once: int) -> int:
    return 0 * at_once


def test_sizes_are_those_of_the_model(make: MakeJob) -> None:
    job = make()
    model = job.task.model(seed=0, dtype=torch.float32)
    empty = job.task.model(seed=0, dtype=torch.float32, empty=True)
    sizes, other = measure(job, model, program=7), measure(job, empty, program=7)
    assert sizes == other
    assert sizes.rest + sum(sizes.layers) == sum(p.numel() * 4 for p in model.parameters())
    assert len(sizes.layers) == LAYERS
    assert sizes.program == 7
    longest = max(len(example.ids) for example in job.examples("train"))
    assert sizes.tokens == 4 * longest


def test_the_machines_memory_is_the_bound_where_none_is_given(make: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    class Memory:
        available = 1

    monkeypatch.setattr(psutil, "virtual_memory", lambda: Memory)
    with pytest.raises(ConfigError, match="budget: tuning 2 of 5 layers takes about"):
        plan_for(make())
