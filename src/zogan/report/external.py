"""The section on external sets: the figures there, and what they drop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from zogan.evaluate.evaluation import Difference, Evaluation, ExternalEvaluation, Figure
from zogan.report.metrics import Metric
from zogan.report.words import Words

Say = Callable[..., Any]


@dataclass(frozen=True)
class Cell:
    """A value and its interval, said."""

    value: str
    interval: str


@dataclass(frozen=True)
class Line:
    """A figure on an external set: before, after, their difference there, and the drop of the tuned model."""

    metric: str
    before: Cell
    after: Cell
    difference: Cell
    drop: Cell


@dataclass(frozen=True)
class Shown:
    """An external set: its name and note, its lines, and what the first figure says in a sentence."""

    name: str
    note: str | None
    rows: int
    left_out: int
    lines: tuple[Line, ...]
    sentence: Any


def external(evaluation: Evaluation, words: Words, say: Say, mark: Callable[[str], Any] = str) -> Sequence[Shown]:
    """Each external set on which the model after was measured.

    Args:
        evaluation: the run's.
        words: of the language.
        say: fills a text of the catalogue.
        mark: sets apart what is the user's own.
    """
    return [_shown(one, words, say, mark) for one in evaluation.external if one.after and one.drop.after]


def _shown(one: ExternalEvaluation, words: Words, say: Say, mark: Callable[[str], Any]) -> Shown:
    assert one.after is not None
    assert one.difference is not None
    assert one.drop.after is not None
    lines = []
    for info in one.metrics:
        metric, name = Metric(info.name, info.higher_is_better), info.name
        lines.append(
            Line(
                name,
                _level(metric, one.before[name], words),
                _level(metric, one.after[name], words),
                _moved(metric, one.difference[name], words),
                _moved(metric, one.drop.after[name], words),
            )
        )
    figure = one.metrics[0].name
    sentence = drop_sentence(one.name, figure, one.drop.after[figure], words, say, mark)
    return Shown(one.name, one.note, one.rows, one.left_out, tuple(lines), sentence)


def _level(metric: Metric, figure: Figure, words: Words) -> Cell:
    return Cell(metric.value(figure.value, words), metric.interval(figure.low, figure.high, words))


def _moved(metric: Metric, figure: Figure, words: Words) -> Cell:
    return Cell(metric.difference(figure.value, words), metric.span(figure.low, figure.high, words))


def drop_sentence(
    name: str, figure: str, drop: Difference, words: Words, say: Say, mark: Callable[[str], Any] = str
) -> Any:
    """What a figure drops on an external set.

    Args:
        name: of the set.
        figure: its name.
        drop: of the model after.
        words: of the language.
        say: fills a text of the catalogue.
        mark: sets apart what is the user's own.
    """
    metric = Metric(figure)
    kind = {False: "worse", True: "better", None: "even"}[drop.better]
    moved = metric.difference(abs(drop.value), words).removeprefix("+")
    span = metric.span(drop.low, drop.high, words)
    return say(f"external.{kind}", name=mark(name), figure=words.name("metric", figure), drop=moved, span=span)
