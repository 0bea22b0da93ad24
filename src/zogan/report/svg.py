"""A matplotlib figure as an SVG element that stands in the page and takes the page's colours and font."""

from __future__ import annotations

import io
import re
import warnings
from html import escape
from typing import Literal

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

# Stand-ins that no mixture of theirs equals: each becomes the page's variable, so that dark mode and print recolour.
INK, SOFT, LINE, BEFORE, AFTER, PAPER = "#100001", "#100002", "#100003", "#100004", "#100005", "#100006"
_VARIABLES = {INK: "ink", SOFT: "soft", LINE: "line", BEFORE: "before", AFTER: "after", PAPER: "paper"}


def figure_of(width: float, height: float) -> Figure:
    """An empty figure, in the units of the SVG."""
    figure = Figure(figsize=(width / 72, height / 72), facecolor="none")
    FigureCanvasSVG(figure)
    return figure


def bare(axes: Axes, *, bottom: bool = False, left: bool = False, grid: Literal["both", "y"] | None = None) -> None:
    """Take from a chart what says nothing.

    Args:
        axes: of the chart.
        bottom: whether it keeps a line and labels below.
        left: whether it keeps labels at the left; a line too, where the grid runs both ways.
        grid: faint lines behind what is drawn, across alone ("y") or both ways.
    """
    lines = {"bottom": bottom, "left": left and grid == "both"}
    axes.set_facecolor("none")
    for side, spine in axes.spines.items():
        spine.set_visible(lines.get(side, False))
        spine.set_color(LINE)
    axes.tick_params(length=0, labelsize=11, labelcolor=SOFT, labelbottom=bottom, labelleft=left)
    if not bottom:
        axes.set_xticks([])
    if not left:
        axes.set_yticks([])
    if grid is not None:
        axes.grid(axis=grid, color=LINE, linewidth=0.6)
        axes.set_axisbelow(True)


def element(figure: Figure, name: str, description: str, *, scrolls: bool = False) -> str:
    """The figure as an element for HTML: no fixed colours or fonts, own ids, the same bytes each time.

    Args:
        figure: drawn with this module's colours.
        name: goes before each id, so that no two pictures of a page share one.
        description: what it shows, for those who do not see it.
        scrolls: on a narrow screen it is scrolled, rather than made too small to read.
    """
    buffer = io.StringIO()
    with warnings.catch_warnings(), matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "zogan"}):
        # The browser draws the text: that matplotlib's own font lacks a letter matters to nobody.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    for stand_in, variable in _VARIABLES.items():
        svg = svg.replace(stand_in, f"var(--{variable})")
    svg = re.sub(r"font: (?:(bold|\d+) )?([\d.]+)px [^;\"]*", _font, svg)
    svg = re.sub(r"font-family: [^;\"]*;? ?", "", svg)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = svg.replace("url(#", f"url(#{name}-").replace('xlink:href="#', f'href="#{name}-')
    size = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    assert size is not None
    least = f"min-width: {float(size[1]) * 0.8:.0f}px; " if scrolls else ""
    style = f"{least}max-width: {float(size[1]) * 1.2:.0f}px"
    opening = (
        f'<svg class="chart" viewBox="{size[0][9:-1]}" style="{style}" role="img" aria-label="{escape(description)}">'
    )
    return opening + svg[svg.index(">") + 1 :]


def _font(match: re.Match[str]) -> str:
    weight = f"font-weight: {match[1]}; " if match[1] else ""
    return f"{weight}font-size: {match[2]}px"
