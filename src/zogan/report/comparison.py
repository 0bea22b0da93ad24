"""Every figure before and after, as evaluation.json has it."""

from __future__ import annotations

from dataclasses import dataclass

from zogan.evaluate.evaluation import Figure
from zogan.report.metrics import Metric
from zogan.report.record import Record


@dataclass(frozen=True)
class Comparison:
    """One figure before and after.

    Args:
        before, after: value with low and high end of its interval.
        difference: after minus before, with its interval on the same rows.
    """

    metric: Metric
    before: tuple[float, float, float]
    after: tuple[float, float, float]
    difference: tuple[float, float, float]


def compare(record: Record) -> list[Comparison]:
    """Every figure of the run."""
    evaluation = record.evaluation
    assert evaluation.after is not None  # a record has both sides
    assert evaluation.difference is not None
    return [
        Comparison(
            metric,
            _triple(evaluation.before[metric.name]),
            _triple(evaluation.after[metric.name]),
            _triple(evaluation.difference[metric.name]),
        )
        for metric in record.metrics
    ]


def _triple(figure: Figure) -> tuple[float, float, float]:
    return figure.value, figure.low, figure.high
