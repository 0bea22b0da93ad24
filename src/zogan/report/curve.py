"""The section on the learning curve: the figure at a quarter, half and all of the rows, and what more would bring."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from zogan.evaluate.curve import Curve
from zogan.report.metrics import Metric
from zogan.report.svg import AFTER, INK, SOFT, bare, element, figure_of
from zogan.report.words import Words

_WIDTH, _HEIGHT = 400, 230


@dataclass(frozen=True)
class Shown:
    """What twice the labels would bring in a sentence, and the curve as a picture."""

    sentence: str
    caption: str
    runs: int
    picture: Markup


def curve(found: Curve | None, words: Words) -> Shown | None:
    """None where no curve was asked for."""
    if found is None:
        return None
    caption = words("curve.caption", figure=words.name("metric", found.metric), level=words.percent(found.level, 0))
    return Shown(sentence(found, words), caption, found.runs, Markup(chart(found, words)))


def sentence(found: Curve, words: Words) -> str:
    """Doubling the labels would bring about 1.2 points (95 % interval 0.2 to 2.0 points)."""
    metric = Metric(found.metric)
    if found.gain is None:
        return words("curve.none", reason=words(f"curve.reason.{found.why}"))
    return words(
        "curve.gain",
        gain=metric.difference(found.gain.value, words).removeprefix("+"),
        figure=words.name("metric", found.metric),
        level=words.percent(found.level, 0),
        span=metric.span(found.gain.low, found.gain.high, words),
    )


def chart(found: Curve, words: Words) -> str:
    """The figure with its intervals against training rows, which double from mark to mark."""
    metric = Metric(found.metric)
    figure = figure_of(_WIDTH, _HEIGHT)
    axes = figure.add_axes((52 / _WIDTH, 46 / _HEIGHT, 300 / _WIDTH, 156 / _HEIGHT))
    bare(axes, bottom=True, left=True, grid="y")
    axes.plot(range(3), [metric.shown(one.value) for one in found.points], color=AFTER, linewidth=2, marker="o")
    for place, one in enumerate(found.points):
        ends = [metric.shown(one.low), metric.shown(one.high)]
        axes.plot([place, place], ends, color=AFTER, linewidth=4, alpha=0.35, solid_capstyle="round")
    if found.gain is not None:
        sign = 1 if found.higher_is_better else -1
        last = found.points[2].value
        ends = [metric.shown(last + sign * end) for end in (found.gain.low, found.gain.high)]
        axes.plot([2, 3], [metric.shown(last), metric.shown(last + sign * found.gain.value)], color=SOFT, linestyle=":")
        axes.plot([3, 3], ends, color=SOFT, linewidth=4, alpha=0.5, solid_capstyle="round")
    sizes = [*found.sizes, 2 * found.sizes[2]][: 4 if found.gain is not None else 3]
    axes.set_xticks(range(len(sizes)), [words.number(size) for size in sizes])
    axes.set_xlabel(words("curve.rows"), color=SOFT, size=12)
    name = words.name("metric", found.metric) + (words("chart.percent") if metric.scale == "share" else "")
    axes.set_title(name, loc="left", color=INK, size=12, x=-0.1, pad=6, fontweight="normal")
    return element(figure, "curve", words("chart.curve"))
