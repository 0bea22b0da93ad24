"""What is in memory is planned from shapes, before anything is loaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from torch import nn

import data
from tiny import tiny_decoder, tiny_encoder
from zogan.errors import ConfigError, IntegrityError
from zogan.patch import Patch
from zogan.sparse.attach import Delta
from zogan.tasks import open_job
from zogan.tasks.job import Job
from zogan.train import plan
from zogan.train.cost import form_of
from zogan.train.need import Need, to_evaluate, to_tune
from zogan.train.plan import Plan, plan_for
from zogan.train.sizes import VALUE_BYTES, Sizes, measure

MakeJob = Callable[..., Job]
LAYERS = 5
LAYER = 10**9


@pytest.fixture
def make(tmp_path: Path) -> MakeJob:
    def make(task: str = "generation", **keys: Any) -> Job:
        if not (tmp_path / "base").exists():
            (tiny_encoder if task == "classification" else tiny_decoder)(tmp_path / "base", layers=LAYERS, width=16)
        splits = data.write_splits(tmp_path, task, train=12, validation=5, test=3)  # type: ignore[arg-type]
        keys = {"data": splits, "budget": {"density": 0.05, "depth": 2}, "train": {"batch_size": 4}, **keys}
        return open_job(data.make_config(tmp_path, task, **keys), cache=tmp_path / "cache")

    return make


@pytest.fixture
def gigabytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each layer takes one, and so does what stands outside of them."""

    def measured(job: Job, model: nn.Module, need: Need, *, program: int) -> Sizes:
        return Sizes(0, LAYER, (LAYER,) * LAYERS, largest=0, activations=0, trained=1, measured=1, streamed=1)

    monkeypatch.setattr(plan, "measure", measured)


def bound(make: MakeJob, memory: str, task: str = "generation", *, depth: Any = 2, **keys: Any) -> Job:
    return make(task, budget={"memory": memory, "depth": depth, "density": 1e-9}, **keys)


def changing(job: Job, *names: str, **more: Any) -> Patch:
    """A patch that gives the first weight of each parameter another value."""
    model = job.task.model(seed=0)
    deltas = {}
    for name in names:
        old = model.get_parameter(name).detach().reshape(-1)[:1].clone()
        deltas[name] = Delta(torch.arange(1), old, old + 1)
    return Patch.capture(deltas, job.task.tensor_names(model), job.base.fingerprint, job.base.folder, **more)


def test_where_it_fits_it_is_whole(make: MakeJob) -> None:
    for job in (make(), make(budget={"memory": "20GB"})):
        assert plan_for(job, to_tune(job)) is None
        assert plan_for(job, to_evaluate(job)) is None
    full = make(method="full", budget={"memory": "1MB"})
    assert plan_for(full, to_tune(full)) is None
    assert plan_for(full, to_evaluate(full)) is None


@pytest.mark.usefixtures("gigabytes")
def test_the_bound_decides(make: MakeJob) -> None:
    def planned(memory: str, depth: Any = 2) -> Plan | None:
        job = bound(make, memory, depth=depth)
        return plan_for(job, to_tune(job))

    assert planned("6.3GB") is None
    assert planned("6.1GB") == Plan(3, 3, 4 * LAYER)
    tight = planned("3.3GB")
    assert tight is not None
    assert (tight.index, tight.at_once) == (3, 2)
    with pytest.raises(
        ConfigError, match=r"budget\.memory: tuning 5 of 5 layers takes about 6\.2 GB, and 5\.0 GB may be"
    ):
        planned("5GB", depth="all")
    with pytest.raises(ConfigError, match=r"Up to 3 of 5 layers fit: --set budget\.depth=3"):
        planned("4.3GB", depth=4)
    with pytest.raises(ConfigError, match=r"One layer takes about 2\.2 GB: --set budget\.memory=2\.3GB"):
        planned("2GB", depth=1)
    assert planned("2.3GB", depth=1) is not None


