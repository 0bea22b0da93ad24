"""The selection of a configured job: its rows, its section, its seed."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import torch

import data
from tiny import tiny_decoder, tiny_encoder
from zogan.data.batch import batch_size, bucketed
from zogan.errors import ConfigError
from zogan.select.job import SALIENCY_EPOCH, saliency_batches, select_for
from zogan.sparse.pattern import Blocks, Columns, Rows, recognise
from zogan.sparse.selection import Selection
from zogan.tasks import open_job
from zogan.tasks.job import Job

MakeJob = Callable[..., Job]


@pytest.fixture
def make(tmp_path: Path) -> MakeJob:
    def make(task: str = "classification", dtype: torch.dtype = torch.float32, **keys: Any) -> Job:
        if not (tmp_path / "base").exists():
            (tiny_encoder if task == "classification" else tiny_decoder)(tmp_path / "base", dtype=dtype)
        splits = data.write_splits(tmp_path, task, train=26, validation=6, test=6)  # type: ignore[arg-type]
        keys = {"train": {"batch_size": 8}, **keys}
        return open_job(data.make_config(tmp_path, task, data=splits, **keys), cache=tmp_path / "cache")

    return make


def same(one: Selection, other: Selection) -> bool:
    return one.positions.keys() == other.positions.keys() and all(
        torch.equal(flat, other.positions[name]) for name, flat in one.positions.items()
    )


@pytest.mark.parametrize("task", ["classification", "generation"])
def test_it_is_the_gradient_on_the_jobs_rows(make: MakeJob, task: str) -> None:
    # Of one batch the pass is exact.
    select = {"criterion": "gradient", "batches": 1, "allocation": "global"}
    job = make(task, select=select, budget={"density": 0.02})
    found = select_for(job)
    model, examples = job.task.model(seed=0, dtype=torch.float32).eval(), job.examples("train")
    order = bucketed([len(one.ids) for one in examples], 8, seed=0, epoch=SALIENCY_EPOCH)[:1]
    weights = [model.get_parameter(name) for name in found.shapes]
    sums = [torch.zeros_like(weight) for weight in weights]
    for rows in order:
        total, targets = job.task.loss(model, job.task.collate([examples[row] for row in rows]))
        for place, grad in enumerate(torch.autograd.grad(total / targets, weights)):
            sums[place] += grad
    dense = {name: one.abs().reshape(-1) for name, one in zip(found.shapes, sums, strict=True)}
    kept = torch.cat([dense[name][flat] for name, flat in found.positions.items()])
    assert len(kept) == int(0.02 * sum(len(one) for one in dense.values()))
    torch.testing.assert_close(kept.sort().values, torch.cat(list(dense.values())).topk(len(kept)).values.sort().values)


def test_its_batches_are_those_of_training_without_packing(make: MakeJob) -> None:
    job = make("generation", select={"batches": 2}, train={"tokens_per_batch": 400, "packing": True})
    lengths, plain = [len(one.ids) for one in job.examples("train")], saliency_batches(job)
    assert len(plain) == 2
    assert all(len(rows) * max(lengths[row] for row in rows) <= 400 or len(rows) == 1 for rows in plain)
    assert saliency_batches(job, batch_size(job.config.train)) != plain


def test_its_batches_hold_classes_evenly_where_training_does(make: MakeJob) -> None:
    even = make(select={"batches": 4}, train={"balance": "batches", "batch_size": 8})
    assert saliency_batches(even) != saliency_batches(make(select={"batches": 4}))


def test_only_the_bodys_matrices_are_chosen_and_the_head_is_whole(make: MakeJob) -> None:
    found = select_for(make())
    assert found.whole == ("head.weight", "head.bias")
    kinds = {name.split(".")[-2] for name in found.shapes}
    assert kinds == {"query", "key", "value", "dense"}
    assert all(name.startswith("body.encoder.layer.") for name in found.shapes)  # no embedding, no unused pooler


def test_generation_leaves_the_embeddings_alone(make: MakeJob) -> None:
    found = select_for(make("generation"))
    assert found.whole == ()
    assert len(found.shapes) == 2 * 7
    assert all(name.startswith("model.layers.") for name in found.shapes)


def test_what_it_says_of_itself(make: MakeJob) -> None:
    job = make(select={"criterion": "fisher", "allocation": "row", "batches": 9}, budget={"density": 0.01})
    meta = dict(select_for(job).meta)
    worth = meta.pop("worth")
    assert all(value >= 0 for value in worth.values())
    assert meta == {
        "criterion": "fisher",
        "density": 0.01,
        "allocation": "row",
        "pattern": "elements",
        "seed": 0,
        "base": job.base.fingerprint.whole,
        "data": job.splits.digest,
        "depth": "all",
        "rows": 26,
        "zogan": version("zogan"),
    }


@pytest.mark.parametrize(("batches", "rows"), [(1, {2, 8}), (3, {18, 24}), (4, {26}), (100, {26})])
def test_it_reads_as_many_batches_as_there_are(make: MakeJob, batches: int, rows: set[int]) -> None:
    # 26 rows are three batches of 8 and one of 2, which may come at any time.
    assert select_for(make(select={"batches": batches})).meta["rows"] in rows


def test_the_seed_decides(make: MakeJob) -> None:
    keys: dict[str, Any] = {"select": {"batches": 1}, "budget": {"density": 0.01}}
    first, again = select_for(make(**keys)), select_for(make(**keys))
    assert same(first, again)
    assert first.meta == again.meta
    assert not same(first, select_for(make(**keys, train={"batch_size": 8, "seed": 1})))


def test_the_section_decides(make: MakeJob) -> None:
    plain = select_for(make())
    assert not same(plain, select_for(make(select={"criterion": "magnitude"})))
    assert select_for(make(budget={"density": 0.05})).count > 5 * plain.count
    some = select_for(make(select={"include": r"layer\.1", "exclude": "attention"}))
    assert set(some.shapes) == {f"body.encoder.layer.1.{name}.dense.weight" for name in ("intermediate", "output")}
    with pytest.raises(ConfigError, match=r"no criterion is called 'gradeint'\. Did you mean 'gradient'"):
        select_for(make(select={"criterion": "gradeint"}))


@pytest.mark.parametrize(
    ("pattern", "forms"),
    [("rows", {Rows}), ("columns", {Columns}), ("blocks", {Blocks}), ("coupled", {Rows, Columns})],
)
def test_the_pattern_is_what_the_layers_find(make: MakeJob, pattern: str, forms: set[type]) -> None:
    found = select_for(make(select={"pattern": pattern, "block": 8, "batches": 1}, budget={"density": 0.1}))
    assert found.meta["pattern"] == pattern
    shapes = {name: (shape[0], shape[1]) for name, shape in found.shapes.items()}
    assert {type(recognise(flat, shapes[name])) for name, flat in found.positions.items() if len(flat)} == forms


def test_a_model_in_memory_is_used_and_left_as_it_was(make: MakeJob) -> None:
    job = make()
    model = job.task.model(seed=0, dtype=torch.float32)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert same(select_for(job, model), select_for(job))
    after = model.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    assert all(p.grad is None and p.requires_grad for p in model.parameters())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_base_in_half_precision_is_scored_in_fp32(make: MakeJob, dtype: torch.dtype) -> None:
    job = make(dtype=dtype, budget={"density": 0.02})
    assert same(select_for(job), select_for(job, job.task.model(seed=0, dtype=torch.float32)))


def test_the_section_says_of_what_is_chosen(make: MakeJob) -> None:
    kinds = ["norms", "matrices", "biases", "embeddings"]
    found = select_for(make(select={"parameters": kinds}, budget={"density": 0.2}))
    assert found.meta["parameters"].keys() == {*kinds}
    assert all(found.meta["parameters"].values())
    assert sum(found.meta["parameters"].values()) == found.count
    assert found.whole[:2] == ("head.weight", "head.bias")
    assert "body.embeddings.LayerNorm.weight" in found.vectors
    assert "body.encoder.layer.1.attention.self.query.bias" in found.vectors
    assert not any(name.startswith("body.pooler") for name in found.vectors)  # the loss does not reach it
    assert len(found.positions["body.embeddings.word_embeddings.weight"])


def test_tied_embeddings_are_not_chosen(make: MakeJob) -> None:
    found = select_for(
        make("generation", select={"parameters": ["matrices", "embeddings", "norms"]}, budget={"density": 0.1})
    )
    assert found.meta["parameters"]["embeddings"] == 0
    assert len(found.vectors) == 2 * 2 + 1
    with pytest.raises(ConfigError, match="the model has no embeddings that may be chosen"):
        select_for(make("generation", select={"parameters": ["embeddings"]}))
