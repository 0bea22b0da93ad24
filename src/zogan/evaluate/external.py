"""The figures on external sets, and how far they fall short of those on the run's own test rows."""

from __future__ import annotations

from zogan.config import EvaluateConfig
from zogan.data.external import External
from zogan.evaluate.compare import compare
from zogan.evaluate.evaluation import Difference, Drops, ExternalEvaluation
from zogan.evaluate.metrics import Metric, TaskName, metrics
from zogan.evaluate.predictions import Predicted
from zogan.evaluate.statistics import Interval, gap, gap_of_shares
from zogan.tasks.task import ClassPredictions, Predictions


def on_external(
    one: External, there: Predicted, own: Predicted, *, settings: EvaluateConfig, seed: int
) -> ExternalEvaluation:
    """Figures on an external set, and what they drop.

    Args:
        one: the set.
        there: what the models say of its rows.
        own: what the same models say of the run's test rows.
        settings: level and resamples of the intervals.
        seed: of the resamples.

    Raises:
        ZoganError: a metric gives no finite figure.
    """
    found = compare(
        one.rows, there.before, there.after, before_is=there.before_is, split=one.name, settings=settings, seed=seed
    )
    drops = {
        side: {info.name: difference(info.name, first, second, settings=settings, seed=seed) for info in found.metrics}
        for side, first, second in (("before", own.before, there.before), ("after", own.after, there.after))
        if first is not None and second is not None
    }
    return ExternalEvaluation(
        name=one.name,
        note=one.note,
        rows=len(one.rows),
        left_out=sum(each.count for each in one.findings if each.name.startswith("external_in_")),
        metrics=found.metrics,
        before=found.before,
        after=found.after,
        difference=found.difference,
        drop=Drops(before=drops["before"], after=drops.get("after")),
    )


def difference(
    name: str, first: Predictions, second: Predictions, *, settings: EvaluateConfig, seed: int
) -> Difference:
    """How much worse a model's figure is on the second rows than on the first, of which none is among them.

    Args:
        name: of the metric.
        first: predictions of the one set of rows.
        second: of the other.
        settings: level and resamples of the interval.
        seed: of the resamples.
    """
    task: TaskName = "classification" if isinstance(first, ClassPredictions) else "generation"
    metric = metrics(task)[name]
    return Difference.told(_gap(metric, first, second, settings, seed), higher_is_better=False)


def _gap(metric: Metric, first: Predictions, second: Predictions, settings: EvaluateConfig, seed: int) -> Interval:
    one, other = metric.rows(first), metric.rows(second)
    if metric.proportion:
        right, right_there = int(metric.right(one).sum()), int(metric.right(other).sum())
        sides = (right, len(one)), (right_there, len(other))
        if not metric.higher_is_better:
            sides = (len(one) - right, len(one)), (len(other) - right_there, len(other))
        return gap_of_shares(*sides, level=settings.level)
    return gap(
        one,
        other,
        metric.figure,
        higher_is_better=metric.higher_is_better,
        level=settings.level,
        resamples=settings.resamples,
        seed=seed,
    )
