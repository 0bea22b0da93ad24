"""The second stage: adapters with the chosen weights, kept where they pay; else there is nothing to be seen of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import data
from tiny import tiny_decoder, tiny_encoder
from zogan.errors import ConfigError, ZoganError
from zogan.evaluate import evaluate
from zogan.patch import Patch, apply_folder, describe, revert_folder
from zogan.progress import Silent
from zogan.tasks import open_job
from zogan.tasks.job import Job
from zogan.train import adapters, held, tune
from zogan.train.gain import Gain
from zogan.train.job import Tuned
from zogan.train.methods import load_adapters, take_out
from zogan.train.plan import Plan

MakeJob = Callable[..., Job]
TASKS = ["classification", "generation"]
LAYERS = 4
STEPS = 2 * 3


class Listener(Silent):
    """Keeps what it is told, and stops a stage at a step, as Ctrl-C would."""

    def __init__(self, stage: str = "", step: int = -1) -> None:
        self.kill, self.stage = (stage, step), ""
        self.steps: dict[str, list[int]] = {}
        self.notes: list[str] = []

    def start(self, stage: str, total: int) -> None:
        self.stage = stage

    def advance(self, done: int, **figures: float) -> None:
        self.steps.setdefault(self.stage, []).append(done)
        if (self.stage, done) == self.kill:
            raise KeyboardInterrupt

    def note(self, message: str) -> None:
        self.notes.append(message)


@pytest.fixture
def make(tmp_path: Path) -> MakeJob:
    def make(
        task: str = "classification",
        two_stage: str = "always",
        *,
        depth: Any = 2,
        dtype: torch.dtype = torch.float32,
        base: dict[str, Any] | None = None,
        adapters: dict[str, Any] | None = None,
        train: dict[str, Any] | None = None,
        **keys: Any,
    ) -> Job:
        folder = tmp_path / "job"
        if not folder.exists():
            tiny = tiny_encoder if task == "classification" else tiny_decoder
            tiny(folder / "base", dtype=dtype, **{"layers": LAYERS, "width": 16, **(base or {})})
        splits = data.write_splits(folder, task, train=24, validation=9, test=6)  # type: ignore[arg-type]
        keys = {"budget": {"density": 0.05, "depth": depth}, "lora": {"rank": 2}, **keys}
        keys = {"regularize": {"r_drop": 0.0, "interpolate": 0}, **keys}
        keys["adapters"] = {"two_stage": two_stage, "rate": 0.01, **(adapters or {})}
        keys["train"] = {"epochs": 2, "batch_size": 8, "rate": 0.01, **(train or {})}
        return open_job(data.make_config(folder, task, data=splits, **keys), cache=tmp_path / "cache")

    return make


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets how much the validation rows say that the second stage gains, in standard errors."""

    def judged(errors: float) -> None:
        monkeypatch.setattr(adapters, "gain_of", lambda before, after: Gain("loss", 1.0, 1.0 - 0.1 * errors, 0.1))

    return judged


def saved(tuned: Tuned, path: Path) -> bytes:
    tuned.patch.save(path)
    return path.read_bytes()


def state(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor], *, but: set[str] | None = None) -> bool:
    kept = one.keys() - (but or set())
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in kept)


def figures(job: Job, model: nn.Module) -> float:
    return job.task.monitor(model, job.examples("validation"), job.config.evaluate.batch_size).loss


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("depth", [2, "all"])
def test_one_patch_holds_both(make: MakeJob, task: str, depth: Any) -> None:
    job = make(task, depth=depth)
    tuned = tune(job)
    patch, second = tuned.patch, tuned.second
    assert second is not None
    assert second.kept
    assert patch.changes
    assert patch.adapters
    model, names = job.task.model(seed=7, dtype=torch.float32), job.task.tensor_names(job.task.model(seed=7))
    patch.apply(model, names)
    alone = figures(job, model)
    best = [epoch.validation_loss for epoch in second.epochs if epoch.best][-1]
    assert figures(job, load_adapters(model, patch)) == best != alone
    # They train together: what the patch changes is not what the first stage alone had chosen for these positions.
    first = tune(make(task, "never", depth=depth)).patch
    assert first.changes.keys() == patch.changes.keys()
    assert any(not torch.equal(first.changes[name].new, patch.changes[name].new) for name in first.changes)
    (layer,) = second.layers
    assert patch.meta.adapter is not None
    assert all(f"{layer.removeprefix('body.')}." in target for target in patch.meta.adapter["target_modules"])
    assert len(patch.meta.adapter["target_modules"]) == (6 if task == "classification" else 7)
    assert tuned.trainable == tune(make(task, "never", depth=depth)).trainable + second.trainable
    assert second.trainable == sum(tensor.numel() for tensor in patch.adapters.values())


