"""A vector that trains whole, seen by its layer as the base will store it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle


def see_rounded(module: nn.Module, name: str, stored: torch.dtype) -> tuple[RemovableHandle, ...]:
    """Let a module's own forward read a parameter rounded to `stored`; the parameter itself keeps its dtype, in which
    small steps add up, and its name. Its gradient is that at the rounded values, passed straight through
    (arXiv:1308.3432).

    Args:
        module: whose parameter it is.
        name: of the parameter in the module.
        stored: dtype that the base is stored in.

    Returns:
        What takes it back.
    """
    seen = _Seen(name, stored)
    before = module.register_forward_pre_hook(seen.put)
    return before, module.register_forward_hook(seen.take, always_call=True)


class Round(torch.autograd.Function):
    """To a dtype and back; the gradient passes through as it is."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, stored: torch.dtype) -> Tensor:
        return x.to(stored).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        return grads[0], None


@dataclass(frozen=True)
class _Seen:
    """Hooks around a module's forward: what stands in its `__dict__` is found before its parameters."""

    name: str
    stored: torch.dtype

    def put(self, module: nn.Module, inputs: Any) -> None:
        module.__dict__[self.name] = Round.apply(module.get_parameter(self.name), self.stored)  # type: ignore[no-untyped-call]

    def take(self, module: nn.Module, inputs: Any, output: Any) -> None:
        module.__dict__.pop(self.name, None)
