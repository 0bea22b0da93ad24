"""How a weight is scored: each criterion folds a batch's gradient into a sum, then turns sums into scores.

A third party adds its own as an entry point in the group `zogan.criteria`: a `Criterion` under its name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points

import torch
from torch import Tensor

from zogan.errors import ConfigError, nearest

Fold = Callable[[Tensor, Tensor], Tensor]
"""(weight, gradient of one batch's mean loss), each (out, in), to what is summed over batches, of the same shape."""


@dataclass(frozen=True)
class Criterion:
    """Scores weights for selection; the highest are chosen.

    Attributes:
        fold: what one batch adds to a weight's sum; None where no gradient is needed.
        score: the sums (or, without `fold`, the weights) to scores, elementwise.
    """

    fold: Fold | None
    score: Callable[[Tensor], Tensor]


CRITERIA: dict[str, Criterion] = {
    # |Σ dL/dw|: first-order change of the loss by a small step (GPS, arXiv:2312.10136; SPEFT, arXiv:2412.13488).
    "gradient": Criterion(lambda weight, grad: grad, torch.abs),
    # |Σ g / ‖g of the weight's input feature‖|: a few features of large activation have the largest gradients in every
    # row, and chosen by them alone all rows change the same few columns. Their scale is taken out, as the diagonal of
    # K-FAC's input factor does (arXiv:1503.05671, section 3), and as Wanda does with weights (arXiv:2306.11695).
    "relative": Criterion(lambda weight, grad: _over_columns(grad), torch.abs),
    # Σ (dL/dw)²: diagonal of the empirical Fisher information (FISH mask, arXiv:2111.09839, eq. 3).
    "fisher": Criterion(lambda weight, grad: grad.square(), lambda total: total),
    # |Σ w dL/dw|: first-order change of the loss if the weight were zero (SNIP, arXiv:1810.02340, eq. 5).
    "contribution": Criterion(lambda weight, grad: weight * grad, torch.abs),
    # |Σ (w dL/dw − (w dL/dw)²/2)|: the same to the second order, the curvature by the diagonal of the empirical Fisher
    # information (Optimal Brain Damage, 1989; LLM-Pruner, arXiv:2305.11627, eq. 5).
    "second_order": Criterion(lambda weight, grad: weight * grad * (1 - weight * grad / 2), torch.abs),
    # −Σ w dL/dw: weights that training would move away from zero (arXiv:2005.07683, eq. 3).
    "movement": Criterion(lambda weight, grad: weight * grad, torch.neg),
    "magnitude": Criterion(None, torch.abs),
    # Uniform scores are drawn by the saliency pass, from the seed.
    "random": Criterion(None, lambda weight: weight),
}


def _over_columns(grad: Tensor) -> Tensor:
    norms: Tensor = torch.linalg.vector_norm(grad, dim=0, keepdim=True)
    return grad / norms.clamp_min(torch.finfo(grad.dtype).tiny)


def find(name: str) -> Criterion:
    """The criterion of that name, built in or by entry point.

    Raises:
        ConfigError: none has that name, with the nearest; or what has it is no criterion.
    """
    if name in CRITERIA:
        return CRITERIA[name]
    others = {point.name: point for point in entry_points(group="zogan.criteria")}
    if name not in others:
        todo = nearest(name, [*CRITERIA, *others])
        raise ConfigError(f"no criterion is called {name!r}", where="select.criterion", todo=todo)
    try:
        found = others[name].load()
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"entry point {name!r} cannot be loaded: {error}", where="select.criterion") from None
    if not isinstance(found, Criterion):
        raise ConfigError(f"entry point {name!r} gives no Criterion", where="select.criterion")
    return found
