"""The section on overfitting: the gap between training rows and others, at the end and over training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup
from matplotlib.ticker import MaxNLocator

from zogan.evaluate.evaluation import Evaluation, Overfitting
from zogan.report.metrics import Metric
from zogan.report.svg import AFTER, INK, SOFT, bare, element, figure_of
from zogan.report.words import Words

_WIDTH, _HEIGHT = 460, 190


@dataclass(frozen=True)
class Shown:
    """The gap in a sentence, and over the epochs as a picture where there were any."""

    sentence: str
    picture: Markup | None


def overfitting(evaluation: Evaluation, epochs: Sequence[Mapping[str, Any]], words: Words) -> Shown | None:
    """None where it was not measured.

    Args:
        evaluation: the run's.
        epochs: of metrics.jsonl, with `train_loss` and `validation_loss`, nats.
        words: of the language.
    """
    found = evaluation.overfitting
    if found is None:
        return None
    name = next((info.name for info in evaluation.metrics if info.name in found.figures), None)
    if name is None:
        return None
    metric, learnt = Metric(name), found.figures[name]
    gap = learnt.gap
    sentence = words(
        f"overfitting.{'shown' if gap.better is False else 'none'}",
        training=words.number(found.rows),
        figure=words.name("metric", name),
        learnt=metric.value(learnt.training, words),
        held_out=metric.value(learnt.held_out, words),
        gap=metric.difference(gap.value, words).removeprefix("+"),
        level=words.percent(evaluation.level, 0),
        span=metric.span(gap.low, gap.high, words),
    )
    return Shown(sentence, Markup(chart(found, epochs, words)) if epochs else None)


def chart(found: Overfitting, epochs: Sequence[Mapping[str, Any]], words: Words) -> str:
    """The gap in the loss by epoch, and at the end that of the kept model on the test rows with its interval."""
    figure = figure_of(_WIDTH, _HEIGHT)
    axes = figure.add_axes((52 / _WIDTH, 42 / _HEIGHT, 290 / _WIDTH, 122 / _HEIGHT))
    bare(axes, bottom=True, left=True, grid="y")
    axes.axhline(0, color=SOFT, linewidth=1, linestyle="--")
    across = [float(one["epoch"]) for one in epochs]
    axes.plot(
        across,
        [float(one["validation_loss"]) - float(one["train_loss"]) for one in epochs],
        color=AFTER,
        linewidth=2,
        marker="o",
        markersize=4,
    )
    gap, place = found.loss.gap, across[-1] + 0.5
    axes.plot([place, place], [gap.low, gap.high], color=INK, linewidth=4, alpha=0.35, solid_capstyle="round")
    axes.plot([place], [gap.value], color=INK, marker="o", markersize=6)
    axes.annotate(
        words("overfitting.end"),
        (place, gap.value),
        (10, 0),
        textcoords="offset points",
        va="center",
        color=INK,
        size=12,
    )
    axes.set_xlim(min(across) - 0.3, place + 0.2)
    axes.xaxis.set_major_locator(MaxNLocator(min(8, len(across)), integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.set_xlabel(words("chart.epoch"), color=SOFT, size=12)
    axes.set_title(words("chart.gap"), loc="left", color=SOFT, size=12, x=-0.1, pad=6, fontweight="normal")
    return element(figure, "overfitting", words("chart.overfitting"))
