"""Where a patch lies, as a picture: layers by kinds of matrix, by the share of weights and the size of the change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from zogan.errors import ZoganError
from zogan.patch.places import Cell, Places
from zogan.report.picture import check, picture
from zogan.report.words import Words

_LABELLED = 16
"""Fields of more layers than this are too narrow for a number."""
_LIGHT = 0.55
"""Share of the largest figure above which a field is so dark that its number must be light."""


def draw(where: Places, path: Path) -> None:
    """Write a heat map of the share of weights that changed, and one of |new - old| / |old|, in percent.

    Args:
        where: the changed weights.
        path: the file; its suffix says of which kind. The same patch makes the same SVG.

    Raises:
        ConfigError: a suffix that none can be written under.
        ZoganError: no matrix of a layer changed.
    """
    check(path)
    if not where.cells:
        raise ZoganError("no matrix of a layer changed: there is nothing to draw", where=str(path))
    panels: dict[str, Callable[[Cell], float | None]] = {
        "weights that changed, %": lambda cell: cell.share,
        "size of their change, |new − old| / |old|, %": lambda cell: cell.size,
    }
    height = 0.9 + 0.34 * len(where.kinds)
    with picture(path, 2.6 + 0.52 * max(len(where.layers), 8), 2 * height) as figure:
        for axes, (title, of) in zip(figure.subplots(2, 1), panels.items(), strict=True):
            _panel(axes, where, title, of)


def _panel(axes: Axes, where: Places, title: str, of: Callable[[Cell], float | None]) -> None:
    words = Words("en")
    table = np.full((len(where.kinds), len(where.layers)), np.nan)
    for (kind, layer), cell in where.cells.items():
        value = of(cell)
        table[where.kinds.index(kind), where.layers.index(layer)] = np.nan if value is None else 100 * value
    most = float(np.nanmax(table, initial=0.0)) or 1.0
    axes.imshow(table, cmap="Greens", vmin=0, vmax=most, aspect="auto")
    axes.set_yticks(range(len(where.kinds)), where.kinds)
    step = max(1, -(-len(where.layers) // _LABELLED))
    shown = range(0, len(where.layers), step)
    axes.set_xticks(shown, [str(where.layers[place] + 1) for place in shown])
    axes.set_xlabel("layer (1 is nearest to the input)")
    axes.set_title(title, loc="left", fontsize=10)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    if step > 1:
        return
    for (row, column), value in np.ndenumerate(table):
        if np.isfinite(value):
            colour = "white" if value > _LIGHT * most else "black"
            axes.text(
                column,
                row,
                words.number(value, 2 if value < 100 else 0),
                color=colour,
                ha="center",
                va="center",
                fontsize=8,
            )
