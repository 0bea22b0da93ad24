"""How far a validation figure could be off by the choice of its rows: standard errors from the rows' outcomes."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float64


def of_share(count: int, rows: int) -> float:
    """Standard error of a share of rows, 0 to 1.

    Two rows more of each kind are counted in (Agresti and Coull, 1998), so that it is not zero where all or none are.

    Args:
        count: rows that count.
        rows: all of them.
    """
    share = (count + 2) / (rows + 4)
    return math.sqrt(share * (1 - share) / (rows + 4))


def of_ratio(sums: Float64[np.ndarray, " rows"], counts: Float64[np.ndarray, " rows"]) -> float | None:
    """Standard error of a mean over tokens, where rows, and not tokens, are drawn: the linearised ratio's.

    Args:
        sums: of each row's losses, nats.
        counts: of its tokens.

    Returns:
        In nats; None for fewer than two rows, which have no spread.
    """
    rows, tokens = len(sums), float(counts.sum())
    if rows < 2 or tokens == 0:
        return None
    residuals = sums - sums.sum() / tokens * counts
    return math.sqrt(rows / (rows - 1) * float((residuals**2).sum())) / tokens
