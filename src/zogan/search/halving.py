"""Successive halving: a setting goes on to more rows and epochs while it may yet be among the best.

Asynchronous, as ASHA (arXiv:1810.05934): a trial is held against those that have come as far, and waits for none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

REDUCTION = 3
"""Of so many trials that reach a rung, one goes on; and so many times as much is then spent on it."""

Rung = Literal["rows", "epochs"]

STEPS: dict[Rung, int] = {"rows": 1, "epochs": REDUCTION}
"""What a trial has taken of its whole cost at each rung, in ninths: all epochs of a ninth of the rows, then a third of
the epochs of all rows."""


def few(rows: int) -> int:
    """Rows of the first rung."""
    return rows // REDUCTION**2


def epochs_at_rung(epochs: int) -> int | None:
    """After how many epochs of all rows a trial is judged; None where that is its end."""
    third = math.ceil(epochs / REDUCTION)
    return third if third < epochs else None


def goes_on(score: float, error: float, others: Sequence[float]) -> bool:
    """Whether a trial is worth its rest.

    It is where it stands among the best third, or within one standard error of it: what is cheaper and as good shall
    come to its end too. The first `REDUCTION` - 1 have nothing to be held against.

    Args:
        score: at this rung; lower is better.
        error: its standard error.
        others: scores of the other trials at this rung.
    """
    ranked = sorted((*others, score))
    if len(ranked) < REDUCTION:
        return True
    return score <= ranked[len(ranked) // REDUCTION - 1] + error
