"""Estimates as a picture: what each method takes of time and memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from zogan.report.picture import picture
from zogan.train.estimator import Estimate


def draw(estimates: Sequence[Estimate], path: Path, *, layers: int) -> None:
    """Write a picture of time against memory, a point a setting.

    Args:
        estimates: what to draw.
        path: the file; its suffix says of which kind.
        layers: of the model.

    Raises:
        ConfigError: a suffix that none can be written under.
    """
    with picture(path, 7, 4.2) as figure:
        axes = figure.add_subplot()
        unit, name = (60.0, "minutes") if max(one.seconds for one in estimates) > 300 else (1.0, "seconds")
        for one in estimates:
            x, y = one.peak_bytes / 1e9, one.seconds / unit
            axes.plot(
                [x], [y], marker="o", markersize=8, color="#2f6f4f" if one.setting.method == "sparse" else "#8a8f98"
            )
            axes.annotate(one.setting.label(layers), (x, y), textcoords="offset points", xytext=(8, 4), fontsize=9)
        axes.set_xlim(left=0)
        axes.margins(x=0.25, y=0.15)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("peak memory, GB")
        axes.set_ylabel(f"time to tune, {name}")
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
