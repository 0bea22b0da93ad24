"""A patch is evaluated against the model before it, and leaves the model as it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import data
from tiny import tiny_decoder, tiny_encoder
from zogan.config import Config
from zogan.data.external import External
from zogan.errors import ConfigError, IntegrityError, ModelError, ZoganError
from zogan.evaluate import evaluate
from zogan.evaluate.run import measure
from zogan.patch import Patch
from zogan.sparse.attach import Delta
from zogan.tasks import open_job
from zogan.tasks.job import Job
from zogan.tasks.task import Predictions
from zogan.train import held
from zogan.train.plan import Plan


def config(folder: Path, task: Any, **keys: Any) -> Config:
    return data.make_config(
        folder,
        task,
        data=data.write_splits(folder, task),
        evaluate={"resamples": 100, "answers": 2, "max_new_tokens": 4},
        **keys,
    )


def capture(job: Job, model: nn.Module, changed: dict[str, torch.Tensor], **more: Any) -> Patch:
    """A patch that gives whole parameters new values."""
    deltas = {}
    for name, new in changed.items():
        old = model.get_parameter(name).detach().reshape(-1).clone()
        deltas[name] = Delta(torch.arange(old.numel()), old, new.reshape(-1))
    names = job.task.tensor_names(model)
    return Patch.capture(deltas, names, job.base.fingerprint, job.base.folder, **({"task": job.task.describe()} | more))


@pytest.fixture
def classes(tmp_path: Path) -> Job:
    tiny_encoder(tmp_path / "base")
    return open_job(config(tmp_path, "classification"), cache=tmp_path / "cache")


@pytest.fixture
def texts(tmp_path: Path) -> Job:
    tiny_decoder(tmp_path / "base")
    return open_job(config(tmp_path, "generation"), cache=tmp_path / "cache")


def head(job: Job, seed: int) -> dict[str, torch.Tensor]:
    model = job.task.model(seed=seed)
    return {name: model.get_parameter(name).detach() for name in job.task.head(model)}


def test_a_new_head_needs_a_before(classes: Job) -> None:
    with pytest.raises(ModelError, match=r"has a new head.* Pass before=, a patch made with method: head"):
        evaluate(classes)


def test_head_and_patch_in_turn(classes: Job) -> None:
    model = classes.task.model(seed=0)
    name = "body.encoder.layer.1.output.dense.weight"
    new = model.get_parameter(name).detach() + 1
    before = capture(classes, model, {}, tensors=head(classes, 1))
    patch = capture(classes, model, {name: new}, tensors=head(classes, 2))
    found = evaluate(classes, patch, before=before)
    assert found.before_is == "head_only"
    assert (found.rows, found.split) == (24, "test")
    alone = evaluate(classes, before=patch)
    assert alone.after is None
    assert found.after == alone.before
    backwards = evaluate(classes, before, before=patch)
    assert backwards.before == found.after
    assert backwards.after == found.before


def test_a_base_is_its_own_before(texts: Job) -> None:
    model = texts.task.model(seed=0)
    name = "model.layers.1.mlp.down_proj.weight"
    patch = capture(texts, model, {name: model.get_parameter(name).detach() * 3})
    found = evaluate(texts, patch, split="validation")
    assert (found.before_is, found.rows, found.split) == ("base", 12, "validation")
    assert found.after is not None
    assert found.before["loss"].value != found.after["loss"].value
    assert {info.name: info.rows for info in found.metrics}["chrf"] == 2
    assert evaluate(texts).before["loss"].value != evaluate(texts, split="train").before["loss"].value


def test_a_configuration_is_enough(tmp_path: Path) -> None:
    tiny_encoder(tmp_path / "base", labels=data.LABELS)
    found = evaluate(config(tmp_path, "classification"), cache=tmp_path / "cache")
    assert (found.before_is, found.labels) == ("base", data.LABELS)


NAME = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"


def test_adapters_are_attached_by_the_caller(texts: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    patch = capture(texts, texts.task.model(seed=0), {}, adapters={NAME: torch.ones(2, 2)}, adapter={"r": 2})
    other = capture(texts, texts.task.model(seed=0), {}, adapters={NAME: torch.zeros(2, 2)}, adapter={"r": 2})
    with pytest.raises(ZoganError, match=r"has adapters.* Pass adapt="):
        evaluate(texts, patch)
    seen: list[nn.Module] = []
    plain = type(texts.task).predict

    def adapt(model: nn.Module, given: Patch) -> nn.Module:
        assert given in (patch, other)
        model.get_parameter("model.norm.weight").data.mul_(3)
        seen.append(model)
        return model

    def predict(self: Any, model: nn.Module, *rest: Any) -> Predictions:
        return plain(self, model, *rest)

    monkeypatch.setattr(type(texts.task), "predict", predict)
    found = evaluate(texts, patch, adapt=adapt)
    assert found.after is not None
    assert found.after["loss"].value != found.before["loss"].value
    twice = evaluate(texts, other, before=patch, adapt=adapt)
    assert twice.after is not None
    assert twice.before["loss"].value == twice.after["loss"].value == found.after["loss"].value
    assert len({id(model) for model in seen}) == 3


def test_a_patch_of_another_task_is_refused(classes: Job) -> None:
    model = classes.task.model(seed=0)
    other = capture(
        classes, model, {}, tensors=head(classes, 1), task=classes.task.describe() | {"labels": ["a", "b", "c"]}
    )
    with pytest.raises(
        ModelError, match=r"made for labels = \['a', 'b', 'c'\], this task has \['bad', 'fine', 'good'\]"
    ):
        evaluate(classes, before=other)
    headless = capture(classes, model, {})
    with pytest.raises(ModelError, match=r"holds no 'head\.weight'"):
        evaluate(classes, before=headless)


def test_a_patch_of_another_base_is_refused(texts: Job, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    tiny_decoder(tmp_path / "other" / "base", seed=1)
    strange = open_job(config(tmp_path / "other", "generation"), cache=tmp_path / "cache")
    model = strange.task.model(seed=0)
    name = "model.layers.1.mlp.down_proj.weight"
    patch = capture(strange, model, {name: model.get_parameter(name).detach() * 3})
    with pytest.raises(IntegrityError, match="down_proj"):
        evaluate(texts, patch)


def changed(job: Job, section: str, **keys: Any) -> Job:
    """The same job with other options of a section."""
    tree = {section: getattr(job.config, section).model_copy(update=keys)}
    return replace(job, config=job.config.model_copy(update=tree))


@pytest.mark.parametrize(
    ("task", "name"),
    [("classes", "body.encoder.layer.1.output.dense.weight"), ("texts", "model.layers.1.mlp.up_proj.weight")],
)
def test_a_base_larger_than_memory_has_the_same_figures(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, task: str, name: str
) -> None:
    job = changed(request.getfixturevalue(task), "evaluate", answers=0, batch_size=5)
    model = job.task.model(seed=0)
    new = model.get_parameter(name).detach() * 3
    before = capture(job, model, {}, tensors=head(job, 1)) if task == "classes" else None
    patch = capture(job, model, {name: new}, tensors=head(job, 2))
    whole = evaluate(job, patch, before=before)
    monkeypatch.setattr(held, "plan_for", lambda job, need: Plan(1, 1, 10**9))
    assert evaluate(job, patch, before=before) == whole


def test_answers_of_a_base_larger_than_memory_are_refused(texts: Job) -> None:
    small = changed(texts, "budget", memory=10**6)
    with pytest.raises(ConfigError, match=r"evaluate\.answers: greedy answers need the whole model"):
        evaluate(small)


def test_external_sets_are_measured_with_the_same_models(classes: Job) -> None:
    away = External("away", None, tuple(data.text_rows(15, start=500)), ())
    model = classes.task.model(seed=0)
    before, patch = (capture(classes, model, {}, tensors=head(classes, seed)) for seed in (1, 2))
    found = measure(classes, patch, before=before, external=[away]).evaluation
    (one,) = found.external
    there = measure(classes.measured_on(away.rows), patch, before=before).evaluation
    assert (one.rows, one.before, one.after) == (15, there.before, there.after)
    assert one.drop.after is not None
    assert found.after is not None
    expected = found.after["accuracy"].value - there.after["accuracy"].value if there.after else None
    assert one.drop.after["accuracy"].value == pytest.approx(expected)
