"""A pass whose gradients are taken in one tensor at a time: each is given away as it comes, and none is kept."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from torch import Tensor, nn

Fold = Callable[[nn.Parameter, Tensor | None], None]
"""A parameter and its gradient, once it is whole."""


@contextmanager
def folding(model: nn.Module, parameters: Collection[nn.Parameter], fold: Fold) -> Iterator[None]:
    """Inside, these parameters alone have a gradient, and it goes to `fold` and is freed at once.

    The model is in evaluation mode, so that no dropout blurs what is folded. Each module's mode, gradients and
    `requires_grad` flags are as before afterwards.

    Args:
        model: any module.
        parameters: of it.
        fold: is given each gradient in every backward.
    """
    flags = {parameter: parameter.requires_grad for parameter in model.parameters()}
    modes = {module: module.training for module in model.modules()}
    grads = {parameter: parameter.grad for parameter in parameters}  # set aside, so that they are folded nowhere

    def take(parameter: nn.Parameter) -> None:
        grad, parameter.grad = parameter.grad, None
        fold(parameter, grad)

    hooks = []
    try:
        model.eval()
        for parameter in flags:
            parameter.requires_grad_(parameter in grads)
        for parameter in grads:
            parameter.grad = None
        hooks = [parameter.register_post_accumulate_grad_hook(take) for parameter in grads]  # type: ignore[no-untyped-call]
        yield
    finally:
        for hook in hooks:
            hook.remove()
        for parameter, flag in flags.items():
            parameter.requires_grad_(flag)
        for parameter, before in grads.items():
            parameter.grad = before
        for module, training in modes.items():
            module.training = training
