"""Pooling and the head."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import BertConfig, BertModel

from zogan.models import Pooling
from zogan.tasks.classifier import Classifier, new_head, pool

MODES = ("mean", "cls", "max", "mean_sqrt_len_tokens", "last")


def classifier(mode: str = "mean", *, normalize: bool = False) -> Classifier:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        body = BertModel(
            BertConfig(
                vocab_size=50,
                hidden_size=16,
                num_hidden_layers=2,
                num_attention_heads=2,
                intermediate_size=32,
                max_position_embeddings=32,
            )
        )
    pooling = Pooling(mode=mode, normalize=normalize)  # type: ignore[arg-type]
    return Classifier(body, new_head(16, 3, seed=0), pooling).eval()


@given(st.sampled_from(MODES), st.integers(1, 6), st.integers(0, 4), st.integers(0, 4))
def test_padding_is_not_pooled(mode: str, length: int, left: int, right: int) -> None:
    generator = torch.Generator().manual_seed(length)
    tokens = torch.randn(1, length, 8, generator=generator)
    noise = torch.randn(1, left + length + right, 8, generator=generator)
    noise[:, left : left + length] = tokens
    mask = torch.zeros(1, left + length + right, dtype=torch.bool)
    mask[:, left : left + length] = True
    alone = pool(tokens, torch.ones(1, length, dtype=torch.bool), mode)
    torch.testing.assert_close(pool(noise, mask, mode), alone)


def test_pooling_is_what_it_says() -> None:
    hidden = torch.tensor([[[1.0, -1.0], [3.0, -5.0], [9.0, 9.0]]])
    mask = torch.tensor([[True, True, False]])
    wanted = {"mean": [2, -3], "cls": [1, -1], "max": [3, -1], "last": [3, -5], "mean_sqrt_len_tokens": [4, -6]}
    for mode, expected in wanted.items():
        scale = 2**-0.5 if mode == "mean_sqrt_len_tokens" else 1.0
        torch.testing.assert_close(pool(hidden, mask, mode), torch.tensor([expected], dtype=torch.float32) * scale)


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="pooling mode 'median': must be mean"):
        pool(torch.zeros(1, 1, 1), torch.ones(1, 1, dtype=torch.bool), "median")


@pytest.mark.parametrize("mode", MODES)
def test_a_row_alone_and_padded_gives_the_same(mode: str) -> None:
    model = classifier(mode)
    ids = torch.arange(1, 6).unsqueeze(0)
    alone = model(input_ids=ids).logits
    padded = torch.cat([ids, torch.zeros(1, 4, dtype=torch.int64)], dim=1)
    together = model(input_ids=padded.repeat(2, 1), attention_mask=(padded != 0).long().repeat(2, 1)).logits
    torch.testing.assert_close(together, alone.repeat(2, 1))


def test_normalised_features_have_the_scale_as_length() -> None:
    model = classifier(normalize=True)
    lengths = model.features(torch.arange(1, 9).reshape(2, 4)).norm(dim=1)
    torch.testing.assert_close(lengths, torch.full((2,), 10.0))
    assert classifier().feature_scale == 1.0


def test_features_stand_in_for_the_body() -> None:
    model, ids = classifier(), torch.arange(1, 9).reshape(2, 4)
    labels = torch.tensor([0, 2])
    whole = model(input_ids=ids, labels=labels)
    head = model(features=model.features(ids), labels=labels)
    torch.testing.assert_close(whole.logits, head.logits)
    torch.testing.assert_close(whole.loss, torch.nn.functional.cross_entropy(whole.logits, labels))
    with pytest.raises(ValueError, match="needs input_ids or features"):
        model()


def test_the_head_follows_its_seed_alone() -> None:
    state = torch.get_rng_state()
    first, again, other = (new_head(4, 2, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first.weight, again.weight)
    assert not torch.equal(first.weight, other.weight)
    assert not first.bias.any()


def test_gradient_checkpointing_changes_no_gradient() -> None:
    ids, labels = torch.arange(1, 9).reshape(2, 4), torch.tensor([0, 2])
    gradients = []
    for checkpointing in (False, True):
        model = classifier().train()
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        if checkpointing:
            model.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})
            assert model.body.is_activation_checkpointing
        model(input_ids=ids, labels=labels).loss.backward()
        gradients.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
        model.activation_checkpointing_disable()
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient)
