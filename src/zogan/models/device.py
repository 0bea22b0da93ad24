"""Where a model runs: the accelerator that `accelerate` finds for this process, or the processor."""

from __future__ import annotations

import torch
from accelerate import PartialState
from accelerate.utils import parse_flag_from_env
from torch import nn


def device() -> torch.device:
    """This process's device, as `accelerate` chooses it: of several processes each has its own.

    `ACCELERATE_USE_CPU=true` in the environment means the processor, whatever else there is.
    """
    found: torch.device = PartialState(cpu=parse_flag_from_env("ACCELERATE_USE_CPU")).device
    return found


def finish() -> None:
    """Wait for what the device was given to do."""
    if device().type != "cpu":
        torch.accelerator.synchronize()


def onto_device(module: nn.Module) -> nn.Module:
    """Move a module to the process's device, in place; what stands on the meta device stays there."""
    target = device()
    module._apply(lambda tensor: tensor if tensor.is_meta else tensor.to(target))  # type: ignore[no-untyped-call]
    return module
