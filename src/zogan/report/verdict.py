"""What the figures say of the question, in one word: better, worse, or no difference proven."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from zogan.evaluate.evaluation import Figure
from zogan.report.metrics import Metric
from zogan.report.record import Record
from zogan.report.words import Words

Outcome = Literal["better", "worse", "unproven"]
_OUTCOMES: dict[bool | None, Outcome] = {True: "better", False: "worse", None: "unproven"}


@dataclass(frozen=True)
class Comparison:
    """One figure before and after, as evaluation.json has it.

    Args:
        before, after: value with low and high end of its interval.
        difference: after minus before, with its interval on the same rows.
        outcome: better or worse where the difference's interval keeps clear of zero.
    """

    metric: Metric
    before: tuple[float, float, float]
    after: tuple[float, float, float]
    difference: tuple[float, float, float]
    outcome: Outcome


def compare(record: Record) -> list[Comparison]:
    """Every figure of the run; the first decides."""
    evaluation = record.evaluation
    assert evaluation.after is not None  # a record has both sides
    assert evaluation.difference is not None
    comparisons = []
    for metric in record.metrics:
        difference = evaluation.difference[metric.name]
        comparisons.append(
            Comparison(
                metric,
                _triple(evaluation.before[metric.name]),
                _triple(evaluation.after[metric.name]),
                _triple(difference),
                _OUTCOMES[difference.better],
            )
        )
    return comparisons


def answer(record: Record, comparison: Comparison, words: Words) -> str:
    """The one sentence that the page is about."""
    metric = comparison.metric
    moved = comparison.difference[0]
    direction = "same" if moved == 0 else "up" if moved > 0 else "down"
    return words(
        f"answer.{comparison.outcome}",
        figure=words.name("metric", metric.name),
        moved=words(
            f"answer.{direction}",
            before=metric.value(comparison.before[0], words),
            after=metric.value(comparison.after[0], words),
        ),
        difference=_difference(comparison, words),
        span=metric.span(*comparison.difference[1:], words),
        level=words.percent(record.evaluation.level, 0),
        rows=words.number(metric.rows),
    )


def _difference(comparison: Comparison, words: Words) -> str:
    """In points where the figure has them; else as it is, and as a share of what it was."""
    metric, before, moved = comparison.metric, comparison.before[0], comparison.difference[0]
    plain = metric.difference(moved, words)
    if metric.scale != "plain" or not before:
        return plain
    percent = words("unit.percent", value=words.signed(100 * moved / before))
    return words("answer.relative", difference=plain, percent=percent)


def _triple(figure: Figure) -> tuple[float, float, float]:
    return figure.value, figure.low, figure.high
