"""The report's pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from zogan.patch.places import Places
from zogan.report.comparison import Comparison
from zogan.report.svg import AFTER, BEFORE, INK, PAPER, SOFT, bare, element, figure_of
from zogan.report.words import Words

_STRIP = 96
"""Height of one figure's strip."""
_LABELLED_LAYERS = 14
"""Cells of more layers than this are too narrow for a number."""


def comparison(comparisons: Sequence[Comparison], words: Words) -> str:
    """Before and after with their intervals, one strip a figure."""
    width, height = 460, _STRIP * len(comparisons)
    figure = figure_of(width, height)
    for index, item in enumerate(comparisons):
        axes = figure.add_axes((72 / width, 1 - (_STRIP * index + 70) / height, 300 / width, 44 / height))
        bare(axes, bottom=True)
        for row, (side, colour) in enumerate((("before", BEFORE), ("after", AFTER))):
            value, low, high = (item.metric.shown(part) for part in getattr(item, side))
            axes.plot([low, high], [row, row], color=colour, linewidth=5, solid_capstyle="round", alpha=0.35)
            axes.plot([value], [row], marker="o", markersize=8, color=colour)
            _text(axes, -0.03, row, words(side), x_axes=True, ha="right", color=SOFT, size=12)
            shown = item.metric.value(getattr(item, side)[0], words)
            _text(axes, 1.03, row, shown, x_axes=True, ha="left", color=INK, size=13, weight="bold")
        axes.set_ylim(1.6, -0.6)
        axes.set_xlim(*_range(item, comparisons))
        axes.xaxis.set_major_locator(MaxNLocator(5))
        name = words.name("metric", item.metric.name)
        unit = words("chart.percent") if item.metric.scale == "share" else ""
        axes.text(-0.24, 1.22, name + unit, transform=axes.transAxes, color=INK, size=12, weight="bold")
    return element(figure, "comparison", words("chart.comparison"))


def places(where: Places, words: Words) -> str:
    """Share of changed weights, layers across and kinds of matrix down."""
    return _map(where, {place: cell.share for place, cell in where.cells.items()}, "places", words, digits=2)


def sizes(where: Places, words: Words) -> str:
    """Size of the change beside the old values, |new - old| / |old|, layers across and kinds of matrix down."""
    return _map(where, {place: cell.size or 0.0 for place, cell in where.cells.items()}, "sizes", words, digits=1)


