"""One figure of two models on the same rows, and how far chance alone could move their difference."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from zogan.config import EvaluateConfig
from zogan.errors import ZoganError
from zogan.evaluate.evaluation import Difference
from zogan.evaluate.metrics import Metric
from zogan.evaluate.statistics import intervals, match, score_interval
from zogan.tasks.task import Predictions, TextPredictions


def value_of(metric: Metric, predictions: Predictions) -> float:
    """The figure of one model.

    Raises:
        ZoganError: it is not finite.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        found = float(metric.figure(metric.rows(predictions).sum(axis=0, keepdims=True))[0])
    if not np.isfinite(found):
        raise ZoganError("gives no finite figure on these rows", where=f"metric {metric.name!r}")
    return found


def difference_of(
    metric: Metric, first: Predictions, second: Predictions, settings: EvaluateConfig, seed: int
) -> Difference:
    """Second less first: the score interval where rows are right or wrong, the paired bootstrap for any other figure.

    Args:
        metric: whose figure.
        first: of one model.
        second: of the other, on the same rows.
        settings: level and resamples.
        seed: of the resamples.
    """
    one, other = metric.rows(first), metric.rows(second)
    if metric.proportion:
        found = score_interval(match(metric.right(one), metric.right(other)), level=settings.level)
        return Difference.told(found, higher_is_better=metric.higher_is_better)

    def difference(counts: Float64[np.ndarray, "resamples rows"]) -> Float64[np.ndarray, "resamples 1"]:
        return np.asarray(metric.figure(counts @ other) - metric.figure(counts @ one))[:, None]

    (found,) = intervals(difference, len(one), level=settings.level, resamples=settings.resamples, seed=seed)
    return Difference.told(found, higher_is_better=metric.higher_is_better)


def needs_answers(metric: Metric) -> bool:
    """Whether a figure of generation is taken on greedy answers, which take most of the time."""
    if metric.task != "generation":
        return False
    return not len(metric.rows(TextPredictions(np.zeros(1), np.ones(1, dtype=np.int64), (), ())))