@pytest.mark.usefixtures("gigabytes")
def test_a_head_alone_needs_the_topmost_layer(make: MakeJob) -> None:
    job = bound(make, "2.3GB", "classification", method="head", depth="all")
    assert plan_for(job, to_tune(job)) == Plan(4, 1, 2 * LAYER + 3 * 2**26)
    small = bound(make, "2GB", "classification", method="head")
    told = r"fitting a head on 1 of 5 layers takes about 2\.2 GB.* --set budget\.memory=2\.3GB, a smaller evaluate\."
    with pytest.raises(ConfigError, match=told):
        plan_for(small, to_tune(small))


@pytest.mark.usefixtures("gigabytes")
def test_evaluation_needs_the_layers_from_the_lowest_that_changes(make: MakeJob) -> None:
    job = bound(make, "5GB", evaluate={"answers": 0})

    def index(*names: str) -> int:
        found = plan_for(job, to_evaluate(job, "test", [changing(job), changing(job, *names)]))
        assert found is not None
        return found.index

    before_there_is_one = plan_for(job, to_evaluate(job))
    assert before_there_is_one is not None
    assert before_there_is_one.index == 3
    assert index() == 4
    assert index("model.norm.weight") == 4
    assert index("model.layers.4.mlp.up_proj.weight", "model.layers.2.mlp.up_proj.weight") == 2
    with pytest.raises(
        ConfigError,
        match=r"evaluating 5 of 5 layers \(layer 0 is the lowest that a patch changes\) takes about 6\.2 GB",
    ):
        index("model.layers.0.mlp.up_proj.weight")


@pytest.mark.usefixtures("gigabytes")
@pytest.mark.parametrize("task", ["generation", "classification"])
def test_evaluation_needs_the_layers_from_the_lowest_with_an_adapter(make: MakeJob, task: str) -> None:
    job = bound(make, "5GB", task, evaluate={"answers": 0})
    stack = "model.layers" if task == "generation" else "encoder.layer"
    inside = "mlp.up_proj" if task == "generation" else "output.dense"

    def beside(*layers: int) -> Patch:
        named = {f"base_model.model.{stack}.{layer}.{inside}.lora_A.weight": torch.ones(2, 2) for layer in layers}
        return changing(job, adapters=named, adapter={"r": 2})

    found = plan_for(job, to_evaluate(job, "test", [changing(job), beside(2, 4)]))
    assert found is not None
    assert found.index == 2
    with pytest.raises(ConfigError, match=r"evaluating 5 of 5 layers .* takes about 6\.2 GB, and 5\.0 GB may be taken"):
        plan_for(job, to_evaluate(job, "test", [beside(0)]))
    with pytest.raises(IntegrityError, match=rf"{stack}\.9\.{inside}: the model has no such layer"):
        to_evaluate(job, "test", [beside(9)])


@pytest.mark.usefixtures("gigabytes")
def test_answers_need_the_whole_model(make: MakeJob) -> None:
    job = bound(make, "5GB", evaluate={"answers": 1})
    with pytest.raises(
        ConfigError, match=r"evaluate\.answers: greedy answers need the whole.* 6\.2 GB .*: --set evaluate\.answers=0"
    ):
        plan_for(job, to_evaluate(job))
    enough = bound(make, "6.3GB", evaluate={"answers": 1})
    assert plan_for(enough, to_evaluate(enough)) is None
    assert plan_for(job, to_tune(job)) is not None


@pytest.mark.usefixtures("gigabytes")
def test_training_without_the_cache_needs_the_whole_model(make: MakeJob) -> None:
    job = bound(make, "5GB", train={"cache": "off"}, evaluate={"answers": 0})
    with pytest.raises(
        ConfigError, match=r"train\.cache: without the cache .* 5\.0 GB may be.* --set train\.cache=auto"
    ):
        plan_for(job, to_tune(job))
    assert plan_for(job, to_evaluate(job)) is not None


def test_a_classifier_gives_no_answers(make: MakeJob) -> None:
    assert not to_evaluate(make("classification")).answers


