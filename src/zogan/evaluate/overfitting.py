"""How much better a model is on the rows that it learned from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64

from zogan.config import EvaluateConfig
from zogan.data.rows import Row
from zogan.evaluate.evaluation import Difference, Learnt, Overfitting
from zogan.evaluate.external import difference
from zogan.evaluate.metrics import TaskName, metrics, ratio
from zogan.evaluate.statistics import gap
from zogan.tasks.task import ClassPredictions, Predictions


def drawn(rows: Sequence[Row], number: int, seed: int) -> tuple[Row, ...]:
    """So many of the rows by chance, in their order; all where there are no more."""
    if len(rows) <= number:
        return tuple(rows)
    chosen = np.random.default_rng(seed).choice(len(rows), number, replace=False)
    return tuple(rows[place] for place in sorted(chosen.tolist()))


def overfitting(training: Predictions, held_out: Predictions, *, settings: EvaluateConfig, seed: int) -> Overfitting:
    """The gap in each figure that both sides have, and in the loss.

    Args:
        training: what the model says of rows that it learned from.
        held_out: of rows that it did not.
        settings: level and resamples of the intervals.
        seed: of the resamples.
    """
    task: TaskName = "classification" if isinstance(training, ClassPredictions) else "generation"
    figures = {}
    for name, metric in metrics(task).items():
        sides = [metric.rows(one) for one in (training, held_out)]
        if all(len(one) for one in sides):
            told = [float(metric.figure(one.sum(axis=0, keepdims=True))[0]) for one in sides]
            found = difference(name, training, held_out, settings=settings, seed=seed)
            figures[name] = Learnt(training=told[0], held_out=told[1], gap=found)
    return Overfitting(rows=len(training.losses), figures=figures, loss=_loss(training, held_out, settings, seed))


def _loss(training: Predictions, held_out: Predictions, settings: EvaluateConfig, seed: int) -> Learnt:
    first, second = _losses(training), _losses(held_out)
    found = gap(
        first,
        second,
        ratio,
        higher_is_better=False,
        level=settings.level,
        resamples=settings.resamples,
        seed=seed,
    )
    means = [float(one[:, 0].sum() / one[:, 1].sum()) for one in (first, second)]
    return Learnt(training=means[0], held_out=means[1], gap=Difference.told(found, higher_is_better=False))


def _losses(said: Predictions) -> Float64[np.ndarray, "rows 2"]:
    """Each row's loss, and what it is a mean over."""
    over = np.ones(len(said.losses)) if isinstance(said, ClassPredictions) else said.tokens.astype(np.float64)
    return np.stack([said.losses, over], axis=1)
