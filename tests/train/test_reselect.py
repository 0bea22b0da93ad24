"""Re-selection while a job trains: the patch tells what changed, the share stays, and a kill does not show."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import data
from ended import ended
from killed import Killed
from tiny import tiny_decoder, tiny_encoder
from zogan.config import Config
from zogan.errors import ConfigError, IntegrityError, ZoganError
from zogan.patch import Patch
from zogan.select.criteria import CRITERIA, Criterion
from zogan.select.storage import load_selection, save_selection
from zogan.sparse.attach import attach
from zogan.sparse.selection import Selection
from zogan.tasks import open_job
from zogan.tasks.job import Job
from zogan.train import tune
from zogan.train.depth import selection_for
from zogan.train.feed import Rows
from zogan.train.job import Tuned, config_digest, selection_digest
from zogan.train.methods import load_adapters
from zogan.train.reselect import Reselection, refuse_several, schedule

TRAIN = {"epochs": 3, "batch_size": 8, "rate": 0.01, "reselect": 2, "reselect_share": 0.8, "checkpoint_seconds": 0.0}
STEPS, AT = 9, (2, 4)

MakeJob = Callable[..., Job]


@pytest.fixture
def make(tmp_path: Path) -> MakeJob:
    def make(
        task: str = "classification",
        *,
        dtype: torch.dtype = torch.float32,
        layers: int = 1,
        base: dict[str, Any] | None = None,
        train: dict[str, Any] | None = None,
        **keys: Any,
    ) -> Job:
        folder = tmp_path / "job"
        if not folder.exists():
            tiny = tiny_encoder if task == "classification" else tiny_decoder
            tiny(folder / "base", dtype=dtype, layers=layers, width=16, **(base or {}))
        splits = data.write_splits(folder, task, train=24, validation=9, test=6)  # type: ignore[arg-type]
        if "folds" in (train or {}):
            splits.pop("validation")
        keys = {"budget": {"density": 0.05}, "select": {"batches": 2}, **keys, "train": TRAIN | (train or {})}
        return open_job(data.make_config(folder, task, data=splits, **keys), cache=tmp_path / "cache")

    return make


def saved(tuned: Tuned, path: Path) -> tuple[bytes, bytes]:
    """Patch and selection, as files."""
    tuned.patch.save(path)
    assert tuned.selection is not None
    save_selection(tuned.selection, path.with_suffix(".selection"))
    return path.read_bytes(), path.with_suffix(".selection").read_bytes()


def patched(job: Job, patch: Patch) -> nn.Module:
    """A fresh base with the patch."""
    model = job.task.model(seed=7, dtype=torch.float32)
    patch.apply(model, job.task.tensor_names(model))
    return load_adapters(model, patch)


def weights(job: Job) -> dict[str, Tensor]:
    model = job.task.model(seed=7, dtype=torch.float32)
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def pairs(selection: Selection) -> set[tuple[str, int]]:
    return {(name, place) for name, flat in selection.positions.items() for place in flat.tolist()}


def changed(job: Job, patch: Patch) -> set[tuple[str, int]]:
    names = job.task.tensor_names(job.task.model(seed=0))
    return {
        (name, place)
        for name, tensor in names.items()
        if tensor in patch.changes
        for place in patch.changes[tensor].positions.tolist()
    }


@given(times=st.integers(1, 20), steps=st.integers(1, 500), share=st.floats(0.01, 1.0))
def test_the_schedule_stands_within_three_quarters_and_falls(times: int, steps: int, share: float) -> None:
    found = schedule(times, share, steps)
    assert list(found) == sorted(found)
    assert len(found) <= times
    assert all(1 <= step < steps and step <= max(1, 0.75 * steps + 0.5) for step in found)
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert all(0 < one < share for one in found.values())


def test_the_schedule_is_that_of_rigl() -> None:
    found = schedule(3, 0.3, 1600)
    assert list(found) == [300, 600, 900]
    assert list(found.values()) == pytest.approx([0.15 * (1 + math.cos(math.pi * place / 4)) for place in (1, 2, 3)])
    assert list(schedule(2, 0.3, STEPS)) == list(AT)


@pytest.mark.parametrize(
    ("task", "dtype", "keys"),
    [
        ("classification", torch.float32, {}),
        ("classification", torch.bfloat16, {"select": {"allocation": "row", "batches": 2}}),
        ("classification", torch.float16, {"select": {"criterion": "random", "batches": 2}}),
        ("generation", torch.bfloat16, {"select": {"allocation": "tensor", "batches": 2}}),
        ("generation", torch.float32, {}),
    ],
)
def test_the_patch_lists_what_changed_and_what_was_dropped_is_as_it_was(
    make: MakeJob, task: str, dtype: torch.dtype, keys: dict[str, Any]
) -> None:
    job = make(task, dtype=dtype, **keys)
    before = weights(job)
    first = selection_for(job)
    tuned = tune(job, selection=first)
    last = tuned.selection
    assert last is not None
    # As many as before, some of them others, and in no tensor that could not be chosen from.
    assert last.count == first.count
    assert (last.shapes, last.whole) == (first.shapes, first.whole)
    dropped, grown = pairs(first) - pairs(last), pairs(last) - pairs(first)
    assert len(dropped) == len(grown) > 0
    # What differs from the base is what the patch lists, and that is chosen; much of what came in has trained.
    model = patched(job, tuned.patch)
    differs = {
        (name, place)
        for name, p in model.named_parameters()
        if name not in job.task.head(model)
        for place in (p.detach() != before[name]).reshape(-1).nonzero().squeeze(1).tolist()
    }
    assert differs == changed(job, tuned.patch) <= pairs(last)
    assert len(differs & grown) > 0.5 * len(grown)
    assert not differs & dropped
    # What was validated is what the patch makes.
    found = job.task.monitor(model, job.examples("validation"), job.config.evaluate.batch_size)
    assert found.loss == ended(tuned).validation_loss
    tuned.patch.revert(model, job.task.tensor_names(model))
    for name, p in model.named_parameters():
        if name not in job.task.head(model):
            assert torch.equal(p.detach().view(torch.int32), before[name].view(torch.int32))


def test_what_is_said_of_it(make: MakeJob, tmp_path: Path) -> None:
    job, log, progress = make(), tmp_path / "metrics.jsonl", Killed()
    first = selection_for(job)
    tuned = tune(job, selection=first, log=log, progress=progress)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    told = [line for line in lines if line["kind"] == "reselect"]
    assert [line["step"] for line in told] == list(AT)
    wanted = [round(share * first.count) for share in schedule(2, 0.8, STEPS).values()]
    assert [line["exchanged"] for line in told] == wanted
    assert any(f"after 2 steps {wanted[0]:,} of {first.count:,} weights gave way" in note for note in progress.notes)
    last = tuned.selection
    assert last is not None
    assert "worth" not in last.meta
    best = max(epoch.epoch for epoch in tuned.epochs if epoch.best)
    in_time = [step for step in AT if step < 3 * best]
    assert [one["step"] for one in last.meta["reselected"]] == in_time
    assert tuned.patch.meta.hashes["selection"] == selection_digest(last) != selection_digest(first)
    save_selection(last, tmp_path / "selection.safetensors")
    assert selection_digest(load_selection(tmp_path / "selection.safetensors")) == selection_digest(last)


HELD = {"decay": 0.5, "threshold": 0.05, "mixout": 0.2, "label_smoothing": 0.1, "average": 0.25, "interpolate": 2}


@pytest.mark.parametrize("killed", [2, 3, 4, 5, 8])
def test_a_killed_run_gives_the_same_patch(make: MakeJob, tmp_path: Path, killed: int) -> None:
    """Killed before a re-selection, right after one, and once all are through."""
    job, folder = make(), tmp_path / "checkpoint"
    whole = tune(job)
    with pytest.raises(KeyboardInterrupt):
        tune(job, checkpoint=folder, progress=Killed(killed))
    torch.manual_seed(5)
    resumed = tune(make(train={"checkpoint_seconds": 60.0}), checkpoint=folder)
    assert resumed.seconds_before > 0
    assert saved(resumed, tmp_path / "resumed") == saved(whole, tmp_path / "whole")
    assert saved(tune(job, checkpoint=folder), tmp_path / "again") == saved(whole, tmp_path / "whole")


@pytest.mark.parametrize("task", ["classification", "generation"])
def test_restraint_looks_back_to_the_old_values_of_what_is_chosen_now(make: MakeJob, tmp_path: Path, task: str) -> None:
    job, folder = make(task, regularize=HELD), tmp_path / "checkpoint"
    before, whole = weights(job), tune(job)
    with pytest.raises(KeyboardInterrupt):
        tune(job, checkpoint=folder, progress=Killed(6))
    resumed = tune(job, checkpoint=folder)
    assert saved(resumed, tmp_path / "resumed") == saved(whole, tmp_path / "whole")
    assert [point.best for point in whole.interpolation].count(True) == 1
    # Held to the utmost every weight ends at its own old value, and none at that of one that went.
    still = tune(make(task, regularize={"threshold": 1e6}))
    assert still.patch.count == 0
    names = job.task.tensor_names(job.task.model(seed=0))
    for name, tensor in names.items():
        if tensor in whole.patch.changes:
            change = whole.patch.changes[tensor]
            assert torch.equal(change.old, before[name].reshape(-1)[change.positions])


def test_the_best_values_are_put_back_where_they_belong(make: MakeJob) -> None:
    """Where no epoch is better than a fitted head, nothing but the head is in the patch, whatever was exchanged."""
    job = make(train={"head_start": "ridge", "rate": 2.0})
    first = selection_for(job)
    tuned = tune(job, selection=first)
    assert not any(epoch.best for epoch in tuned.epochs)
    assert tuned.selection is not None
    assert pairs(tuned.selection) == pairs(first)
    assert tuned.selection.meta["reselected"] == []
    assert tuned.patch.count == 0


def test_nothing_comes_in_below_the_lowest_layer_that_trains(make: MakeJob) -> None:
    job = make(layers=3, budget={"density": 0.05, "depth": 2})
    tuned = tune(job)
    assert tuned.selection is not None
    assert {name for name, _ in pairs(tuned.selection)} <= {name for name in weights(job) if "layer.0." not in name}
    whole = make(layers=3)
    first = selection_for(whole)
    # Chosen by hand, so that the lowest layer has none though it might: it stays that way.
    top = {name: flat if "layer.0." not in name else flat[:0] for name, flat in first.positions.items()}
    high = tune(whole, selection=Selection(top, first.shapes, first.whole, first.meta))
    assert high.selection is not None
    assert sum(map(len, high.selection.positions.values())) == sum(map(len, top.values()))
    assert not any("layer.0." in name for name, _ in pairs(high.selection))


def test_names_that_may_not_change_stay_out(make: MakeJob) -> None:
    job = make(select={"exclude": "query|key", "batches": 2})
    tuned = tune(job)
    assert tuned.selection is not None
    assert not any("query" in name or "key" in name for name, _ in pairs(tuned.selection))


def test_embeddings_and_vectors_beside(make: MakeJob) -> None:
    kinds = {"parameters": ["matrices", "norms", "embeddings"], "batches": 2, "allocation": "row"}
    job = make(select=kinds, budget={"density": 0.25})
    first = selection_for(job)
    tuned = tune(job, selection=first)
    last = tuned.selection
    assert last is not None
    assert last.vectors == first.vectors
    assert {name: len(flat) for name, flat in last.positions.items()} == {
        name: len(flat) for name, flat in first.positions.items()
    }
    assert any("embedding" in name for name, _ in pairs(last) - pairs(first))
    assert last.meta["parameters"] == first.meta["parameters"]
    assert changed(job, tuned.patch) - {(n, p) for n in last.vectors for p in range(64)} <= pairs(last)


def test_what_comes_in_steps_as_if_training_began_then(make: MakeJob) -> None:
    """From moments of zero: Adam's first step is as long as its rate, whatever the age of the others."""
    job = make(train={"rate": 1e-3, "warmup": 0.0, "decay": "constant", "clip": None})
    model = job.task.model(seed=0, dtype=torch.float32)
    first = selection_for(job)
    attach(model, first)
    reselection = Reselection(job, job.config.train, model, first, Rows(job, 4))
    reselection.plan(STEPS)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-3, weight_decay=0.0, eps=0.0)
    generator = torch.Generator().manual_seed(0)

    def step() -> None:
        for p in trained:
            p.grad = torch.randn(p.shape, generator=generator) if p.numel() else None
        with reselection.stepping(optimizer):
            optimizer.step()
        optimizer.zero_grad()

    for _ in range(AT[0]):
        step()
    kept = {
        name: dict(zip(layer.chosen.tolist(), layer.values.tolist(), strict=True))
        for name, layer in reselection.layers.items()
    }
    reselection.exchange(AT[0], optimizer)
    reference: dict[str, Any] = {}
    for name, layer in reselection.layers.items():
        new = torch.tensor([place not in kept[name] for place in layer.chosen.tolist()], dtype=torch.bool)
        assert layer.values.detach()[~new].tolist() == [kept[name][at] for at in layer.chosen[~new].tolist()]
        assert torch.equal(layer.values.detach()[new], layer.old[new].float())
        if state := optimizer.state.get(layer.values):
            assert not state["exp_avg"][new].any()
            assert (state["exp_avg"][~new] != 0).all()
            assert not state["exp_avg_sq"][new].any()
            assert (state["exp_avg_sq"][~new] != 0).all()
        alone = nn.Parameter(layer.values.detach()[new].clone())
        reference[name] = (new, alone, torch.optim.AdamW([alone], lr=1e-3, weight_decay=0.0, eps=0.0))
    assert sum(int(new.sum()) for new, _, _ in reference.values()) > 10
    for _ in range(3):
        for p in trained:
            p.grad = torch.randn(p.shape, generator=generator) if p.numel() else None
        for name, (new, alone, own) in reference.items():
            grad = reselection.layers[name].values.grad
            alone.grad = grad[new].clone() if grad is not None else None
            own.step()
        with reselection.stepping(optimizer):
            optimizer.step()
    for name, (new, alone, _) in reference.items():
        assert torch.allclose(reselection.layers[name].values.detach()[new], alone.detach(), rtol=0, atol=1e-6)


