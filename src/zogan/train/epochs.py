"""How many epochs, and how far from the old values: what folds of the rows say."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from zogan.tasks.task import Monitor
from zogan.train.loop import Epoch, Known
from zogan.train.regularize import Point, ranked


@dataclass(frozen=True)
class Folded:
    """What training on folds has shown.

    Attributes:
        folds: of each the figures of all its epochs.
        means: validation figures after each epoch, in the mean over the folds.
        best: the epoch with the best mean score, counted from 1.
        standard_error: of that mean's first figure, over the folds.
        epochs: the fewest whose mean lies within one standard error of the best.
        points: between old values and those of that epoch, in the mean over the folds, the best one marked; empty where
            none were asked for.
    """

    folds: tuple[tuple[Epoch, ...], ...]
    means: tuple[Monitor, ...]
    best: int
    standard_error: float
    epochs: int
    points: tuple[Point, ...] = ()

    @property
    def known(self) -> Known:
        """What a training on all rows is told."""
        return Known(self.means[: self.epochs], self.points)

    def as_json(self) -> dict[str, Any]:
        """The choice, and the means that it was made from, as JSON values."""
        return {
            "folds": len(self.folds),
            "best": self.best,
            "standard_error": self.standard_error,
            "epochs": self.epochs,
            "validation_losses": [mean.loss for mean in self.means],
            "validation_scores": [list(mean.score) for mean in self.means],
            **({"points": [asdict(point) for point in self.points]} if self.points else {}),
        }


def choose(folds: Sequence[Sequence[Epoch]], around: Sequence[Sequence[Sequence[Point]]] = ()) -> Folded:
    """Choose how many epochs to train on all rows, and where to stop on the way from the old values to theirs.

    The best epoch is that with the least score in the mean over the folds. Its first figure has a standard error s / √k
    over k folds; the earliest epoch within one of it is taken: what cannot be told from the best, and costs less
    (Breiman, Friedman, Olshen and Stone, *Classification and Regression Trees*, 1984, section 3.4.3). No epoch before
    it has as good a mean. Of the points on the way to that epoch's values it is the one with the best mean.

    Args:
        folds: of two or more the figures of their epochs, of which each has as many.
        around: of each fold, and each of its epochs, the points that were validated; nothing where none were.
    """
    means = tuple(_mean(same) for same in zip(*folds, strict=True))
    best = min(range(len(means)), key=lambda place: means[place].score)
    spread = statistics.stdev(fold[best].validation_score[0] for fold in folds)
    error = spread / len(folds) ** 0.5
    within = [place for place, mean in enumerate(means) if mean.score[0] <= means[best].score[0] + error]
    chosen = min(within)
    points = []
    for same in zip(*(epochs[chosen] for epochs in around), strict=True):
        mean = _mean(same)
        points.append(Point(same[0].share, mean.loss, mean.score))
    return Folded(
        tuple(tuple(fold) for fold in folds), means, best + 1, error, chosen + 1, ranked(points) if points else ()
    )


def _mean(found: Sequence[Epoch] | Sequence[Point]) -> Monitor:
    scores = zip(*(one.validation_score for one in found), strict=True)
    return Monitor(
        statistics.fmean(one.validation_loss for one in found), tuple(statistics.fmean(part) for part in scores)
    )
