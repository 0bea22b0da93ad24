"""Mixout: in each training pass some values are the old ones, by chance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def mixout(trained: Mapping[str, nn.Parameter], old: Mapping[str, Tensor], chance: float) -> Iterator[None]:
    """Inside, parameters hold a mixture of their own and their old values; forward and backward belong there.

    A value is the old one with this chance, and else as much further from it as keeps the mean where it is
    (arXiv:1909.11299, eq. 5). Gradients that arrive are those of the parameters themselves, so that they can be
    accumulated and reduced. What is drawn comes from the global generator.

    Args:
        trained: by name.
        old: of those that take part, fp32, of the same shapes.
        chance: from 0 to 1, less than 1.
    """
    own, hooks = {}, []
    for name, before in old.items():
        parameter = trained[name]
        # 0 where the old value stands; elsewhere what a change is multiplied by.
        scale = torch.empty_like(parameter).bernoulli_(1 - chance).div_(1 - chance)
        own[name] = parameter.detach().clone()
        # Past autograd's eyes: the parameter is what trains, the mixture what it stands for in this pass.
        parameter.data.sub_(before).mul_(scale).add_(before)
        hooks.append(parameter.register_hook(scale.mul))  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
        for name, values in own.items():
            trained[name].data.copy_(values)