def test_with_a_second_stage(make: MakeJob, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    job, folder = make(adapters={"two_stage": "always"}, lora={"rank": 2}, regularize={"decay": 0.5}), tmp_path / "two"
    tuned = tune(job, checkpoint=folder)
    assert tuned.second is not None
    assert tuned.selection is not None
    assert changed(job, tuned.patch) <= pairs(tuned.selection)
    found = job.task.monitor(patched(job, tuned.patch), job.examples("validation"), job.config.evaluate.batch_size)
    best = min(epoch.validation_score for epoch in tuned.second.epochs)
    assert found.score == pytest.approx(best, rel=1e-5)
    assert saved(tune(job, checkpoint=folder), tmp_path / "a") == saved(tuned, tmp_path / "b")


def test_in_folds(make: MakeJob) -> None:
    job = make(train={"folds": 2, "epochs": 2})
    tuned = tune(job)
    assert tuned.folds is not None
    assert tuned.selection is not None
    assert changed(job, tuned.patch) <= pairs(tuned.selection)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"method": "lora"}, r"train\.reselect is for method 'sparse', not 'lora': set it to 0"),
        (
            {"select": {"pattern": "rows"}},
            r"train\.reselect exchanges single weights, not 'rows': set it to 0, or take",
        ),
        (
            {"select": {"parameters": ["biases"]}},
            r"train\.reselect exchanges elements, and select\.parameters has none",
        ),
        (
            {"regularize": {"average": 0.3}},
            r"regularize\.average takes the mean over the last 30%, of other weights: set",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, keys: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        data.make_config(tmp_path, train={"reselect": 1}, **keys)
    assert data.make_config(tmp_path, **keys).train.reselect == 0


def test_a_criterion_without_a_gradient_is_refused(make: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        ConfigError, match=r"train\.reselect: criterion 'magnitude' looks at no gradient: what is dropped"
    ):
        tune(make(select={"criterion": "magnitude", "batches": 2}))
    monkeypatch.setitem(CRITERIA, "mine", Criterion(None, torch.neg))
    with pytest.raises(ConfigError, match=r"criterion 'mine' looks at no gradient"):
        tune(make(select={"criterion": "mine", "batches": 2}))


def test_several_processes_are_refused() -> None:
    refuse_several(1)
    with pytest.raises(ZoganError, match=r"train\.reselect: weights cannot be exchanged while 2 processes train them"):
        refuse_several(2)


def test_a_checkpoint_without_places_is_told(make: MakeJob, tmp_path: Path) -> None:
    job, folder = make(), tmp_path / "checkpoint"
    tune(job, checkpoint=folder)
    state = torch.load(folder / "state.pt", weights_only=True)
    state["places"].popitem()
    torch.save(state, folder / "state.pt")
    with pytest.raises(IntegrityError, match=r"state\.pt: cannot be read"):
        tune(job, checkpoint=folder)


def test_it_stands_in_the_digest_where_it_is_asked_for(tmp_path: Path) -> None:
    def digest(**train: Any) -> str:
        config: Config = data.make_config(tmp_path, train=train)
        return config_digest(config)

    assert digest() == digest(reselect=0) == digest(reselect_share=0.3)
    assert len({digest(), digest(reselect=1), digest(reselect=2), digest(reselect=1, reselect_share=0.5)}) == 4
