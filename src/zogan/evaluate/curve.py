"""What curve.json holds: the figure at a quarter, half and all of the training rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import Field, FiniteFloat

from zogan.config import EvaluateConfig
from zogan.evaluate.document import Document
from zogan.evaluate.evaluation import Count, Figure
from zogan.evaluate.metrics import Metric
from zogan.evaluate.predictions import load
from zogan.evaluate.statistics import WhyNoGain, learning_curve

NAME = "curve.json"


class Curve(Document):
    """A learning curve of the protocol's figure, and what twice the labels would bring.

    Attributes:
        sizes: training rows of a quarter, half and all.
        runs: of each size, with their own draw of rows and seed.
        points: the figure on the test rows, mean over runs.
        gain: above 0 where better; null where it cannot be told, and `why` says why.
    """

    metric: str
    higher_is_better: bool
    level: FiniteFloat = Field(description="confidence level of the intervals, 0 to 1")
    sizes: tuple[Count, Count, Count]
    runs: Count
    points: tuple[Figure, Figure, Figure]
    gain: Figure | None
    why: WhyNoGain | None
    patch: str = Field(description="digest of the patch, SHA-256 in hex, whose rows are all")


def curve_of(
    files: Sequence[Sequence[Path]],
    metric: Metric,
    *,
    sizes: tuple[int, int, int],
    settings: EvaluateConfig,
    seed: int,
    patch: str,
) -> Curve:
    """The curve of predictions that were kept.

    Args:
        files: of each size, those of its runs; what the model after says stands there, or else that before.
        metric: that decides.
        sizes: training rows.
        settings: level and resamples of the intervals.
        seed: of the resamples.
        patch: digest of the run's own.

    Raises:
        DataError: sizes that do not double.
        IntegrityError: a file is damaged.
    """
    kept = [[load(file) for file in of_size] for of_size in files]
    table = np.array([[(one.after or one.before).measures[metric.name] for one in of_size] for of_size in kept])
    found = learning_curve(
        table,
        metric.figure,
        sizes=sizes,
        higher_is_better=metric.higher_is_better,
        level=settings.level,
        resamples=settings.resamples,
        seed=seed,
    )
    points = found.points
    return Curve(
        metric=metric.name,
        higher_is_better=metric.higher_is_better,
        level=settings.level,
        sizes=sizes,
        runs=len(files[0]),
        points=(Figure.of(points[0]), Figure.of(points[1]), Figure.of(points[2])),
        gain=None if found.gain is None else Figure.of(found.gain),
        why=found.why,
        patch=patch,
    )
