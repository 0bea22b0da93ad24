"""One job, tuned: the same bytes from the same seed, also after a kill, and a patch that is just what was trained."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import data
from compiler import needs_compiler
from ended import ended
from killed import Killed
from tiny import tiny_decoder, tiny_encoder
from zogan.errors import ConfigError, IntegrityError
from zogan.patch import Patch, apply_folder
from zogan.select.job import select_for
from zogan.tasks import open_job
from zogan.tasks.job import Job
from zogan.train import tune
from zogan.train.depth import selection_for
from zogan.train.job import Tuned, config_digest
from zogan.train.methods import load_adapters

JOBS = [
    *(("classification", method) for method in ("sparse", "full", "lora", "head")),
    *(("generation", method) for method in ("sparse", "full", "lora")),
]
TRAIN = {"epochs": 2, "batch_size": 8, "rate": 0.01}
STEPS = 2 * 3

MakeJob = Callable[..., Job]


@pytest.fixture
def make(tmp_path: Path) -> MakeJob:
    def make(
        task: str = "classification",
        method: str = "sparse",
        *,
        dtype: torch.dtype = torch.float32,
        base: dict[str, Any] | None = None,
        train: dict[str, Any] | None = None,
        **keys: Any,
    ) -> Job:
        folder = tmp_path / "job"
        if not folder.exists():
            tiny = tiny_encoder if task == "classification" else tiny_decoder
            tiny(folder / "base", dtype=dtype, **{"layers": 1, "width": 16, **(base or {})})
        splits = data.write_splits(folder, task, train=24, validation=9, test=6)  # type: ignore[arg-type]
        keys = {"budget": {"density": 0.05}, "lora": {"rank": 2}, **keys, "train": TRAIN | (train or {})}
        return open_job(data.make_config(folder, task, data=splits, method=method, **keys), cache=tmp_path / "cache")

    return make


def saved(tuned: Tuned, path: Path) -> bytes:
    tuned.patch.save(path)
    return path.read_bytes()


def values(patch: Patch) -> list[list[float]]:
    """All that was trained."""
    new = [change.new for change in patch.changes.values()]
    return [tensor.reshape(-1).tolist() for tensor in (*new, *patch.tensors.values(), *patch.adapters.values())]


def state(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def patched(job: Job, patch: Patch, dtype: torch.dtype | None = torch.float32) -> nn.Module:
    """A fresh base with the patch."""
    model = job.task.model(seed=7, dtype=dtype)
    patch.apply(model, job.task.tensor_names(model))
    return load_adapters(model, patch)


@pytest.mark.parametrize(("task", "method"), JOBS)
def test_a_killed_run_gives_the_same_patch(make: MakeJob, tmp_path: Path, task: str, method: str) -> None:
    job, folder = make(task, method, train={"checkpoint_seconds": 0.0}), tmp_path / "checkpoint"
    whole = tune(job)
    # In the second epoch, with its first best values kept and half of its batches through.
    with pytest.raises(KeyboardInterrupt):
        tune(job, checkpoint=folder, progress=Killed(STEPS - 1))
    torch.manual_seed(5)
    # How often a state is kept is no part of the run.
    resumed = tune(make(task, method), checkpoint=folder)
    assert resumed.seconds_before > 0
    assert saved(resumed, tmp_path / "resumed") == saved(whole, tmp_path / "whole")
    assert [epoch.validation_loss for epoch in resumed.epochs] == [epoch.validation_loss for epoch in whole.epochs]
    # Once more, on the checkpoint of a run that is through.
    assert saved(tune(job, checkpoint=folder), tmp_path / "again") == saved(whole, tmp_path / "whole")


@pytest.mark.parametrize("budget", [None, 64])
def test_nor_does_a_kill_show_where_rows_are_packed(make: MakeJob, tmp_path: Path, budget: int | None) -> None:
    train = {"packing": True, "tokens_per_batch": budget, "checkpoint_seconds": 0.0}
    job, folder = make("generation", train=train), tmp_path / "checkpoint"
    whole = tune(job)
    with pytest.raises(KeyboardInterrupt):
        tune(job, checkpoint=folder, progress=Killed(3))
    resumed = tune(job, checkpoint=folder)
    assert resumed.seconds_before > 0
    assert saved(resumed, tmp_path / "resumed") == saved(whole, tmp_path / "whole")


@pytest.mark.parametrize(("task", "method"), [*JOBS[:1], *JOBS[2:5]])
def test_the_seed_decides(make: MakeJob, tmp_path: Path, task: str, method: str) -> None:
    generator = torch.get_rng_state()
    first = tune(make(task, method))
    assert torch.equal(torch.get_rng_state(), generator)
    torch.manual_seed(5)
    again, other = tune(make(task, method)), tune(make(task, method, train={"seed": 1}))
    assert saved(first, tmp_path / "a") == saved(again, tmp_path / "b")
    assert first.patch.meta.hashes["config"] != other.patch.meta.hashes["config"]
    assert values(first.patch) != values(other.patch)


@pytest.mark.parametrize(
    ("task", "method", "dtype"),
    [
        ("classification", "sparse", torch.bfloat16),
        ("classification", "sparse", torch.float16),
        ("classification", "lora", torch.bfloat16),
        ("classification", "head", torch.bfloat16),
        ("classification", "full", torch.float32),
        ("generation", "sparse", torch.float32),
        ("generation", "sparse", torch.bfloat16),
        ("generation", "lora", torch.float16),
    ],
)
def test_the_patch_is_what_was_trained(make: MakeJob, task: str, method: str, dtype: torch.dtype) -> None:
    job = make(task, method, dtype=dtype)
    tuned = tune(job)
    model = patched(job, tuned.patch)
    found = job.task.monitor(model, job.examples("validation"), job.config.evaluate.batch_size)
    best = ended(tuned)
    # A head alone was trained on features, batched otherwise than the whole model's rows.
    near = 1e-5 if method == "head" else 0.0
    assert found.score == pytest.approx(best.validation_score, rel=near, abs=0.0)
    assert found.loss == pytest.approx(best.validation_loss, rel=near, abs=0.0)
    assert all(change.new.dtype == dtype for change in tuned.patch.changes.values())
    assert all(tensor.dtype == torch.float32 for tensor in tuned.patch.tensors.values())


@pytest.mark.parametrize(
    ("task", "method", "dtype"),
    [
        ("classification", "sparse", torch.float16),
        ("classification", "full", torch.float16),
        ("classification", "lora", torch.bfloat16),
        ("classification", "lora", torch.float16),
        ("classification", "head", torch.bfloat16),
        ("generation", "sparse", torch.bfloat16),
        ("generation", "full", torch.bfloat16),
        ("generation", "lora", torch.float32),
    ],
)
def test_activations_in_half_precision(make: MakeJob, task: str, method: str, dtype: torch.dtype) -> None:
    job = make(task, method, dtype=dtype, train={"precision": "bf16"})
    tuned = tune(job)
    found = job.task.monitor(patched(job, tuned.patch), job.examples("validation"), job.config.evaluate.batch_size)
    assert found.loss == pytest.approx(ended(tuned).validation_loss, rel=0.05)
    assert all(
        tensor.dtype == torch.float32 for tensor in (*tuned.patch.tensors.values(), *tuned.patch.adapters.values())
    )


@pytest.mark.parametrize(
    ("task", "method", "dtype"),
    [
        ("classification", "full", torch.bfloat16),
        ("classification", "sparse", torch.float32),
        ("generation", "sparse", torch.bfloat16),
        ("generation", "sparse", torch.float16),
    ],
)
def test_applied_then_reverted_is_the_base(make: MakeJob, task: str, method: str, dtype: torch.dtype) -> None:
    job = make(task, method, dtype=dtype)
    patch = tune(job).patch
    for held in (None, torch.float32):
        model = job.task.model(seed=0, dtype=held)
        names, before = job.task.tensor_names(model), state(model)
        patch.apply(model, names)
        after = state(model)
        changed = {name for name in before if not torch.equal(before[name], after[name])}
        assert {names[name] for name in changed - patch.tensors.keys()} == patch.changes.keys()
        patch.revert(model, names)
        after = state(model)
        assert {name for name in before if not torch.equal(before[name], after[name])} <= patch.tensors.keys()


def test_a_patch_names_the_one_in_whose_folder_it_was_tuned(make: MakeJob, tmp_path: Path) -> None:
    first = tune(make("generation")).patch
    assert first.meta.parent is None
    first.save(tmp_path / "first")
    apply_folder(tmp_path / "first", tmp_path / "job" / "base", in_place=True)
    second = tune(make("generation")).patch
    assert (second.meta.parent, second.meta.base.whole == first.meta.base.whole) == (first.digest, False)


@needs_compiler
def test_compiled_layers_train_the_same_weights_to_nearly_the_same_values(make: MakeJob) -> None:
    eager = tune(make("generation"))
    found = tune(make("generation", train={"compile": True}))
    assert found.patch.meta.hashes["config"] != eager.patch.meta.hashes["config"]
    assert found.patch.meta.hashes["selection"] == eager.patch.meta.hashes["selection"]
    assert list(found.patch.changes) == list(eager.patch.changes)
    for name, change in found.patch.changes.items():
        torch.testing.assert_close(change.new, eager.patch.changes[name].new, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("depth", "count"), [(1, 1), (2, 2), ("all", 3)])
def test_compiled_are_the_layers_that_train(
    make: MakeJob, monkeypatch: pytest.MonkeyPatch, depth: int | str, count: int
) -> None:
    seen: list[int] = []

    def note(layers: Sequence[nn.Module]) -> AbstractContextManager[None]:
        seen.append(len(layers))
        return nullcontext()

    monkeypatch.setattr("zogan.train.job.compiled", note)
    budget = {"density": 0.05, "depth": depth}
    tune(make("generation", base={"layers": 3}, train={"compile": True, "epochs": 1}, budget=budget))
    assert seen == [count]


def test_no_more_changes_than_were_chosen(make: MakeJob) -> None:
    job = make()
    selection = select_for(job)
    tuned = tune(job, selection=selection)
    names = job.task.tensor_names(job.task.model(seed=0))
    chosen = {names[name]: set(flat.tolist()) for name, flat in selection.positions.items()}
    for name, change in tuned.patch.changes.items():
        assert set(change.positions.tolist()) <= chosen[name]
    assert tuned.trainable == selection.count + sum(tensor.numel() for tensor in tuned.patch.tensors.values())
    assert tuned.parameters == sum(p.numel() for p in job.task.model(seed=0).parameters())


@pytest.mark.parametrize("pattern", ["rows", "columns", "blocks", "coupled"])
@pytest.mark.parametrize("task", ["classification", "generation"])
def test_any_pattern_trains_and_changes_no_more_than_its_share(make: MakeJob, task: str, pattern: str) -> None:
    job = make(task, select={"pattern": pattern, "block": 4, "batches": 2}, budget={"density": 0.2})
    tuned, selection = tune(job), select_for(job)
    eligible = sum(rows * columns for rows, columns in selection.shapes.values())
    assert 0 < tuned.patch.count <= selection.count <= 0.2 * eligible
    names = job.task.tensor_names(job.task.model(seed=0))
    chosen = {names[name]: flat for name, flat in selection.positions.items()}
    assert all(torch.isin(change.positions, chosen[name]).all() for name, change in tuned.patch.changes.items())
    found = job.task.monitor(patched(job, tuned.patch), job.examples("validation"), job.config.evaluate.batch_size)
    assert found.loss == ended(tuned).validation_loss


def test_a_selection_that_is_given_is_the_one_that_is_made(make: MakeJob, tmp_path: Path) -> None:
    job = make()
    given, made = tune(job, selection=select_for(job)), tune(job)
    assert saved(given, tmp_path / "given") == saved(made, tmp_path / "made")
    other = tune(job, selection=select_for(make(budget={"density": 0.01})))
    assert other.patch.meta.hashes["selection"] != given.patch.meta.hashes["selection"]


@pytest.mark.parametrize(
    "other",
    [
        {"train": {"rate": 0.02}},
        {"method": "head"},
        {"budget": {"density": 0.02}},
    ],
)
def test_a_checkpoint_of_another_run_is_not_taken_up(make: MakeJob, tmp_path: Path, other: dict[str, Any]) -> None:
    folder = tmp_path / "checkpoint"
    with pytest.raises(KeyboardInterrupt):
        tune(make(train={"checkpoint_seconds": 0.0}), checkpoint=folder, progress=Killed(STEPS - 1))
    job = make(**other)
    tuned = tune(job, checkpoint=folder)
    assert tuned.seconds_before == 0
    assert saved(tuned, tmp_path / "here") == saved(tune(job), tmp_path / "elsewhere")


def test_nor_is_one_of_the_same_weights_under_another_pooling(make: MakeJob, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    with pytest.raises(KeyboardInterrupt):
        tune(
            make(base={"pooling": "mean"}, train={"checkpoint_seconds": 0.0}),
            checkpoint=folder,
            progress=Killed(STEPS - 1),
        )
    pooling = tmp_path / "job" / "base" / "1_Pooling" / "config.json"
    pooling.write_text(pooling.read_text().replace("true", "false").replace('cls_token": false', 'cls_token": true'))
    job = make()
    assert tune(job, checkpoint=folder).seconds_before == 0


@pytest.mark.parametrize("name", ["state.pt", "best.safetensors"])
def test_a_damaged_checkpoint_is_told(make: MakeJob, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "checkpoint"
    tune(make(), checkpoint=folder)
    path = folder / name
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(IntegrityError, match=rf"{name}: cannot be read: .*Delete the checkpoint to start over"):
        tune(make(), checkpoint=folder)


def test_without_a_folder_nothing_is_left(make: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", None)
    job = make()
    before = sorted(tmp_path.rglob("*"))
    tune(job)
    assert sorted(tmp_path.rglob("*")) == before


def test_the_log_tells_each_step_and_epoch(make: MakeJob, tmp_path: Path) -> None:
    log = tmp_path / "metrics.jsonl"
    tuned = tune(make(), log=log)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["step"] for line in lines if line["kind"] == "step"] == list(range(1, STEPS + 1))
    losses = [line["validation_loss"] for line in lines if line["kind"] == "epoch"]
    assert losses == [epoch.validation_loss for epoch in tuned.epochs]


def test_a_new_head_has_its_own_rate(make: MakeJob, tmp_path: Path) -> None:
    log = tmp_path / "metrics.jsonl"
    still = tune(make(train={"rate": 1e-12, "head_rate": 0.5}), log=log)
    # AdamW's first steps are as large as their rate; less than half a unit in the last place is no change.
    assert still.patch.count < 10
    head = make().task.model(seed=0).get_parameter("head.weight")
    assert float((still.patch.tensors["head.weight"] - head).abs().max().detach()) > 0.1


def test_what_the_patch_says_of_itself(make: MakeJob) -> None:
    job = make()
    meta = tune(job).patch.meta
    assert meta.base.whole == job.base.fingerprint.whole
    assert meta.task == job.task.describe()
    assert meta.tools.keys() == {"zogan", "torch", "transformers", "safetensors"}
    assert meta.hashes.keys() == {"config", "data", "selection"}
    assert meta.hashes["data"] == job.splits.digest
    assert meta.hashes["config"] == config_digest(job.config)
    assert "selection" not in tune(make(method="head")).patch.meta.hashes


@pytest.mark.parametrize(
    ("keys", "matters"),
    [
        ({"output": "elsewhere"}, False),
        ({"language": "ja"}, False),
        ({"evaluate": {"answers": 3}}, False),
        ({"train": {"checkpoint_seconds": 1.0}}, False),
        ({"train": {"seed": 1}}, True),
        ({"train": {"max_length": 5}}, True),
        ({"select": {"criterion": "fisher"}}, True),
        ({"select": {"pattern": "rows"}}, True),
        ({"select": {"parameters": ["matrices"]}}, False),
        ({"select": {"parameters": ["matrices", "biases"]}}, True),
        ({"method": "lora"}, True),
        ({"regularize": {"decay": 1.0}}, True),
        ({"regularize": {"decay": 0.0}}, False),
    ],
)
def test_the_digest_is_of_what_changes_the_training(tmp_path: Path, keys: dict[str, Any], matters: bool) -> None:
    config, other = data.make_config(tmp_path), data.make_config(tmp_path / "moved", **keys)
    assert (config_digest(config) != config_digest(other)) is matters


def test_a_base_with_its_own_head_refuses_to_train_a_new_one(make: MakeJob) -> None:
    with pytest.raises(ConfigError, match="method: the base keeps its own head"):
        tune(make(method="head", base={"labels": data.LABELS}))


KINDS = {"parameters": ["matrices", "biases", "norms", "embeddings"]}
SHARE = {"density": 0.25}


@pytest.mark.parametrize("task", ["classification", "generation"])
def test_vectors_and_embeddings_are_changes_of_the_base(make: MakeJob, tmp_path: Path, task: str) -> None:
    job = make(task, base={} if task == "classification" else {"tied": False}, select=KINDS, budget=SHARE)
    selection = select_for(job)
    tuned = tune(job, selection=selection)
    patch, names = tuned.patch, job.task.tensor_names(job.task.model(seed=0))
    assert patch.tensors.keys() == set(job.task.head(nn.Identity()))
    assert patch.changes.keys() <= {names[name] for name in (*selection.positions, *selection.vectors)}
    changed = [patch.changes[names[name]] for name in selection.vectors if names[name] in patch.changes]
    assert sum(len(change.positions) for change in changed) > 0.9 * sum(change.numel for change in changed)
    assert any("embed" in name and len(change.shape) == 2 for name, change in patch.changes.items())
    head = sum(tensor.numel() for tensor in patch.tensors.values())
    assert tuned.trainable == selection.count + head
    # Of a quarter of the embeddings some are of tokens that no row holds.
    assert 0.7 * selection.count < patch.count <= selection.count
    # What was validated is what the patch makes.
    model = patched(job, patch)
    found = job.task.monitor(model, job.examples("validation"), job.config.evaluate.batch_size)
    best = ended(tuned)
    assert found.loss == pytest.approx(best.validation_loss, rel=0.0, abs=0.0)
    before = state(job.task.model(seed=7, dtype=torch.float32))
    patch.revert(model, names)
    assert all(torch.equal(tensor, before[name]) for name, tensor in state(model).items() if name in names)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_vectors_are_validated_as_the_patch_has_them(make: MakeJob, dtype: torch.dtype) -> None:
    keys: dict[str, Any] = {"select": {"parameters": ["matrices", "biases", "norms"]}, "budget": SHARE}
    job = make(dtype=dtype, train={"rate": 0.003}, **keys)
    tuned = tune(job)
    assert any(len(change.shape) == 1 for change in tuned.patch.changes.values())
    model = patched(job, tuned.patch)
    found = job.task.monitor(model, job.examples("validation"), job.config.evaluate.batch_size)
    best = ended(tuned)
    assert found.loss == best.validation_loss


def test_nor_does_a_kill_show_with_vectors(make: MakeJob, tmp_path: Path) -> None:
    keys: dict[str, Any] = {
        "select": KINDS,
        "budget": SHARE,
        "regularize": {"decay": 0.1, "mixout": 0.2, "interpolate": 2},
    }
    job, folder = make(train={"checkpoint_seconds": 0.0}, **keys), tmp_path / "checkpoint"
    whole = tune(job)
    with pytest.raises(KeyboardInterrupt):
        tune(job, checkpoint=folder, progress=Killed(STEPS - 1))
    assert saved(tune(job, checkpoint=folder), tmp_path / "a") == saved(whole, tmp_path / "b")


def test_restraint_holds_vectors_too(make: MakeJob) -> None:
    keys: dict[str, Any] = {"select": {"parameters": ["norms"]}, "budget": SHARE}
    free, held = tune(make(**keys)), tune(make(**keys, regularize={"threshold": 1e6}))
    assert free.patch.count > 0
    assert held.patch.count == 0


def test_which_vectors_train_stands_in_the_hash(make: MakeJob) -> None:
    job = make(select={"parameters": ["matrices", "norms"]}, budget=SHARE)
    selection = select_for(job)
    fewer = replace(selection, whole=selection.whole[:-1])
    one, other = (tune(job, selection=some).patch.meta.hashes["selection"] for some in (selection, fewer))
    assert one != other


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_vectors_of_a_base_in_16_bits_train_in_fp32_or_not_at_all(make: MakeJob, dtype: torch.dtype) -> None:
    precision = {torch.bfloat16: "bf16", torch.float16: "fp16"}[dtype]
    keys: dict[str, Any] = {"dtype": dtype, "select": {"parameters": ["matrices", "norms"]}, "budget": SHARE}
    tuned = tune(make(**keys))
    assert any(len(change.shape) == 1 and change.new.dtype == dtype for change in tuned.patch.changes.values())
    job = make(**keys, train={"precision": precision})
    said = r"^select\.parameters: .* would train whole in .*16, in which small steps are lost\. Have the weights in"
    with pytest.raises(ConfigError, match=said):
        selection_for(job)
    with pytest.raises(ConfigError, match=said):
        tune(job)
    with pytest.raises(ConfigError, match=said):  # scored in fp32, and to be trained in 16 bits
        tune(job, selection=select_for(job))
