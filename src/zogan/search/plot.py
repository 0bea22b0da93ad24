"""Quality against cost, a point a setting."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zogan.report.picture import picture
from zogan.search.result import Found, Trial

_CHOSEN, _OTHER = "#2f6f4f", "#8a8f98"


def draw(found: Found, path: Path, *, score: str) -> None:
    """Write a picture of score against seconds and against trained weights, with the frontier of each as steps.

    Args:
        found: what a search found.
        path: the file; its suffix says of which kind.
        score: the name of the score.
    """
    with picture(path, 9, 4.2) as figure:
        left, right = figure.subplots(1, 2, sharey=True)
        measured = [trial for trial in found.trials if trial.status == "measured"]
        _panel(left, found, [(trial, _known(trial.seconds)) for trial in measured])
        _panel(right, found, [(trial, _known(trial.trainable)) for trial in measured])
        left.set_xlabel("selection and training, seconds")
        right.set_xlabel("trained weights")
        left.set_ylabel(f"{score} (validation rows)")


def _panel(axes: Any, found: Found, costs: Sequence[tuple[Trial, float]]) -> None:
    for trial, cost in costs:
        pick, best = trial == found.pick, trial == found.best
        axes.plot(
            [cost], [trial.score], marker="o", markersize=9 if pick else 5, color=_CHOSEN if pick else _OTHER, zorder=3
        )
        if best:
            axes.errorbar([cost], [trial.score], yerr=trial.error, fmt="none", ecolor=_OTHER, capsize=3, zorder=2)
        if name := "pick" if pick else "as configured" if trial == found.baseline else "best" if best else "":
            axes.annotate(name, (cost, _known(trial.score)), textcoords="offset points", xytext=(8, 6), fontsize=9)
    steps: list[tuple[float, float]] = []
    for trial, cost in sorted(costs, key=lambda one: (one[1], _known(one[0].score))):
        if not steps or _known(trial.score) < steps[-1][1]:
            steps.append((cost, _known(trial.score)))
    axes.plot(*zip(*steps, strict=True), drawstyle="steps-post", color=_CHOSEN, linewidth=1, zorder=1)
    axes.set_xlim(left=0)
    axes.margins(x=0.25, y=0.15)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def _known(figure: float | None) -> float:
    assert figure is not None  # a measured trial has all of its figures
    return figure
