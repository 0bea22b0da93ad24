"""R-Drop: two passes under dropout are both to be right, and to say the same."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from zogan.errors import ConfigError


def r_drop(
    logits: Float[Tensor, "both classes"], targets: Int64[Tensor, " both"], weight: float, smoothing: float = 0.0
) -> Float[Tensor, ""]:
    """Cross-entropies of two passes, and how far apart they are (arXiv:2106.14448, eq. 4).

    Args:
        logits: of the first pass, then of the second over the same targets.
        targets: of both.
        weight: the paper's alpha.
        smoothing: share of each target that is spread over all classes, 0 to 1.

    Returns:
        The sum over both passes, nats: divided by the number of `targets` it is the mean of the two cross-entropies,
        and `weight` times the mean of the two Kullback-Leibler divergences.
    """
    first, second = logits.log_softmax(dim=1).chunk(2)  # each (targets, classes)
    # KL(p, q) + KL(q, p), in one sum.
    apart = ((first.exp() - second.exp()) * (first - second)).sum()
    return cross_entropy(logits, targets, reduction="sum", label_smoothing=smoothing) + weight * apart


def check_dropout(model: nn.Module, loss: Callable[[], Tensor]) -> None:
    """See whether two passes differ at all: told by trying, for models have dropout in many places.

    Args:
        model: as it will be trained; its mode and the global generator are as before afterwards.
        loss: of a training row, as a step would have it.

    Raises:
        ConfigError: they do not.
    """
    modes = {module: module.training for module in model.modules()}
    found = []
    with torch.no_grad(), torch.random.fork_rng():
        model.train()
        for seed in (0, 1):
            torch.manual_seed(seed)
            found.append(loss())
    for module, training in modes.items():
        module.training = training
    if torch.equal(*found):
        raise ConfigError(
            "two passes over a row are equal, for nothing that trains has dropout",
            where="regularize.r_drop",
            todo="Set regularize.r_drop: 0, or take a base with dropout, or method lora with lora.dropout",
        )
