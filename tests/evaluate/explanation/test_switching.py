"""A part that is switched off is reverted exactly, and comes back exactly."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from planted_run import USEFUL, planted_job, planted_run
from zogan.evaluate.explanation.part import layers_of, smaller
from zogan.evaluate.explanation.switching import Switched
from zogan.patch import Patch
from zogan.patch.change import bits
from zogan.progress import Silent
from zogan.tasks.job import Job
from zogan.tasks.task import TextPredictions


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Job, Patch]:
    folder = tmp_path_factory.mktemp("switched") / "texts"
    run = planted_run(folder, "generation", folder / "cache")
    return planted_job(folder, folder / "cache"), Patch.load(run / "patch.safetensors")


def opened(job: Job, patch: Patch, answers: int = 0) -> Switched:
    return Switched(job, patch, "validation", answers=answers, adapt=lambda model, _: model, progress=Silent())


def stored(model: nn.Module) -> dict[str, Tensor]:
    return {name: bits(p.detach().clone()) for name, p in model.named_parameters()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def losses(predictions: object) -> np.ndarray:
    assert isinstance(predictions, TextPredictions)
    return predictions.losses


def test_every_bit_comes_back(planted: tuple[Job, Patch]) -> None:
    job, patch = planted
    switched, base = opened(job, patch), stored(job.task.model(seed=0, dtype=job.dtype))
    tuned, names = stored(switched.model), job.task.tensor_names(switched.model)
    assert not same(base, tuned)
    parts = layers_of(patch)
    for part in parts:
        with switched.off([part]):
            now = stored(switched.model)
            for name, held in now.items():
                off = names.get(name) in part.tensors
                assert torch.equal(held, (base if off else tuned)[name])
        assert same(stored(switched.model), tuned)
    with switched.off(parts):
        assert same(stored(switched.model), base)
    with pytest.raises(RuntimeError, match="broken off"), switched.off(parts[:1]):
        raise RuntimeError("broken off")
    assert same(stored(switched.model), tuned)


def test_off_is_as_if_it_had_never_been(planted: tuple[Job, Patch]) -> None:
    job, patch = planted
    switched, (first, *others) = opened(job, patch, answers=2), layers_of(patch)
    rest = opened(job, smaller(patch, frozenset[str]().union(*(part.tensors for part in others))), answers=2)
    assert rest.cut == 1
    assert switched.cut == 0
    off, never = switched.without([first]), rest.without([])
    assert np.array_equal(losses(off), losses(never))
    assert isinstance(off, TextPredictions)
    assert isinstance(never, TextPredictions)
    assert off.answers == never.answers
    assert not np.array_equal(losses(off), losses(switched.without([])))


def test_what_does_not_change_runs_once(planted: tuple[Job, Patch], monkeypatch: pytest.MonkeyPatch) -> None:
    job, patch = planted
    tensors = frozenset(name for name in patch.changes if f".{USEFUL}." in name)
    switched, uncut = opened(job, smaller(patch, tensors)), opened(job, patch)
    assert switched.cut == USEFUL
    uncut_rest = uncut.without([part for part in layers_of(patch) if part.layer != USEFUL])
    layers = switched.model.get_submodule("model.layers")
    assert isinstance(layers, nn.ModuleList)
    runs: list[int] = []
    for place, layer in enumerate(layers):
        layer.get_submodule("self_attn").register_forward_hook(lambda *_, place=place: runs.append(place))
    assert np.array_equal(losses(switched.without([])), losses(uncut_rest))
    assert set(runs) == {USEFUL}
