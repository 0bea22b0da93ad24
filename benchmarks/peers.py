"""The peers, by PEFT itself: what each trains beside all of a model's linear layers but its output layer."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from peft import LoraConfig, ShiraConfig, get_peft_model_state_dict, inject_adapter_in_model
from torch import Tensor, nn

from zogan.train.methods import linear_layers


class Rank(float):
    """A rank that need not be whole: SHiRA gives a layer rank times the sum of its sides values, as LoRA has them."""

    def __mul__(self, sides: float) -> int:
        return round(float(self) * sides)


@dataclass(frozen=True)
class Peer:
    """A method of PEFT.

    Args:
        rank: where no density is asked for.
        config: PEFT's configuration for a rank.
        by_gradient: whether it reads the gradients that lie in the parameters' `grad`.
    """

    rank: int
    config: Callable[[Rank], Any]
    by_gradient: bool = False


def _lora(rank: Rank) -> Any:
    whole = max(1, round(rank))
    return LoraConfig(r=whole, lora_alpha=2 * whole, target_modules="all-linear")


def _rslora(rank: Rank) -> Any:
    whole = max(1, round(rank))
    return LoraConfig(r=whole, lora_alpha=2 * math.sqrt(whole), use_rslora=True, target_modules="all-linear")


def _shira(rank: Rank) -> Any:
    return ShiraConfig(r=rank, target_modules="all-linear")


def _shira_gradient(rank: Rank) -> Any:
    config = _shira(rank)
    config.mask_fn = largest_gradients
    return config


# LoRA's and rsLoRA's updates are both scaled by 2, so that rates compare.
PEERS = {
    "lora": Peer(8, _lora),
    "rslora64": Peer(64, _rslora),
    "shira": Peer(8, _shira),
    "shira_gradient": Peer(8, _shira_gradient, by_gradient=True),
}


def largest_gradients(layer: nn.Module, rank: Rank, **_: Any) -> Tensor:
    """SHiRA's mask by gradient (arXiv:2406.13175), where its random mask has as many ones.

    Args:
        layer: linear, (rows, columns), with a gradient, or without one where the loss does not reach it.
        rank: times the sum of both sides is the number of ones.

    Returns:
        (rows, columns), of the weight's dtype: ones where the gradient's absolute value is largest, zeros elsewhere.
    """
    weight = layer.get_parameter("weight")
    gradient = torch.zeros_like(weight) if weight.grad is None else weight.grad
    best = gradient.abs().flatten().topk(rank * sum(weight.shape)).indices
    return torch.zeros_like(weight).flatten().index_fill(0, best, 1).view_as(weight)


def adapt(model: nn.Module, peer: str, *, seed: int = 0, density: float | None = None) -> None:
    """Freeze a transformers model and put the peer's parameters into it, in place; they alone train.

    Args:
        model: with gradients, where the peer reads them.
        peer: one of `PEERS`.
        seed: of what is drawn.
        density: train as many values as this share of the matrices, 0 to 1 (LoRA: by the whole rank that comes
            nearest); by the peer's own rank where absent.
    """
    rank = Rank(PEERS[peer].rank) if density is None else rank_for(model, density)
    model.requires_grad_(False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        inject_adapter_in_model(PEERS[peer].config(rank), model)


def rank_for(model: nn.Module, density: float) -> Rank:
    """The rank at which LoRA's values, over all layers, are this share of the matrices."""
    shapes = [layer.get_parameter("weight").shape for layer in linear_layers(model).values()]
    return Rank(density * sum(map(math.prod, shapes)) / sum(map(sum, shapes)))


def adapters(model: nn.Module) -> dict[str, Tensor]:
    """What PEFT would write to its file."""
    state: dict[str, Tensor] = get_peft_model_state_dict(model)
    return {name: tensor.contiguous() for name, tensor in state.items()}
