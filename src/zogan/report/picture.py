"""A picture in a file of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from zogan.errors import ConfigError

SUFFIXES = (".svg", ".png", ".pdf")


def check(path: Path) -> None:
    """See that a picture can be written under this name.

    Raises:
        ConfigError: its suffix is none of `SUFFIXES`, or its folder is not there.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigError(
            f"{path.suffix or 'no suffix'} is no kind of picture", where=str(path), todo=f"One of {', '.join(SUFFIXES)}"
        )
    if not path.absolute().parent.is_dir():
        raise ConfigError("no such folder", where=str(path.parent), todo="Make it, or name another")


@contextmanager
def picture(path: Path, width: float, height: float) -> Iterator[Figure]:
    """Inside, a figure is drawn; then it is written. The same drawing makes the same SVG.

    Args:
        path: the file; its suffix says of which kind.
        width: inches.
        height: inches.

    Raises:
        ConfigError: a suffix that none can be written under.
    """
    check(path)
    with matplotlib.rc_context({"svg.hashsalt": "zogan"}):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        yield figure
        figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix.lower() == ".svg" else None)
