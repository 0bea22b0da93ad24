"""Back toward the old values after each step of the optimiser: in proportion, or by a fixed length."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def decay(values: Float[Tensor, "*shape"], old: Float[Tensor, "*shape"], share: float) -> None:
    """Go a share of the way to the old values, in place.

    L2-SP (arXiv:1802.01483, eq. 3) in place of a decay toward zero, and decoupled from the gradient's moments as
    AdamW's decay is (arXiv:1711.05101): a penalty within the loss would be divided by them.

    Args:
        values: that train.
        old: what they were.
        share: rate times decay; at 1 or more all of the way is gone.
    """
    values.lerp_(old, min(share, 1.0))


def threshold(values: Float[Tensor, "*shape"], old: Float[Tensor, "*shape"], length: float) -> None:
    """Go a length toward the old values and no further, in place: values closer than that are the old ones, bit by bit.

    The proximal step of an L1 penalty on what changed (soft threshold; arXiv:0912.3522, section 2.4).

    Args:
        values: that train.
        old: what they were.
        length: rate times threshold.
    """
    change = values - old
    there = change.abs() <= length
    change.sub_(change.sign(), alpha=length)
    # Old values as they stand, for adding nothing to a negative zero makes another one of it.
    values.copy_(torch.where(there, old, old + change))