def _map(where: Places, figures: Mapping[tuple[str, int], float], name: str, words: Words, *, digits: int) -> str:
    """A field for each kind and layer: the larger its figure, which is written in percent, the stronger its colour."""
    layers, kinds = where.layers, where.kinds
    label = 12 + 6.6 * max(map(len, kinds))
    cell_width = min(46.0, max(13.0, 440 / len(layers)))
    cell_height = 30
    width, height = label + cell_width * len(layers) + 4, cell_height * len(kinds) + 44
    figure = figure_of(width, height)
    axes = figure.add_axes((label / width, 40 / height, 1 - (label + 4) / width, cell_height * len(kinds) / height))
    bare(axes)
    most = max(figures.values()) or 1.0
    for row, kind in enumerate(kinds):
        _text(axes, -6 / (width - label - 4), row, kind, x_axes=True, ha="right", color=INK, size=12)
        for column, layer in enumerate(layers):
            value = figures.get((kind, layer), 0.0)
            strength = value / most
            axes.add_patch(
                Rectangle(
                    (column - 0.46, row - 0.45), 0.92, 0.9, facecolor=AFTER, alpha=0.06 + 0.94 * strength, linewidth=0
                )
            )
            if len(layers) <= _LABELLED_LAYERS:
                shown = words.number(value * 100, digits)
                _text(axes, column, row, shown, ha="center", color=PAPER if strength > 0.55 else INK, size=11)
    step = max(1, -(-len(layers) // 16))
    for column, layer in enumerate(layers):
        if column % step == 0 or len(layers) <= _LABELLED_LAYERS:
            _text(axes, column, len(kinds) - 0.1, str(layer + 1), ha="center", color=SOFT, size=11)
    middle = (len(layers) - 1) / 2
    _text(axes, middle, len(kinds) + 0.55, words("chart.layer"), ha="center", color=SOFT, size=12)
    axes.set_xlim(-0.5, len(layers) - 0.5)
    axes.set_ylim(len(kinds) - 0.5, -0.5)
    return element(figure, name, words(f"chart.{name}"), scrolls=True)


def training(steps: Sequence[Any], epochs: Sequence[Any], words: Words) -> str:
    """Loss on training rows by step, and on validation rows at the end of each epoch."""
    width, height = 460, 240
    figure = figure_of(width, height)
    axes = figure.add_axes((46 / width, 44 / height, 340 / width, 176 / height))
    bare(axes, bottom=True, left=True, grid="y")
    last = max([step["epoch"] for step in steps] + [entry["epoch"] for entry in epochs])
    per_epoch = max(1, max((step["step"] for step in steps), default=1) / max(1, last))
    smooth = smoothed([step["loss"] for step in steps])
    if smooth:
        across = [step["step"] / per_epoch for step in steps]
        keep = max(1, len(steps) // 300)
        axes.plot(across[::keep], smooth[::keep], color=BEFORE, linewidth=1.8)
        _text(axes, across[-1] + last * 0.02, smooth[-1], words("chart.train"), ha="left", color=SOFT, size=12)
    if epochs:
        across, down = [entry["epoch"] for entry in epochs], [entry["validation_loss"] for entry in epochs]
        axes.plot(across, down, color=AFTER, linewidth=2.2, marker="o", markersize=5)
        best = [index for index, entry in enumerate(epochs) if entry.get("best")]
        if best:
            axes.plot([across[best[-1]]], [down[best[-1]]], marker="o", markersize=12, color=AFTER, fillstyle="none")
        clear = smooth and abs(smooth[-1] - down[-1]) < 0.08 * (max(smooth + down) - min(smooth + down))
        rise = 0.08 * (max(smooth + down) - min(smooth + down)) * (1 if down[-1] >= smooth[-1] else -1) if clear else 0
        _text(
            axes, across[-1] + last * 0.03, down[-1] + rise, words("chart.validation"), ha="left", color=AFTER, size=12
        )
    axes.set_xlim(0, last * 1.02)
    axes.xaxis.set_major_locator(MaxNLocator(min(8, last) + 1, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlabel(words("chart.epoch"), color=SOFT, size=12)
    axes.set_title(words("chart.loss"), loc="left", color=SOFT, size=12, x=-0.1, pad=6, fontweight="normal")
    return element(figure, "training", words("chart.training"))


def _range(item: Comparison, comparisons: Sequence[Comparison]) -> tuple[float, float]:
    """Ends of the axis: shares have one in common, so that their strips compare; any other figure has its own."""
    alike = [other for other in comparisons if other.metric.scale == item.metric.scale == "share"] or [item]
    ends = [other.metric.shown(end) for other in alike for side in (other.before, other.after) for end in side]
    margin = 0.08 * (max(ends) - min(ends)) or 1.0
    return min(ends) - margin, max(ends) + margin


def smoothed(losses: Sequence[float]) -> list[float]:
    """Running mean over a fiftieth of the steps: single batches jump too much to read."""
    smooth: list[float] = []
    keep = 1 - 1 / max(1, len(losses) / 50)
    for loss in losses:
        smooth.append(loss if not smooth else keep * smooth[-1] + (1 - keep) * loss)
    return smooth


def _text(axes: Axes, x: float, y: float, text: str, *, x_axes: bool = False, **style: Any) -> None:
    transform = axes.get_yaxis_transform() if x_axes else axes.transData
    axes.text(x, y, text, transform=transform, va="center_baseline", parse_math=False, clip_on=False, **style)
