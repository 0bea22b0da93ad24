"""What may be chosen of a model is told by its structure, and what cannot be is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from tiny_net import Net, Normed, OwnRMSNorm
from zogan.errors import ConfigError
from zogan.select.eligible import eligible, embeddings, is_norm, pool_of, refuse_half, vectors


def test_only_free_matrices_may_be_chosen() -> None:
    assert set(eligible(Net())) == {"up.weight", "down.weight", "pooler.weight", "head.weight"}
    assert set(eligible(Net(), whole=["head.weight", "head.bias"])) == {"up.weight", "down.weight", "pooler.weight"}
    assert set(eligible(Net(), include="^(up|down)", exclude="down")) == {"up.weight"}
    assert set(eligible(nn.Linear(2, 2))) == {"weight"}
    assert set(eligible(nn.Sequential(Conv1D(4, 3), nn.LayerNorm(4), nn.Conv2d(1, 1, 2)))) == {"0.weight"}


def test_a_module_that_stands_twice_is_not_chosen() -> None:
    shared = nn.Linear(4, 4)
    # The one module under two names: its gradient is whole, and it has one name.
    assert set(eligible(nn.Sequential(shared, nn.ReLU(), shared))) == {"0.weight"}
    tied = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    tied[1].weight = tied[0].weight
    with pytest.raises(ConfigError, match="Only matrices of linear layers that are not tied can be chosen"):
        eligible(tied)


def test_patterns_that_fit_nothing_are_told() -> None:
    with pytest.raises(ConfigError, match=r"select: no weight matches include='nothing', exclude=None"):
        eligible(Net(), include="nothing")
    with pytest.raises(ConfigError, match=r"select\.include or select\.exclude: no regular expression"):
        eligible(Net(), exclude="[")


def test_embeddings_are_those_that_are_not_tied() -> None:
    assert set(embeddings(Normed())) == {"embedding.weight"}
    assert set(embeddings(Net())) == set()
    assert set(embeddings(nn.Embedding(3, 2))) == {"weight"}
    kept = nn.ModuleDict({name: nn.Embedding(3, 2, **keys) for name, keys in CANNOT.items()})
    assert set(embeddings(kept)) == set()
    assert set(embeddings(Normed(), whole=["embedding.weight"])) == set(embeddings(Normed(), exclude="bed")) == set()


CANNOT: dict[str, dict[str, Any]] = {
    "capped": {"max_norm": 1.0},
    "scaled": {"scale_grad_by_freq": True},
    "sparse": {"sparse": True},
}
"""Embeddings whose gradient is not that of a matrix."""


def test_vectors_are_told_by_structure() -> None:
    found = vectors(Normed())
    assert set(found["biases"]) == {"up.bias", "head.bias"}
    assert set(found["norms"]) == {f"{name}.{part}" for name in ("norm", "spare") for part in ("weight", "bias")} | {
        "scale.weight"
    }
    assert set(vectors(nn.Sequential(Conv1D(4, 3), nn.Conv2d(1, 1, 2)))["biases"]) == {"0.bias"}
    assert vectors(Normed(), ("matrices", "embeddings")) == {}
    assert list(vectors(Normed(), ["norms"])) == ["norms"]
    some = vectors(Normed(), include="norm|up|head", exclude=r"norm\.weight", whole=["head.weight", "head.bias"])
    assert {kind: set(group) for kind, group in some.items()} == {"biases": {"up.bias"}, "norms": {"norm.bias"}}


def test_a_vector_of_two_modules_is_left_out() -> None:
    model = Normed()
    model.spare.weight = model.norm.weight
    assert set(vectors(model)["norms"]) == {"norm.bias", "spare.bias", "scale.weight"}


@pytest.mark.parametrize(
    ("module", "is_one"),
    [
        (nn.LayerNorm(4), True),
        (nn.RMSNorm(4), True),
        (nn.GroupNorm(2, 4), True),
        (OwnRMSNorm(4), True),
        (nn.LayerNorm(4, elementwise_affine=False), False),
        (nn.LayerNorm((4, 2)), False),
        (nn.Linear(4, 4), False),
        (nn.Sequential(nn.LayerNorm(4)), False),
    ],
    ids=lambda given: type(given).__name__,
)
def test_norms(module: nn.Module, is_one: bool) -> None:
    assert is_norm(module) is is_one


def test_a_pool_holds_the_kinds_that_are_asked_for() -> None:
    plain = pool_of(Normed(), ["matrices"])
    assert (plain.kinds, plain.tables, plain.vectors, plain.counted) == (("matrices",), {}, {}, frozenset())
    every = pool_of(Normed(), ["embeddings", "norms", "biases", "matrices"])
    assert every.kinds == ("matrices", "biases", "norms", "embeddings")
    assert set(every.weights) == {"embedding.weight", "up.weight", "down.weight", "head.weight"}
    assert pool_of(Normed(), ["biases"]).counted == set(plain.matrices)


def test_kinds_that_are_not_there() -> None:
    with pytest.raises(
        ConfigError, match=r"^select\.parameters: no parameters are called 'norm'\. Did you mean 'norms'"
    ):
        pool_of(Normed(), ["matrices", "norm"])
    with pytest.raises(ConfigError, match=r"no parameters are called ''\. Known: biases, embeddings, matrices, norms"):
        pool_of(Normed(), [])
    with pytest.raises(
        ConfigError, match=r"^select\.parameters: the model has no embeddings that may be chosen\. .*tied"
    ):
        pool_of(Net(), ["embeddings"])
    assert pool_of(Net(), ["matrices", "embeddings", "norms"]).tables == {}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_vectors_in_16_bits_are_refused(dtype: torch.dtype) -> None:
    said = rf"^select\.parameters: up\.bias would train whole in {str(dtype)[6:]}, in which small steps are lost\. Have"
    with pytest.raises(ConfigError, match=said):
        refuse_half({"norm.weight": torch.float32, "up.bias": dtype})
    with pytest.raises(ConfigError, match="would train whole in"):
        pool_of(Normed().to(dtype), ["matrices", "biases"])
    assert pool_of(Normed().to(dtype), ["matrices", "embeddings"]).tables
