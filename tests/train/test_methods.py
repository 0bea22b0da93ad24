"""What trains, per method, and what each says has changed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import GPT2Config, GPT2LMHeadModel

import data
from tiny import tiny_decoder, tiny_encoder
from zogan.config import LoraConfig
from zogan.errors import ConfigError
from zogan.patch import Patch, apply_folder
from zogan.sparse.selection import Selection
from zogan.tasks import open_job
from zogan.tasks.job import Job
from zogan.train.methods import Full, Head, Lora, Method, Result, Sparse, load_adapters, method_for

HEAD = ("head.weight", "head.bias")
DENSE = "body.encoder.layer.1.output.dense.weight"
RANK = 2

MakeJob = Callable[..., Job]


@pytest.fixture
def classes(tmp_path: Path) -> MakeJob:
    def make(dtype: torch.dtype = torch.float32, labels: tuple[str, ...] = (), **keys: Any) -> Job:
        tiny_encoder(tmp_path / "base", dtype=dtype, labels=labels)
        splits = data.write_splits(tmp_path, "classification", train=12, validation=6, test=6)
        return open_job(data.make_config(tmp_path, data=splits, **keys), cache=tmp_path / "cache")

    return make


@pytest.fixture
def texts(tmp_path: Path) -> MakeJob:
    def make(tied: bool = True, **keys: Any) -> Job:
        tiny_decoder(tmp_path / "base", tied=tied)
        splits = data.write_splits(tmp_path, "generation", train=8, validation=4, test=4)
        return open_job(data.make_config(tmp_path, "generation", data=splits, **keys), cache=tmp_path / "cache")

    return make


def selection(model: nn.Module, *flat: int) -> Selection:
    shape = tuple(model.get_parameter(DENSE).shape)
    return Selection({DENSE: torch.tensor(flat)}, {DENSE: shape}, HEAD)


def trains(model: nn.Module) -> dict[str, int]:
    return {name: p.numel() for name, p in model.named_parameters() if p.requires_grad}


def shift(model: nn.Module, by: float = 0.5) -> None:
    """What training would do: whatever trains moves, each value by its own."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_((by * torch.randn(parameter.shape, generator=generator)).to(parameter.dtype))


