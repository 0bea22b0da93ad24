"""The peers, by PEFT itself: what each trains beside all of a model's linear layers but its output layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from peft import LoraConfig, ShiraConfig, get_peft_model_state_dict, inject_adapter_in_model
from torch import Tensor, nn

# As many values in SHiRA as in LoRA of that rank; rsLoRA's update is scaled as LoRA's is, by 2, so that rates compare.
PEERS: dict[str, Callable[[], Any]] = {
    "lora": lambda: LoraConfig(r=8, lora_alpha=16, target_modules="all-linear"),
    "rslora64": lambda: LoraConfig(r=64, lora_alpha=16, use_rslora=True, target_modules="all-linear"),
    "shira": lambda: ShiraConfig(r=8, target_modules="all-linear"),
}


def adapt(model: nn.Module, peer: str, *, seed: int = 0) -> None:
    """Freeze a transformers model and put the peer's parameters into it, in place; they alone train."""
    model.requires_grad_(False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        inject_adapter_in_model(PEERS[peer](), model)


def adapters(model: nn.Module) -> dict[str, Tensor]:
    """What PEFT would write to its file."""
    state: dict[str, Tensor] = get_peft_model_state_dict(model)
    return {name: tensor.contiguous() for name, tensor in state.items()}
