"""Losses and logits at labelled positions equal those of the whole model there."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from accelerate.utils import convert_outputs_to_fp32
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import (
    BertConfig,
    BertModel,
    CohereConfig,
    CohereForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    GraniteConfig,
    GraniteForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PhiConfig,
    PhiForCausalLM,
    PreTrainedConfig,
    PreTrainedModel,
)

from zogan.errors import ModelError
from zogan.sparse.attach import attach
from zogan.sparse.selection import Selection
from zogan.tasks import labelled
from zogan.tasks.cross_entropy import linear_cross_entropies
from zogan.tasks.labelled import labelled_logits, labelled_losses
from zogan.tasks.task import IGNORED, Batch

SHAPE: dict[str, Any] = {
    "vocab_size": 60,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 32,
    "pad_token_id": 0,
}


def model() -> LlamaForCausalLM:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return LlamaForCausalLM(LlamaConfig(**SHAPE))


def batch() -> Batch:
    ids = torch.randint(1, 60, (3, 8), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    mask[1, 5:] = 0
    labels = ids.clone()
    labels[0, :4] = labels[1, :2] = labels[1, 5:] = labels[2, 3:6] = IGNORED
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def test_the_loss_is_transformers_own() -> None:
    own, given = model(), batch()
    logits, targets, rows = labelled_logits(own, given)
    peer = own(**given)
    torch.testing.assert_close(cross_entropy(logits, targets), peer.loss)
    keep = given["labels"][:, 1:] != IGNORED
    torch.testing.assert_close(logits, peer.logits[:, :-1][keep])
    assert rows.tolist() == keep.nonzero()[:, 0].tolist()


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("autocast", [False, True])
def test_gradients_are_transformers_own(checkpointing: bool, autocast: bool) -> None:
    found = []
    for ours in (True, False):
        own, given = model().train(), batch()
        if checkpointing:
            own.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            if ours:
                logits, targets, _ = labelled_logits(own, given)
                assert logits.dtype == torch.float32
                loss = cross_entropy(logits, targets)
            else:
                loss = own(**given, use_cache=False).loss
        loss.backward()  # type: ignore[no-untyped-call]
        found.append({name: p.grad for name, p in own.named_parameters()})
    relative, absolute = (0.1, 2e-3) if autocast else (1e-4, 1e-7)
    for name, gradient in found[0].items():
        torch.testing.assert_close(gradient, found[1][name], rtol=relative, atol=absolute)


def test_the_hook_is_gone_afterwards_even_after_a_fault() -> None:
    own, given = model(), batch()
    labelled_logits(own, given)
    assert own(input_ids=given["input_ids"]).logits.shape == (3, 8, 60)
    with pytest.raises(IndexError, match="index out of range"):
        labelled_logits(own, given | {"input_ids": given["input_ids"] + 1000})
    assert own(input_ids=given["input_ids"]).logits.shape == (3, 8, 60)


def test_a_batch_of_no_targets_has_no_logits() -> None:
    given = batch()
    given["labels"][:] = IGNORED
    logits, targets, rows = labelled_logits(model(), given)
    assert (logits.shape, targets.shape, rows.shape) == ((0, 60), (0,), (0,))


def test_an_encoder_is_refused() -> None:
    tiny = BertModel(
        BertConfig(vocab_size=60, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)
    )
    with pytest.raises(ModelError, match="BertModel: no output embeddings"):
        labelled_logits(tiny, batch())
    with pytest.raises(ModelError, match="BertModel: no output embeddings"):
        labelled_losses(tiny, batch())


def test_a_head_with_other_input_is_refused() -> None:
    own = model()
    plain = own.model.forward

    def shorter(*arguments: object, **named: object) -> object:
        output = plain(*arguments, **named)
        output.last_hidden_state = output.last_hidden_state[:, -1:]
        return output

    own.model.forward = shorter
    with pytest.raises(ModelError, match=r"in a way of its own: its output embeddings were given shape \(3, 1, 16\)"):
        labelled_logits(own, batch())


def test_a_head_that_is_not_used_is_refused() -> None:
    own = model()
    own.get_output_embeddings = lambda: nn.Linear(1, 1)
    for run in (labelled_logits, labelled_losses):
        with pytest.raises(ModelError, match=r"its logits have shape \(3, 8, 60\)"):
            run(own, batch())


MODELS: dict[str, tuple[type[PreTrainedModel], PreTrainedConfig, bool]] = {
    "tied": (LlamaForCausalLM, LlamaConfig(**SHAPE, tie_word_embeddings=True), True),
    "untied": (LlamaForCausalLM, LlamaConfig(**SHAPE, tie_word_embeddings=False), True),
    "gpt2": (GPT2LMHeadModel, GPT2Config(vocab_size=60, n_embd=16, n_layer=2, n_head=2, n_positions=32), True),
    "biased": (PhiForCausalLM, PhiConfig(**SHAPE), True),
    "scaled": (GraniteForCausalLM, GraniteConfig(**SHAPE, logits_scaling=4.0), False),
    "multiplied": (CohereForCausalLM, CohereConfig(**SHAPE), False),
    "capped": (Gemma2ForCausalLM, Gemma2Config(**SHAPE, head_dim=8, num_key_value_heads=2), False),
}
"""And whether the model hands on what its output embeddings give."""


def peers(losses: Tensor, own: nn.Module, given: Batch) -> None:
    """The losses are those of the model's own logits."""
    keep = given["labels"][:, 1:] != IGNORED
    inputs = {name: tensor for name, tensor in given.items() if name != "labels"}
    logits = own(**inputs, use_cache=False).logits[:, :-1][keep]
    torch.testing.assert_close(losses, cross_entropy(logits, given["labels"][:, 1:][keep], reduction="none"))