@pytest.mark.parametrize("task", TASKS)
def test_auto_without_a_gain_is_never_byte_for_byte(
    make: MakeJob, judged: Callable[[float], None], tmp_path: Path, task: str
) -> None:
    on_the_way = {"r_drop": 0.0, "interpolate": 2}
    never = tune(make(task, "never", regularize=on_the_way))
    assert never.second is None
    assert not never.interpolation[2].best, "it shows nothing here"
    judged(0.9)
    dropped = tune(make(task, "auto", regularize=on_the_way))
    assert dropped.second is not None
    assert not dropped.second.kept
    assert saved(dropped, tmp_path / "dropped") == saved(never, tmp_path / "never")
    assert dropped.trainable == never.trainable
    judged(1.1)
    kept = tune(make(task, "auto"))
    assert kept.second is not None
    assert kept.second.kept
    assert kept.patch.meta.hashes["config"] != never.patch.meta.hashes["config"]
    always = tune(make(task, "always")).patch
    assert kept.patch.adapters.keys() == always.adapters.keys()
    assert all(torch.equal(tensor, always.adapters[name]) for name, tensor in kept.patch.adapters.items())


def test_always_keeps_what_does_not_pay(make: MakeJob, judged: Callable[[float], None]) -> None:
    judged(-3.0)
    tuned = tune(make())
    assert tuned.patch.adapters
    assert tuned.second is not None
    assert tuned.second.reason.endswith("but it was asked for")


@pytest.mark.parametrize("task", TASKS)
def test_the_figures_are_those_of_the_validation_rows(make: MakeJob, task: str) -> None:
    tuned = tune(make(task, "auto"))
    assert tuned.second is not None
    gain = tuned.second.gain
    assert gain is not None
    if gain.figure == "loss":
        assert gain.before == pytest.approx([e.validation_loss for e in tuned.epochs if e.best][-1], rel=1e-5)
        assert gain.after == pytest.approx([e.validation_loss for e in tuned.second.epochs if e.best][-1], rel=1e-5)
    else:
        assert gain.before == pytest.approx([e.validation_score[0] for e in tuned.epochs if e.best][-1])
        assert gain.after == pytest.approx([e.validation_score[0] for e in tuned.second.epochs if e.best][-1])


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(("stage", "step"), [("tune", STEPS - 1), ("left over", 2), ("adapters", 1), ("adapters", 5)])
def test_a_killed_run_gives_the_same_bytes(make: MakeJob, tmp_path: Path, task: str, stage: str, step: int) -> None:
    keys: dict[str, Any] = {"train": {"checkpoint_seconds": 0.0}, "lora": {"rank": 2, "dropout": 0.2}}
    whole = tune(make(task, **keys), log=tmp_path / "whole.jsonl")
    folder, log = tmp_path / "checkpoint", tmp_path / "metrics.jsonl"
    with pytest.raises(KeyboardInterrupt):
        tune(make(task, **keys), checkpoint=folder, log=log, progress=Listener(stage, step))
    torch.manual_seed(5)
    again = Listener()
    resumed = tune(make(task, **keys), checkpoint=folder, log=log, progress=again)
    assert saved(resumed, tmp_path / "resumed") == saved(whole, tmp_path / "uninterrupted")
    assert lines(log) == lines(tmp_path / "whole.jsonl")
    if stage != "tune":
        assert "tune" not in again.steps, "the first stage was through"
    if (stage, step) == ("adapters", 5):
        assert again.steps["adapters"] == [5, 6], "the step that was killed was not kept yet"
        assert resumed.seconds_before > 0
    # Once more, on the checkpoint of a run that is through.
    listener = Listener()
    assert saved(tune(make(task, **keys), checkpoint=folder, log=log, progress=listener), tmp_path / "again") == saved(
        whole, tmp_path / "uninterrupted"
    )
    assert lines(log) == lines(tmp_path / "whole.jsonl")
    assert {"tune", "adapters"}.isdisjoint(listener.steps)


def lines(log: Path) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in log.read_text().splitlines()]
    for line in found:
        line.pop("seconds", None)
        for epoch in line.get("epochs", []):
            epoch.pop("seconds")
    return found