def test_a_batch_of_figures_counts_too() -> None:
    sizes = Sizes(0, 0, (100, 100), largest=0, activations=10, trained=5, measured=5, streamed=0)
    longer = replace(sizes, measured=50)
    assert longer.whole(2, 0.0) - sizes.whole(2, 0.0) == 10 * (50 - 2 * 5)
    assert longer.part(1, 0.0, 1) - sizes.part(1, 0.0, 1) == 10 * (50 - 5)


def test_sizes_are_those_of_the_model(make: MakeJob) -> None:
    job = make(evaluate={"batch_size": 3})
    model = job.task.model(seed=0, dtype=torch.float32)
    empty = job.task.model(seed=0, dtype=torch.float32, empty=True)
    sizes, other = (measure(job, one, to_tune(job), program=7) for one in (model, empty))
    assert sizes == other
    assert sizes.rest + sum(sizes.layers) == sum(p.numel() * 4 for p in model.parameters())
    assert len(sizes.layers) == LAYERS
    assert sizes.program == 7
    longest = max(len(example.ids) for example in job.examples("train"))
    assert (sizes.trained, sizes.measured) == (4 * longest, 3 * longest)
    assert sizes.streamed == 17 * longest
    figures = measure(job, empty, to_evaluate(job), program=7)
    longest = max(len(example.ids) for example in job.examples("test"))
    assert (figures.trained, figures.largest) == (0, 0)
    assert figures.measured == figures.streamed == 3 * longest


def test_the_machines_memory_is_the_bound_where_none_is_given(make: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    class Memory:
        available = 1

    monkeypatch.setattr(psutil, "virtual_memory", lambda: Memory)
    job = make()
    with pytest.raises(ConfigError, match="budget: tuning 2 of 5 layers takes about"):
        plan_for(job, to_tune(job))


def test_embeddings_of_which_some_may_change_count_at_full_depth() -> None:
    sizes = Sizes(0, 0, (400, 400), largest=40, activations=0, trained=1, measured=1, streamed=0)
    more = replace(sizes, tables=(1000, 500))
    assert more.whole(1, 0.1) == sizes.whole(1, 0.1)
    # A tenth of them, and the gradient of the largest in place of the largest matrix's.
    assert more.whole(2, 0.1) - sizes.whole(2, 0.1) == VALUE_BYTES * 150 + 3 * (4 * 1000 - 40)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_weight_that_is_chosen_counts_the_same_in_every_dtype(make: MakeJob, precision: str) -> None:
    """As many are chosen as the cost of the work is reckoned with: a share of the matrices' entries, not of bytes."""
    job = make(train={"precision": precision})
    model = job.task.model(seed=0, dtype=torch.bfloat16 if precision == "bf16" else None, empty=True)
    sizes, matrices = measure(job, model, to_tune(job), program=0), form_of(job, model).layers
    assert sizes.whole(2, 0.05) - sizes.whole(2, 0.0) == VALUE_BYTES * int(0.05 * sum(matrices))
    # Two layers hold no more than they have.
    assert sizes.whole(2, 1.0) - sizes.whole(2, 0.0) == VALUE_BYTES * sum(matrices[-2:])


def test_which_embeddings_those_are(make: MakeJob) -> None:
    def tables(task: str, **keys: Any) -> tuple[int, ...]:
        job = make(task, **keys)
        model = job.task.model(seed=0, dtype=torch.float32, empty=True)
        return measure(job, model, to_tune(job), program=0).tables

    asked: dict[str, Any] = {"select": {"parameters": ["matrices", "embeddings"]}}
    assert tables("generation", **asked) == ()  # they are tied
    assert tables("generation") == ()


def test_a_classifiers_embeddings_are_not_tied(make: MakeJob) -> None:
    job = make("classification", select={"parameters": ["embeddings"]})
    model = job.task.model(seed=0, dtype=torch.float32, empty=True)
    shapes = [p.numel() for name, p in model.named_parameters() if "_embeddings." in name]
    assert sorted(measure(job, model, to_tune(job), program=0).tables) == sorted(shapes)
    full = make("classification", method="full", select={"parameters": ["embeddings"]})
    assert measure(full, model, to_tune(full), program=0).tables == ()
