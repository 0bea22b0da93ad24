"""`depth: auto` chooses as deep as time and memory allow, and what it chooses is what that depth itself gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import data
from tiny import tiny_decoder, tiny_encoder
from zogan.errors import ConfigError
from zogan.progress import Silent
from zogan.sparse.selection import Selection
from zogan.tasks import open_job
from zogan.tasks.job import Job
from zogan.train import depth, tune
from zogan.train.depth import at_depth, options_for, selection_for, selection_reads
from zogan.train.job import Tuned
from zogan.train.plan import Plan

MakeJob = Callable[..., Job]
LAYERS = 5


class Listener(Silent):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)


@pytest.fixture
def make(tmp_path: Path) -> MakeJob:
    def make(task: str = "generation", **keys: Any) -> Job:
        folder = tmp_path / task
        if not folder.exists():
            tiny = tiny_encoder if task == "classification" else tiny_decoder
            tiny(folder / "base", layers=LAYERS, width=16)
        splits = data.write_splits(folder, task, train=12, validation=5, test=3)  # type: ignore[arg-type]
        keys["budget"] = {"density": 0.05} | keys.get("budget", {})
        keys = {"train": {"epochs": 2, "batch_size": 4, "rate": 0.01}, "regularize": {"r_drop": 0.0}, **keys}
        return open_job(data.make_config(folder, task, data=splits, **keys), cache=tmp_path / "cache")

    return make


def chosen(selection: Selection) -> dict[str, list[int]]:
    return {name: flat.tolist() for name, flat in selection.positions.items()}


def saved(tuned: Tuned, path: Path) -> bytes:
    tuned.patch.save(path)
    return path.read_bytes()


def test_each_layer_more_costs_more(make: MakeJob) -> None:
    for task in ("generation", "classification"):
        options = options_for(make(task, train={"epochs": 20, "batch_size": 4}))
        assert [option.depth for option in options] == list(range(1, LAYERS + 1))
        times = [option.time for option in options]
        assert times == sorted(times)
        assert 0 < times[0] < times[-1] < 1
        assert all(option.memory > 0 for option in options)


def test_without_a_bound_every_layer_may_change(make: MakeJob) -> None:
    listener = Listener()
    auto = selection_for(make(), progress=listener)
    assert chosen(auto) == chosen(selection_for(make(budget={"depth": "all"})))
    assert auto.meta["depth"] == "all"
    assert [entry["depth"] for entry in auto.meta["frontier"]] == list(range(1, LAYERS + 1))
    assert auto.meta["frontier"][-1]["worth"] == 1.0
    assert any(f"{LAYERS}: 100 % of the worth" in note and "(chosen)" in note for note in listener.notes)


@pytest.mark.parametrize("task", ["generation", "classification"])
def test_within_a_time_it_is_the_deepest_that_this_pays_for(make: MakeJob, tmp_path: Path, task: str) -> None:
    options = options_for(make(task))
    time = (options[1].time + options[2].time) / 2
    auto, two = make(task, budget={"time": time}), make(task, budget={"depth": 2})
    selection = selection_for(auto)
    assert selection.meta["depth"] == 2
    assert chosen(selection) == chosen(selection_for(two))
    assert len(selection.meta["frontier"]) == 2
    assert changed(tune(auto)) == changed(tune(auto, selection=selection)) == changed(tune(two))


def changed(tuned: Tuned) -> Mapping[str, list[float]]:
    return {name: change.new.tolist() for name, change in tuned.patch.changes.items()}


def test_a_time_that_pays_for_nothing_is_refused_before_anything_starts(make: MakeJob) -> None:
    with pytest.raises(ConfigError, match=r"^budget\.time: even one layer"):
        tune(make(budget={"time": 1e-6}))


def test_a_memory_decides_too(make: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    options = [option.__class__(option.depth, option.time, option.depth * 10**12) for option in options_for(make())]
    monkeypatch.setattr(depth, "options_for", lambda job: options)
    assert selection_for(make(budget={"memory": "3TB"})).meta["depth"] == 3
    with pytest.raises(ConfigError, match=r"^budget\.memory: even one layer"):
        selection_for(make(budget={"memory": "0.5TB"}))


def test_layers_that_promise_next_to_nothing_are_not_paid_for(make: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(depth, "_worth_by_layer", lambda held, selection: {0: 3.0, 1: 1.0, 4: 0.001})
    selection = selection_for(make())
    assert selection.meta["depth"] == 2
    assert chosen(selection) == chosen(selection_for(make(budget={"depth": 2})))


def test_scores_without_a_gradient_promise_nothing(make: MakeJob) -> None:
    meta = selection_for(make(select={"criterion": "magnitude"})).meta
    assert meta["depth"] == "all"
    assert all(entry["worth"] is None for entry in meta["frontier"])


def test_worth_is_told_by_tensor_and_hangs_together_with_the_layers(make: MakeJob) -> None:
    meta = selection_for(make()).meta
    top = sum(value for name, value in meta["worth"].items() if f"layers.{LAYERS - 1}." in name)
    assert meta["frontier"][0]["worth"] == pytest.approx(top / sum(meta["worth"].values()), abs=1e-3)


def test_a_given_depth_stays(make: MakeJob) -> None:
    job = make(budget={"depth": 2})
    assert at_depth(job, 4) is job
    assert at_depth(make(), 4).config.budget.depth == 4


def test_fewer_layers_change_more_of_their_weights(make: MakeJob) -> None:
    every = selection_for(make(budget={"depth": "all"}))
    few = selection_for(make(budget={"depth": 2}))
    assert few.count == every.count
    assert all(f"layers.{LAYERS - 1}." in name or f"layers.{LAYERS - 2}." in name for name in few.positions)
    # One layer is a fifth of them, and cannot change more than all of its weights.
    top = selection_for(make(budget={"depth": 1, "density": 0.3}))
    assert top.count == sum(rows * columns for rows, columns in top.shapes.values())


def test_layers_that_are_not_in_memory_count_too(make: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = selection_for(make(budget={"depth": 2}))
    monkeypatch.setattr("zogan.train.held.plan_for", lambda job, need: Plan(LAYERS - 2, 1, 0))
    assert chosen(selection_for(make(budget={"depth": 2, "memory": "1GB"}))) == chosen(whole)


def test_time_and_a_given_depth_contradict_each_other(make: MakeJob) -> None:
    with pytest.raises(ConfigError, match=r"budget\.time chooses the depth"):
        make(budget={"time": 0.5, "depth": 2})


def test_what_stands_below_the_layers_is_reached_with_the_lowest_alone(make: MakeJob) -> None:
    kinds = {"parameters": ["matrices", "biases", "norms", "embeddings"]}
    job = make("classification", select=kinds, budget={"density": 0.2})
    meta = selection_for(job).meta
    below = sum(value for name, value in meta["worth"].items() if ".embeddings." in name)
    lowest = sum(value for name, value in meta["worth"].items() if ".layer.0." in name)
    assert below > 0
    every, without = meta["frontier"][-1]["worth"], meta["frontier"][-2]["worth"]
    assert every - without == pytest.approx((below + lowest) / sum(meta["worth"].values()), abs=1e-3)
    assert meta["depth"] == "all"


def test_a_shallower_depth_leaves_embeddings_and_lower_vectors(make: MakeJob) -> None:
    kinds = {"parameters": ["matrices", "biases", "norms", "embeddings"]}
    job = make("classification", select=kinds, budget={"density": 0.2, "depth": 2})
    found = selection_for(job)
    assert found.meta["parameters"]["embeddings"] == 0
    assert {name.split(".layer.")[1].split(".")[0] for name in found.vectors} == {"3", "4"}
    assert {name.split("layer.")[1].split(".")[0] for name in tune(job).patch.changes} == {"3", "4"}
    with pytest.raises(ConfigError, match="the model has no embeddings that may be chosen"):
        selection_for(make("classification", select={"parameters": ["embeddings"]}, budget={"depth": 2}))


def test_a_selection_that_was_made_before_there_were_kinds_is_kept(make: MakeJob) -> None:
    assert "parameters" not in selection_reads(make().config)["select"]
    assert selection_reads(make(select={"parameters": ["norms", "biases"]}).config)["select"]["parameters"] == [
        "biases",
        "norms",
    ]