def test_a_second_stage_of_other_adapters_is_not_taken_up(make: MakeJob, tmp_path: Path) -> None:
    keys, folder = {"train": {"checkpoint_seconds": 0.0}}, tmp_path / "checkpoint"
    with pytest.raises(KeyboardInterrupt):
        tune(make(**keys), checkpoint=folder, progress=Listener("adapters", 5))
    job = make(adapters={"rate": 0.02}, **keys)
    listener = Listener()
    tuned = tune(job, checkpoint=folder, progress=listener)
    assert listener.steps["adapters"] == list(range(1, STEPS + 1))
    assert "tune" not in listener.steps  # the first stage does not hang on it
    assert saved(tuned, tmp_path / "here") == saved(tune(job), tmp_path / "elsewhere")


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_apply_and_revert_bit_for_bit(make: MakeJob, tmp_path: Path, task: str, dtype: torch.dtype) -> None:
    job = make(task, dtype=dtype)
    tuned = tune(job)
    file, base = tmp_path / "patch.safetensors", job.base.folder
    tuned.patch.save(file)
    shown = describe(file)
    assert shown.changed > 0
    assert len(shown.adapters) == len(tuned.patch.adapters) > 0
    # In memory.
    model = job.task.model(seed=7, dtype=dtype)
    before, names, patch = state(model), job.task.tensor_names(model), Patch.load(file)
    patch.apply(model, names)
    load_adapters(model, patch)
    assert before.keys() != state(model).keys()
    take_out(model)
    patch.revert(model, names)
    assert same(before, state(model), but=set(patch.tensors))
    assert list(before) == list(state(model))
    assert not hasattr(getattr(model, "body", model), "peft_config")
    # In folders.
    apply_folder(file, base, tmp_path / "tuned")
    assert (tmp_path / "tuned" / "adapter" / "adapter_config.json").is_file()
    revert_folder(file, tmp_path / "tuned", tmp_path / "reverted")
    revert_folder(file, tmp_path / "tuned", in_place=True)
    for folder in (tmp_path / "reverted", tmp_path / "tuned"):
        found = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and path.name[0] != "."}
        assert found == {path.name: path.read_bytes() for path in base.iterdir() if path.name[0] != "."}
        assert not (folder / "adapter").exists()


@pytest.mark.parametrize("task", TASKS)
def test_training_leaves_no_trace_of_peft(make: MakeJob, monkeypatch: pytest.MonkeyPatch, task: str) -> None:
    models: list[nn.Module] = []

    def watched(model: nn.Module) -> None:
        models.append(model)
        take_out(model)

    monkeypatch.setattr(adapters, "take_out", watched)
    job = make(task)
    tune(job)
    assert state(models[0]).keys() == state(job.task.model(seed=0)).keys()
    assert all(type(module).__module__.partition(".")[0] != "peft" for module in models[0].modules())


@pytest.mark.parametrize("task", TASKS)
def test_a_model_in_part_gives_the_same_bytes_and_figures(
    make: MakeJob, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, task: str
) -> None:
    job = make(task, evaluate={"batch_size": 4, "answers": 0}, regularize={"r_drop": 0.0})
    whole = tune(job)
    before = tune(job.under(job.config.model_copy(update={"method": "head"}))).patch if task == TASKS[0] else None
    figures = evaluate(job, whole.patch, before=before, adapt=load_adapters)
    monkeypatch.setattr(held, "plan_for", lambda job, need: Plan(LAYERS - 2, 1, 10**9))
    part = tune(make(task, evaluate={"batch_size": 4, "answers": 0}, regularize={"r_drop": 0.0}))
    assert saved(part, tmp_path / "part") == saved(whole, tmp_path / "whole")
    assert evaluate(job, part.patch, before=before, adapt=load_adapters) == figures


def test_the_layers_are_those_with_most_left_over_above_the_cut(make: MakeJob) -> None:
    for depth, cut in ((1, 3), (3, 1), ("all", 0)):
        tuned = tune(make(depth=depth, adapters={"layers": 2}, budget={"density": 0.2, "depth": depth}))
        assert tuned.second is not None
        shares = tuned.second.left_over
        assert list(shares) == [f"body.encoder.layer.{place}" for place in range(cut, LAYERS)]
        assert sum(shares.values()) == pytest.approx(1.0)
        most = sorted(shares, key=lambda layer: shares[layer], reverse=True)[:2]
        assert set(tuned.second.layers) == set(most)


@pytest.mark.parametrize(
    ("layers", "asked", "count"), [(4, None, 1), (12, None, 2), (30, None, 5), (4, 3, 3), (4, 9, 4)]
)
def test_a_sixth_of_the_layers_where_none_is_given(make: MakeJob, layers: int, asked: int | None, count: int) -> None:
    assert make(adapters={"layers": asked}).config.adapters.count(layers) == count


def test_what_may_not_change_has_no_adapter(make: MakeJob) -> None:
    tuned = tune(make(select={"exclude": "attention"}))
    assert tuned.patch.meta.adapter is not None
    assert {name.rpartition("layer.")[2][2:] for name in tuned.patch.meta.adapter["target_modules"]} == {
        "intermediate.dense",
        "output.dense",
    }


