"""Whether one model is better than another on the same rows, by more than chance would move it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float64

from zogan.tasks.task import ClassPredictions, Predictions, TextPredictions


@dataclass(frozen=True)
class Gain:
    """How a figure moved from one model to another; of both figures lower is better.

    Attributes:
        figure: `errors`, the share of wrong rows, 0 to 1; or `loss`, nats a target.
        before: of the one.
        after: of the other.
        standard_error: of the difference, paired by row; None with fewer than two rows.
    """

    figure: Literal["errors", "loss"]
    before: float
    after: float
    standard_error: float | None

    @property
    def value(self) -> float:
        """By how much the other is better."""
        return self.before - self.after

    @property
    def pays(self) -> bool:
        """Whether it is better by more than its standard error."""
        return self.standard_error is not None and self.value > self.standard_error

    def as_json(self) -> dict[str, Any]:
        """All of it, as JSON values."""
        return {
            "figure": self.figure,
            "before": self.before,
            "after": self.after,
            "gain": self.value,
            "standard_error": self.standard_error,
        }


def gain_of(before: Predictions, after: Predictions) -> Gain:
    """The gain in what early stopping compares: of classes the share of wrong rows, or the loss where that is equal.

    Args:
        before: of the one model.
        after: of the other, on the same rows.

    Raises:
        TypeError: they are of two tasks.
    """
    if isinstance(before, ClassPredictions) and isinstance(after, ClassPredictions):
        rows = np.ones(len(before.truth))
        errors = _gain("errors", _wrong(before), _wrong(after), rows)
        return errors if errors.value else _gain("loss", before.losses, after.losses, rows)
    if isinstance(before, TextPredictions) and isinstance(after, TextPredictions):
        return _gain("loss", before.losses, after.losses, before.tokens.astype(np.float64))
    raise TypeError("predictions of two tasks cannot be compared")


def _wrong(predictions: ClassPredictions) -> Float64[np.ndarray, " rows"]:
    return np.asarray(predictions.choice != predictions.truth, dtype=np.float64)


def _gain(
    figure: Literal["errors", "loss"],
    before: Float64[np.ndarray, " rows"],
    after: Float64[np.ndarray, " rows"],
    targets: Float64[np.ndarray, " rows"],
) -> Gain:
    """The standard error is that of a ratio of sums over rows (Cochran, Sampling Techniques, 1977, section 6.4)."""
    rows, whole = len(targets), float(targets.sum())
    saved = before - after
    rest = saved - saved.sum() / whole * targets  # (rows,)
    error = float(np.sqrt(rows / (rows - 1) * (rest**2).sum()) / whole) if rows > 1 else None
    return Gain(figure, float(before.sum()) / whole, float(after.sum()) / whole, error)
