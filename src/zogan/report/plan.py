"""A protocol's plan as a picture: rows that a true difference takes, and the rows at hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from zogan.evaluate.protocol.plan import Plan
from zogan.evaluate.statistics import Mean, RightOrWrong
from zogan.report.metrics import Metric
from zogan.report.picture import picture
from zogan.report.words import Words

_LINE, _OTHER = "#2f6f4f", "#8a8f98"
_STYLES = {0.5: (_OTHER, 1.2, "-."), 1.0: (_LINE, 2.2, "-"), 2.0: (_OTHER, 1.2, ":")}
"""Colour, width and dashes, by how often the plan's spread."""
_POINTS = 24


def draw(plan: Plan, path: Path) -> None:
    """Write a picture of rows against the true difference, where rows differ half as much and twice as much too.

    Args:
        plan: what to draw.
        path: the file; its suffix says of which kind. The same plan makes the same SVG.

    Raises:
        ConfigError: a suffix that none can be written under.
    """
    metric, words = Metric(plan.metric), Words("en")
    scale = 1.0 if plan.in_deviations else metric.shown(1.0)
    ends = [one.difference for one in plan.table] + [one for one in (plan.smallest,) if one is not None]
    across = np.linspace(plan.to_exceed, max(ends), _POINTS + 1)[1:]
    with picture(path, 7, 4.2) as figure:
        axes = figure.add_subplot()
        for times in _STYLES:
            design = _times(plan.spread.design, times)
            found = [(x * scale, rows) for x in across.tolist() if (rows := plan.rows_at(x, design)) is not None]
            colour, width, dashes = _STYLES[times]
            said = _said(design, metric, words, plan.in_deviations)
            axes.plot(*zip(*found, strict=True), label=said, color=colour, linewidth=width, linestyle=dashes)
        axes.axhline(plan.rows, color=_LINE, linewidth=1, linestyle="--")
        at_hand, place = f" {plan.rows:,} rows at hand", (0, plan.rows)
        axes.annotate(at_hand, place, xycoords=("axes fraction", "data"), ha="left", va="top", fontsize=9)
        if plan.smallest is not None:
            axes.plot([plan.smallest * scale], [plan.rows], marker="o", markersize=8, color=_LINE)
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda rows, _: f"{rows:,.0f}")
        unit = "standard deviations of a row's difference" if plan.in_deviations else _unit(metric)
        axes.set_xlabel(f"true improvement in {words.name('metric', plan.metric)}, {unit}")
        axes.set_ylabel(f"test rows to show it, {words.percent(plan.power, 0)} of the time")
        axes.legend(frameon=False, fontsize=9)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)


def _times(design: RightOrWrong | Mean, times: float) -> RightOrWrong | Mean:
    if isinstance(design, RightOrWrong):
        return RightOrWrong(min(design.discordant * times, 1.0))
    return Mean(design.deviation * times)


def _said(design: RightOrWrong | Mean, metric: Metric, words: Words, in_deviations: bool) -> str:
    if isinstance(design, RightOrWrong):
        return f"models disagree on {words.percent(design.discordant, 0)} of the rows"
    if in_deviations:
        return {0.5: "half the deviation", 1.0: "the deviation", 2.0: "twice the deviation"}[design.deviation]
    return f"deviation {words.number(metric.shown(design.deviation), 3)}"


def _unit(metric: Metric) -> str:
    return "in the figure's unit" if metric.scale == "plain" else "points"