def test_a_model_without_a_stack_is_one_layer(make: MakeJob) -> None:
    tuned = tune(make("generation", base={"layers": 1}, depth="all"))
    assert tuned.second is not None
    assert tuned.second.layers == ("LlamaForCausalLM",)
    assert tuned.patch.meta.adapter is not None
    assert not any("lm_head" in name for name in tuned.patch.meta.adapter["target_modules"])


def test_where_all_weights_are_chosen_nothing_is_left_over(make: MakeJob, tmp_path: Path) -> None:
    everything = {"density": 1.0, "depth": 1}
    with pytest.raises(ZoganError, match=r"adapters\.two_stage: no gradient is left outside .* Set it to never"):
        tune(make(budget=everything))
    log = tmp_path / "metrics.jsonl"
    auto = tune(make(two_stage="auto", budget=everything), log=log)
    assert auto.second is not None
    assert not auto.second.kept
    assert lines(log)[-1] == {"kind": "adapters", **auto.second.as_json()}
    assert saved(auto, tmp_path / "auto") == saved(tune(make(two_stage="never", budget=everything)), tmp_path / "never")


def test_what_was_decided_and_why_is_told(make: MakeJob, tmp_path: Path) -> None:
    log, listener = tmp_path / "metrics.jsonl", Listener()
    tuned = tune(make(), log=log, progress=listener)
    found = lines(log)
    assert [line["kind"] for line in found] == [
        *["step", "step", "step", "epoch"] * 2,
        *["adapters_step", "adapters_step", "adapters_step", "adapters_epoch"] * 2,
        "adapters",
    ]
    assert tuned.second is not None
    told = found[-1]
    assert told["layers"] == list(tuned.second.layers)
    assert told["validation"] == (tuned.second.gain.as_json() if tuned.second.gain else None)
    assert [epoch["validation_loss"] for epoch in told["epochs"]] == [e.validation_loss for e in tuned.second.epochs]
    assert f"second stage: adapters beside {tuned.second.layers[0]}" in listener.notes
    assert listener.notes[-1] == f"second stage: kept; {tuned.second.reason}"


@pytest.mark.parametrize("train", [{"precision": "bf16"}, {"cache": "off"}, {"accumulate": 2}])
@pytest.mark.parametrize("task", TASKS)
def test_it_trains_as_the_first_stage_does(make: MakeJob, task: str, train: dict[str, Any]) -> None:
    tuned = tune(make(task, train=train))
    assert tuned.second is not None
    assert tuned.second.epochs[-1].train_loss < tuned.epochs[0].train_loss
    assert all(tensor.dtype == torch.float32 for tensor in tuned.patch.adapters.values())


def test_packed_rows_too(make: MakeJob) -> None:
    tuned = tune(make("generation", train={"packing": True, "tokens_per_batch": 60}))
    assert tuned.second is not None
    assert tuned.second.epochs[-1].validation_loss < tuned.epochs[-1].validation_loss


@pytest.mark.parametrize("method", ["full", "lora", "head"])
def test_it_is_for_sparse(make: MakeJob, method: str) -> None:
    with pytest.raises(ConfigError, match=rf"adapters\.two_stage is for method 'sparse', not '{method}'"):
        make(method=method)
    assert tune(make(two_stage="auto", method=method)).second is None


def test_without_peft_it_is_said_before_anything_is_trained(make: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    job, listener = make(), Listener()
    monkeypatch.setitem(__import__("sys").modules, "peft", None)
    with pytest.raises(ConfigError, match=r"LoRA needs PEFT"):
        tune(job, progress=listener)
    assert listener.steps == {}


@pytest.mark.parametrize("errors", [3.0, 0.0], ids=["kept", "not kept"])
def test_vectors_train_on_in_the_second_stage(make: MakeJob, judged: Callable[[float], None], errors: float) -> None:
    judged(errors)
    keys: dict[str, Any] = {"select": {"parameters": ["matrices", "biases", "norms"]}}
    keys |= {"budget": {"density": 0.2, "depth": 2}, "regularize": {"decay": 0.1}}
    tuned, first = tune(make(two_stage="auto", **keys)), tune(make(two_stage="never", **keys))
    assert tuned.second is not None
    assert tuned.second.kept is bool(tuned.patch.adapters) is bool(errors)
    vectors = {name for name, change in tuned.patch.changes.items() if len(change.shape) == 1}
    assert vectors == {name for name, change in first.patch.changes.items() if len(change.shape) == 1} != set()
    moved = any(
        not torch.equal(tuned.patch.changes[name].new, first.patch.changes[name].new)
        for name in vectors
        if len(tuned.patch.changes[name].new) == len(first.patch.changes[name].new)
    )
    assert moved is bool(errors)
