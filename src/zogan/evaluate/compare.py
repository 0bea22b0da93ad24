"""From the predictions of two models on the same rows to an evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float64
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from zogan.config import EvaluateConfig
from zogan.data.rows import Row
from zogan.errors import DataError, ZoganError
from zogan.evaluate.evaluation import (
    ClassFigures,
    ClassTable,
    Confusion,
    Difference,
    Evaluation,
    Examples,
    Figure,
    MetricInfo,
)
from zogan.evaluate.examples import class_examples, text_examples
from zogan.evaluate.metrics import Metric, metrics
from zogan.evaluate.statistics import Interval, intervals, match, score_interval
from zogan.tasks.task import ClassPredictions, Predictions, TextPredictions


@dataclass(frozen=True, slots=True)
class _Measured:
    """A metric's figures: before, then after and the difference where there is an after."""

    info: MetricInfo
    figures: tuple[Interval, ...]

    @property
    def difference(self) -> Difference:
        return Difference.told(self.figures[2], higher_is_better=self.info.higher_is_better)


def compare(
    rows: Sequence[Row],
    before: Predictions,
    after: Predictions | None,
    *,
    before_is: Literal["base", "head_only"],
    split: str,
    settings: EvaluateConfig,
    seed: int,
) -> Evaluation:
    """Figures with intervals, tables and examples.

    Args:
        rows: what was predicted.
        before: by the model before.
        after: by the model after, on the same rows.
        before_is: what the model before is.
        split: the rows' name.
        settings: level and resamples of the intervals.
        seed: of the resamples.

    Raises:
        DataError: no rows.
        ZoganError: a metric gives no finite figure.
    """
    if not rows:
        raise DataError("no rows to evaluate", where=split)
    task: Literal["classification", "generation"] = (
        "classification" if isinstance(before, ClassPredictions) else "generation"
    )
    systems = [before] if after is None else [before, after]
    measured = _measure(metrics(task), systems, settings, seed)
    return Evaluation(
        task=task,
        split=split,
        rows=len(rows),
        before_is=before_is,
        level=settings.level,
        resamples=settings.resamples,
        metrics=tuple(one.info for one in measured),
        before={one.info.name: Figure.of(one.figures[0]) for one in measured},
        after={one.info.name: Figure.of(one.figures[1]) for one in measured} if after else None,
        difference={one.info.name: one.difference for one in measured} if after else None,
        examples=_examples(rows, before, after),
        **_tables(before, after),
    )


def _measure(
    table: Mapping[str, Metric], systems: Sequence[Predictions], settings: EvaluateConfig, seed: int
) -> list[_Measured]:
    """All metrics; those on the same number of rows (all, or those answered) share their resamples."""
    parts = {name: [metric.rows(system) for system in systems] for name, metric in table.items()}
    measured = {}
    for number in {len(found[0]) for found in parts.values()} - {0}:
        group = [metric for name, metric in table.items() if len(parts[name][0]) == number]

        def figures(
            counts: Float64[np.ndarray, "resamples rows"], group: list[Metric] = group
        ) -> Float64[np.ndarray, "resamples figures"]:
            columns: list[Float64[np.ndarray, " resamples"]] = []
            for metric in group:
                found = [metric.figure(counts @ rows) for rows in parts[metric.name]]
                columns += found if len(found) == 1 else [*found, found[1] - found[0]]
            return np.stack(columns, axis=1)

        found = intervals(figures, number, level=settings.level, resamples=settings.resamples, seed=seed)
        width = len(found) // len(group)
        for index, metric in enumerate(group):
            info = MetricInfo(name=metric.name, higher_is_better=metric.higher_is_better, rows=number)
            own = found[index * width : (index + 1) * width]
            if metric.proportion and len(systems) == 2 and number > 1:
                first, second = (metric.right(rows) for rows in parts[metric.name])
                own[2] = score_interval(match(first, second), level=settings.level)
            measured[metric.name] = _Measured(info, tuple(own))
    for name, one in measured.items():
        if not all(np.isfinite([each.value, each.low, each.high]).all() for each in one.figures):
            raise ZoganError("gives no finite figure on these rows", where=f"metric {name!r}")
    return [measured[name] for name in table if name in measured]


def _tables(before: Predictions, after: Predictions | None) -> dict[str, Any]:
    if not isinstance(before, ClassPredictions):
        return {}
    then = after if isinstance(after, ClassPredictions) else None
    return {
        "labels": before.labels,
        "per_class": ClassTable(before=_per_class(before), after=_per_class(then) if then else None),
        "confusion": Confusion(before=_confusion(before), after=_confusion(then) if then else None),
    }


def _per_class(predictions: ClassPredictions) -> tuple[ClassFigures, ...]:
    columns = precision_recall_fscore_support(
        predictions.truth, predictions.choice, labels=range(len(predictions.labels)), zero_division=0
    )
    return tuple(
        ClassFigures(label=label, precision=precision, recall=recall, f1=f1, support=support)
        for label, precision, recall, f1, support in zip(
            predictions.labels, *(column.tolist() for column in columns), strict=True
        )
    )


def _confusion(predictions: ClassPredictions) -> tuple[tuple[int, ...], ...]:
    table = confusion_matrix(predictions.truth, predictions.choice, labels=range(len(predictions.labels)))
    return tuple(tuple(row) for row in table.tolist())


def _examples(rows: Sequence[Row], before: Predictions, after: Predictions | None) -> Examples:
    if isinstance(before, ClassPredictions) and isinstance(after, ClassPredictions):
        return class_examples(rows, before, after)
    if isinstance(before, TextPredictions) and isinstance(after, TextPredictions):
        return text_examples(rows, before, after)
    return Examples()
