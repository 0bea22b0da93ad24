"""How many epochs: what folds of the rows say, by the one-standard-error rule."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from zogan.tasks.task import Monitor
from zogan.train.loop import Epoch


@dataclass(frozen=True)
class Folded:
    """What training on folds has shown.

    Attributes:
        folds: of each the figures of all its epochs.
        means: validation figures after each epoch, in the mean over the folds.
        best: the epoch with the best mean score, counted from 1.
        standard_error: of that mean's first figure, over the folds.
        epochs: the fewest whose mean lies within one standard error of the best.
    """

    folds: tuple[tuple[Epoch, ...], ...]
    means: tuple[Monitor, ...]
    best: int
    standard_error: float
    epochs: int

    def as_json(self) -> dict[str, Any]:
        """The choice, and the means that it was made from, as JSON values."""
        return {
            "folds": len(self.folds),
            "best": self.best,
            "standard_error": self.standard_error,
            "epochs": self.epochs,
            "validation_losses": [mean.loss for mean in self.means],
            "validation_scores": [list(mean.score) for mean in self.means],
        }


def choose(folds: Sequence[Sequence[Epoch]]) -> Folded:
    """Choose how many epochs to train on all rows.

    The best epoch is that with the least score in the mean over the folds. Its first figure has a standard error s / √k
    over k folds; the earliest epoch within one of it is taken: what cannot be told from the best, and costs less
    (Breiman, Friedman, Olshen and Stone, *Classification and Regression Trees*, 1984, section 3.4.3). No epoch before
    it has as good a mean.

    Args:
        folds: of two or more the figures of their epochs, of which each has as many.
    """
    means = tuple(
        Monitor(
            statistics.fmean(epoch.validation_loss for epoch in same),
            tuple(statistics.fmean(part) for part in zip(*(epoch.validation_score for epoch in same), strict=True)),
        )
        for same in zip(*folds, strict=True)
    )
    best = min(range(len(means)), key=lambda place: means[place].score)
    spread = statistics.stdev(fold[best].validation_score[0] for fold in folds)
    error = spread / len(folds) ** 0.5
    within = [place for place, mean in enumerate(means) if mean.score[0] <= means[best].score[0] + error]
    return Folded(tuple(tuple(fold) for fold in folds), means, best + 1, error, min(within) + 1)