def state(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def logits(job: Job, model: nn.Module) -> Tensor:
    """Of the test rows, in whatever mode the model is."""
    batch = job.task.collate(job.examples("test"))
    with torch.no_grad():
        found: Tensor = model(**{name: tensor for name, tensor in batch.items() if name != "labels"}).logits
    return found


def capture(job: Job, model: nn.Module, result: Result) -> Patch:
    return Patch.capture(
        result.deltas,
        job.task.tensor_names(model),
        job.base.fingerprint,
        job.base.folder,
        tensors=result.tensors,
        adapters=result.adapters,
        adapter=dict(result.adapter_config) if result.adapter_config else None,
    )


def test_sparse_trains_the_chosen_weights_and_the_head(classes: MakeJob) -> None:
    model = classes().task.model(seed=0)
    before = state(model)
    method = Sparse(selection(model, 1, 40), HEAD, {DENSE: torch.float32})
    method.prepare(model)
    assert trains(model) == {DENSE.replace("weight", "values"): 2, "head.weight": 3 * 32, "head.bias": 3}
    shift(model)
    found = method.result(model)
    assert found.deltas.keys() == {DENSE}
    assert found.deltas[DENSE].positions.tolist() == [1, 40]
    assert torch.equal(found.deltas[DENSE].old, before[DENSE].reshape(-1)[[1, 40]])
    after = state(model)
    assert after.keys() == before.keys()
    assert torch.equal(found.deltas[DENSE].new, after[DENSE].reshape(-1)[[1, 40]])
    assert {name for name in after if not torch.equal(before[name], after[name])} == {DENSE, *HEAD}
    assert (found.adapters, found.adapter_config) == ({}, None)


@pytest.mark.parametrize("method", ["sparse", "full", "lora", "head"])
def test_a_result_does_not_follow_later_steps(classes: MakeJob, method: str) -> None:
    job = classes(method=method)
    model = job.task.model(seed=0)
    used = method_for(job.config, job, model, selection(model, 3))
    used.prepare(model)
    shift(model)
    found = used.result(model)
    assert found.tensors.keys() == set(HEAD)
    kept = {name: tensor.clone() for name, tensor in (*found.tensors.items(), *found.adapters.items())}
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert all(torch.equal(tensor, kept[name]) for name, tensor in (*found.tensors.items(), *found.adapters.items()))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_full_reads_the_old_values_from_the_base(classes: MakeJob, dtype: torch.dtype) -> None:
    job = classes(dtype)
    model = job.task.model(seed=0, dtype=torch.float32)
    method = Full(job, HEAD)
    method.prepare(model)
    assert sum(trains(model).values()) == sum(p.numel() for p in model.parameters())
    shift(model)
    found = method.result(model)
    stored = load_file(job.base.folder / "model.safetensors")
    names = job.task.tensor_names(model)
    assert {names[name] for name in found.deltas} == set(stored)
    for name, delta in found.deltas.items():
        trained = model.get_parameter(name).detach().reshape(-1)
        assert delta.positions.tolist() == list(range(trained.numel()))
        assert torch.equal(delta.old, stored[names[name]].reshape(-1))
        assert delta.new.dtype == dtype
        assert torch.equal(delta.new, trained.to(dtype))


def test_full_without_a_step_changes_nothing(classes: MakeJob) -> None:
    job = classes(torch.bfloat16)
    model = job.task.model(seed=0, dtype=torch.float32)
    method = Full(job, HEAD)
    method.prepare(model)
    assert capture(job, model, method.result(model)).changes == {}


@pytest.mark.parametrize("tied", [True, False])
def test_full_lists_a_tied_weight_once(texts: MakeJob, tied: bool) -> None:
    job = texts(tied)
    model = job.task.model(seed=0)
    method = Full(job, ())
    method.prepare(model)
    shift(model, 0.1)
    found = method.result(model)
    assert ("lm_head.weight" in found.deltas) is not tied
    patch = capture(job, model, found)
    assert patch.changes.keys() == load_file(job.base.folder / "model.safetensors").keys()
    plain = job.task.model(seed=0)
    patch.apply(plain, job.task.tensor_names(plain))
    assert torch.equal(logits(job, plain), logits(job, model))


def test_head_trains_the_head_alone(classes: MakeJob) -> None:
    model = classes().task.model(seed=0)
    model.get_parameter(DENSE).requires_grad_(False)
    flags = {name: p.requires_grad for name, p in model.named_parameters()}
    method = Head(HEAD)
    method.prepare(model)
    assert set(trains(model)) == set(HEAD)
    shift(model)
    found = method.result(model)
    assert found == Result(tensors=found.tensors)
    assert all(torch.equal(found.tensors[name], model.get_parameter(name)) for name in HEAD)
    assert {name: p.requires_grad for name, p in model.named_parameters()} == flags


def test_lora_trains_adapters_and_the_head(classes: MakeJob) -> None:
    model = classes().task.model(seed=0)
    before, linear = state(model), {name for name, module in model.named_modules() if type(module) is nn.Linear}
    generator = torch.get_rng_state()
    method = Lora(LoraConfig(rank=RANK), HEAD, seed=0)
    method.prepare(model)
    assert torch.equal(torch.get_rng_state(), generator)
    adapted = {name.rsplit(".lora_", 1)[0] for name in trains(model) if ".lora_" in name}
    assert adapted == linear - {"head"}
    assert {name for name in trains(model) if ".lora_" not in name} == set(HEAD)
    shift(model)
    found = method.result(model)
    assert found.deltas == {}
    assert found.adapter_config is not None
    # As beside the base alone, which knows neither the new head nor what it stands behind.
    targets = [name.removeprefix("body.") for name in adapted]
    assert found.adapter_config["target_modules"] == sorted(targets)
    assert found.adapters.keys() == {f"base_model.model.{name}.lora_{ab}.weight" for name in targets for ab in "AB"}
    assert all(min(tensor.shape) == RANK for tensor in found.adapters.values())
    after = {name.replace(".base_layer", ""): tensor for name, tensor in state(model).items() if ".lora_" not in name}
    assert {name for name in before if not torch.equal(before[name], after[name])} == set(HEAD)


def test_lora_starts_as_the_base_and_from_its_seed(classes: MakeJob) -> None:
    job = classes()
    plain = logits(job, job.task.model(seed=0))
    starts = []
    for seed in (0, 0, 1):
        model = job.task.model(seed=0)
        method = Lora(LoraConfig(rank=RANK), HEAD, seed)
        method.prepare(model)
        assert torch.equal(logits(job, model), plain)
        starts.append(method.result(model).adapters)
    assert all(torch.equal(starts[0][name], starts[1][name]) for name in starts[0])
    assert any(not torch.equal(starts[0][name], starts[2][name]) for name in starts[0])


@pytest.mark.parametrize("tied", [True, False])
def test_lora_leaves_the_output_embeddings_alone(texts: MakeJob, tied: bool) -> None:
    model = texts(tied).task.model(seed=0)
    method = Lora(LoraConfig(rank=RANK), (), seed=0)
    method.prepare(model)
    output = model.get_submodule("lm_head")
    assert type(output) is nn.Linear
    assert (output.weight is model.get_submodule("model.embed_tokens").weight) is tied
    shift(model)
    found = method.result(model)
    assert len(found.adapters) == 2 * 7 * 2  # A and B, of seven matrices, in two layers
    assert not any("lm_head" in name or "embed" in name for name in found.adapters)


def test_lora_knows_gpt2s_layers(texts: MakeJob, tmp_path: Path) -> None:
    job = texts(method="lora")
    config = GPT2Config(vocab_size=320, n_positions=64, n_embd=16, n_layer=1, n_head=2, bos_token_id=0, eos_token_id=0)
    GPT2LMHeadModel(config).save_pretrained(tmp_path / "base")
    job = open_job(job.config, cache=tmp_path / "cache")
    trained = job.task.model(seed=0)
    method = method_for(job.config, job, trained, None)
    method.prepare(trained)
    shift(trained)
    found = method.result(trained)
    layers = ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")
    assert found.adapter_config is not None
    assert found.adapter_config["target_modules"] == [f"transformer.h.0.{name}" for name in layers]
    plain = load_adapters(job.task.model(seed=0), capture(job, trained, found))
    assert torch.equal(logits(job, plain), logits(job, trained.eval()))


@pytest.mark.parametrize("task", ["classification", "generation"])
def test_adapters_come_back_from_the_file(classes: MakeJob, texts: MakeJob, tmp_path: Path, task: str) -> None:
    keys = {"method": "lora", "lora": {"rank": RANK, "alpha": 3.0, "dropout": 0.5}}
    job = classes(**keys) if task == "classification" else texts(**keys)
    trained = job.task.model(seed=0)
    method = method_for(job.config, job, trained, None)
    method.prepare(trained)
    shift(trained)
    capture(job, trained, method.result(trained)).save(tmp_path / "patch.safetensors")
    patch = Patch.load(tmp_path / "patch.safetensors")
    plain = job.task.model(seed=1)
    patch.apply(plain, job.task.tensor_names(plain))
    assert not torch.equal(logits(job, plain), logits(job, trained.eval()))
    generator = torch.get_rng_state()
    assert load_adapters(plain, patch) is plain
    assert torch.equal(torch.get_rng_state(), generator)
    # The plain model was in evaluation mode, so that the adapters' dropout rests too.
    assert torch.equal(logits(job, plain), logits(job, trained.eval()))
    settings = job.config.evaluate.model_copy(update={"answers": 0})
    ours, theirs = (job.task.predict(model, job.splits.test, settings) for model in (plain, trained))
    assert ours.losses.tolist() == theirs.losses.tolist()


def test_each_module_keeps_its_mode(texts: MakeJob, tmp_path: Path) -> None:
    job = texts(method="lora", lora={"dropout": 0.5})
    trained = job.task.model(seed=0)
    method = method_for(job.config, job, trained, None)
    method.prepare(trained)
    patch = capture(job, trained, method.result(trained))
    plain = job.task.model(seed=0).train()
    plain.get_submodule("model.layers.0").eval()
    modes = {name: module.training for name, module in plain.named_modules()}
    load_adapters(plain, patch)
    assert {name: plain.get_submodule(name).training for name in modes} == modes


# PEFT asks transformers by a name that is on its way out.
@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")
@pytest.mark.parametrize("task", ["classification", "generation"])
def test_peft_reads_the_adapters_of_a_folder(classes: MakeJob, texts: MakeJob, tmp_path: Path, task: str) -> None:
    peft, transformers = pytest.importorskip("peft"), pytest.importorskip("transformers")
    job = classes(method="lora") if task == "classification" else texts(method="lora")
    trained = job.task.model(seed=0)
    method = method_for(job.config, job, trained, None)
    method.prepare(trained)
    shift(trained)
    capture(job, trained, method.result(trained)).save(tmp_path / "patch.safetensors")
    tuned = tmp_path / "tuned"
    apply_folder(tmp_path / "patch.safetensors", job.base.folder, tuned)
    kind = transformers.AutoModel if task == "classification" else transformers.AutoModelForCausalLM
    model = peft.PeftModel.from_pretrained(kind.from_pretrained(tuned), tuned / "adapter").eval()
    batch = job.task.collate(job.examples("test"))
    given = {name: batch[name] for name in ("input_ids", "attention_mask")}
    ours = trained.get_submodule("body") if task == "classification" else trained
    with torch.no_grad():
        torch.testing.assert_close(model(**given)[0], ours.eval()(**given)[0])


def test_a_patch_without_adapters_asks_for_none(classes: MakeJob) -> None:
    job = classes()
    model = job.task.model(seed=0)
    method = Head(HEAD)
    method.prepare(model)
    patch = capture(job, model, method.result(model))
    names = [name for name, _ in model.named_modules()]
    assert load_adapters(model, patch) is model
    assert [name for name, _ in model.named_modules()] == names


def test_the_configuration_names_the_method(classes: MakeJob) -> None:
    kinds = {"sparse": Sparse, "full": Full, "lora": Lora, "head": Head}
    for name, kind in kinds.items():
        job = classes(method=name)
        model = job.task.model(seed=0)
        used = method_for(job.config, job, model, selection(model, 0))
        assert type(used) is kind
        assert isinstance(used, Method)
    job = classes(torch.bfloat16)
    used = method_for(job.config, job, model, selection(model, 0))
    assert isinstance(used, Sparse)
    assert set(used.stored.values()) == {torch.bfloat16}
    assert used.stored.keys().isdisjoint(HEAD)


def test_each_knows_where_what_it_trains_came_from(classes: MakeJob) -> None:
    model = classes().task.model(seed=0)
    before = state(model)
    method = Sparse(selection(model, 1, 40), HEAD, {DENSE: torch.float16})
    method.prepare(model)
    (chosen,) = method.old(model).values()
    shift(model)
    assert method.old(model).keys() == {DENSE.replace("weight", "values")}
    # What the base stores, whatever dtype it is computed in.
    assert torch.equal(chosen, before[DENSE].reshape(-1)[[1, 40]].half().float())

    job = classes(method="full")
    model = job.task.model(seed=0)
    full = Full(job, HEAD)
    full.prepare(model)
    old = full.old(model)
    shift(model)
    assert old.keys() == trains(model).keys() - set(HEAD)
    assert all(torch.equal(tensor, before[name]) for name, tensor in old.items())

    model = classes(method="lora").task.model(seed=0)
    lora = Lora(LoraConfig(rank=RANK), HEAD, 0)
    lora.prepare(model)
    held = lora.old(model)
    assert {name.replace("lora_B", "lora_A") for name in held} | held.keys() | set(HEAD) == trains(model).keys()
    # The update begins at nothing, as B does.
    assert all(torch.equal(tensor, model.get_parameter(name)) and not tensor.any() for name, tensor in held.items())
    assert Head(HEAD).old(model) == {}


def test_sparse_needs_a_selection(classes: MakeJob) -> None:
    job = classes()
    with pytest.raises(ConfigError, match="method: method sparse needs a selection"):
        method_for(job.config, job, job.task.model(seed=0), None)


def test_a_base_with_its_own_head_has_none_to_train(classes: MakeJob) -> None:
    job = classes(labels=data.LABELS, method="head")
    with pytest.raises(ConfigError, match="method: the base keeps its own head, so there is no new one to train"):
        method_for(job.config, job, job.task.model(seed=0), None)


def test_lora_without_peft_says_how_to_get_it(classes: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ConfigError, match=r"LoRA needs PEFT\. Install it with pip install 'zogan\[lora\]'"):
        Lora(LoraConfig(), HEAD, seed=0).prepare(classes().task.model(seed=0))
