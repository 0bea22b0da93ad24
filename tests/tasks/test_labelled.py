"""Logits at labelled positions equal those of the whole model there."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from transformers import BertConfig, BertModel, LlamaConfig, LlamaForCausalLM

from zogan.errors import ModelError
from zogan.tasks import labelled
from zogan.tasks.labelled import labelled_logits, summed_cross_entropy
from zogan.tasks.task import IGNORED, Batch


def model() -> LlamaForCausalLM:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return LlamaForCausalLM(
            LlamaConfig(
                vocab_size=60,
                hidden_size=16,
                num_hidden_layers=2,
                num_attention_heads=2,
                intermediate_size=32,
                max_position_embeddings=32,
                pad_token_id=0,
            )
        )


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
    with pytest.raises(ModelError, match=r"its logits have shape \(3, 8, 60\)"):
        labelled_logits(own, batch())


@pytest.mark.parametrize("at_once", [1, 100, 2**20])
@pytest.mark.parametrize("targets", [0, 1, 7])
def test_the_summed_cross_entropy_is_torchs(monkeypatch: pytest.MonkeyPatch, at_once: int, targets: int) -> None:
    monkeypatch.setattr(labelled, "_LOGITS_AT_ONCE", at_once)
    draw = torch.Generator().manual_seed(0)
    logits = 30 * torch.randn(targets, 60, generator=draw)
    wanted = torch.randint(0, 60, (targets,), generator=draw)
    ours, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    found, known = summed_cross_entropy(ours, wanted), cross_entropy(theirs, wanted, reduction="sum")
    torch.testing.assert_close(found, known)
    (found / 3).backward()  # type: ignore[no-untyped-call]
    (known / 3).backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(ours.grad, theirs.grad)
    torch.testing.assert_close(summed_cross_entropy(logits, wanted), known.detach())


def test_its_gradient_is_taken_once() -> None:
    logits = torch.zeros(2, 4, requires_grad=True)
    loss = summed_cross_entropy(logits, torch.tensor([0, 1]))
    loss.backward(retain_graph=True)  # type: ignore[no-untyped-call]
    with pytest.raises(RuntimeError, match="was taken already"):
        loss.backward()  # type: ignore[no-untyped-call]