@pytest.fixture
def products(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Targets of each loss that was formed in the place of logits."""
    seen: list[int] = []

    def watched(hidden: Tensor, *arguments: Any) -> Tensor:
        seen.append(len(hidden))
        return linear_cross_entropies(hidden, *arguments)

    monkeypatch.setattr(labelled, "linear_cross_entropies", watched)
    return seen


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("frozen", [False, True])
def test_losses_are_transformers_own(products: list[int], name: str, frozen: bool) -> None:
    make, config, hands_on = MODELS[name]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        own = make(config).eval()
    given = batch()
    own.get_output_embeddings().requires_grad_(not frozen)
    own.get_input_embeddings().requires_grad_(not frozen)
    losses, rows = labelled_losses(own, given)
    peers(losses, own, given)
    assert rows.tolist() == (given["labels"][:, 1:] != IGNORED).nonzero()[:, 0].tolist()
    assert products == ([len(losses)] if frozen and hands_on else [])
    inner = next(parameter for name, parameter in own.named_parameters() if ".0." in name and parameter.dim() == 2)
    (found,) = torch.autograd.grad(losses.mean(), inner)
    (known,) = torch.autograd.grad(own(**given, use_cache=False).loss, inner)
    torch.testing.assert_close(found, known, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("name", MODELS)
def test_without_gradient_output_embeddings_that_train_are_as_frozen_ones(products: list[int], name: str) -> None:
    make, config, hands_on = MODELS[name]
    own = make(config).eval()
    with torch.no_grad():
        losses, _ = labelled_losses(own, batch())
        peers(losses, own, batch())
    assert bool(products) is hands_on


def test_output_embeddings_that_train_in_part_keep_their_gradient(products: list[int]) -> None:
    own = MODELS["untied"][0](MODELS["untied"][1])
    name = "lm_head.weight"
    attach(own, Selection({name: torch.arange(0, 900, 7)}, {name: (60, 16)}))
    losses, _ = labelled_losses(own, batch())
    losses.sum().backward()  # type: ignore[no-untyped-call]
    assert own.lm_head.values.grad.abs().sum() > 0
    assert products == []


def test_a_hook_on_the_output_embeddings_is_not_passed_over(products: list[int]) -> None:
    own = model().requires_grad_(False)
    own.lm_head.register_forward_hook(lambda module, arguments, logits: 2 * logits)
    losses, _ = labelled_losses(own, batch())
    peers(losses, own, batch())
    assert products == []


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_autocast_inside_of_the_models_forward_is_that_of_the_losses(products: list[int], dtype: torch.dtype) -> None:
    own, given = model().requires_grad_(False).to(dtype), batch()
    own.model.layers[0].requires_grad_(True)
    # As accelerate does with mixed precision.
    own.forward = convert_outputs_to_fp32(torch.autocast("cpu", dtype=torch.bfloat16)(own.forward))
    losses, _ = labelled_losses(own, given)
    logits, targets, _ = labelled_logits(own, given)
    assert losses.dtype == torch.float32
    torch.testing.assert_close(losses, cross_entropy(logits, targets, reduction="none"), rtol=1e-2, atol=1e-2)
    assert products == [len(losses)]
    losses.sum().backward()  # type: ignore[no-untyped-call]
    weight = own.model.layers[0].mlp.up_proj.weight
    found, weight.grad = weight.grad, None
    cross_entropy(logits, targets, reduction="sum").backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(found, weight.grad, rtol=0.1, atol=0.02)


def test_to_find_out_draws_nothing() -> None:
    config = GPT2Config(vocab_size=60, n_embd=16, n_layer=2, n_head=2, n_positions=32)
    own = GPT2LMHeadModel(config).requires_grad_(False).train()
    found = []
    for _ in range(2):  # the first finds out
        with torch.random.fork_rng():
            torch.manual_seed(3)
            found.append(labelled_losses(own, batch())[0])
    assert torch.equal(found[0], found[1])


def test_the_output_embeddings_are_as_ever_afterwards_even_after_a_fault() -> None:
    own, given = model().requires_grad_(False), batch()
    labelled_losses(own, given)
    with pytest.raises(IndexError, match="index out of range"):
        labelled_losses(own, given | {"input_ids": given["input_ids"] + 1000})
    assert own(input_ids=given["input_ids"]).logits.shape == (3, 8, 60)


def test_no_targets_have_no_losses() -> None:
    given = batch()
    given["labels"][:] = IGNORED
    losses, rows = labelled_losses(model().requires_grad_(False), given)
    assert (losses.shape, rows.shape) == ((0,), (0,))
