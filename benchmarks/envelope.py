"""What each method reaches by when: its lower envelope over all settings, a table, ratios, and a plot."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

OURS, FULL, LORA = "ours", "full", "lora"


@dataclass(frozen=True)
class Measure:
    """The figure on held-out rows.

    Attributes:
        name: with its unit.
        lower: whether less is better.
        factor, less: what counts as near the best: the best times `factor`, less `less`.
    """

    name: str
    lower: bool
    factor: float = 1.0
    less: float = 0.0

    def near(self, best: float) -> float:
        """The figure that is near enough to the best."""
        return best * self.factor - self.less

    def better(self, one: float, other: float) -> bool:
        """Whether one figure is better than another."""
        return one < other if self.lower else one > other


LOSS = Measure("loss, nats", lower=True, factor=1.02)
ACCURACY = Measure("accuracy", lower=False, less=0.005)


@dataclass(frozen=True)
class Reached:
    """An epoch's end of one setting; medians over its repeats.

    Attributes:
        seconds: whole time, selection and cache included.
        figure: on the held-out rows.
        peak_bytes, file_bytes, trainable: of the cell.
        setting: in words.
    """

    seconds: float
    figure: float
    peak_bytes: int
    file_bytes: int
    trainable: int
    setting: str


def reached(setting: str, cells: Sequence[Mapping[str, Any]]) -> list[Reached]:
    """The epochs of a setting's repeats, as curve_cell.py prints them."""
    epochs = zip(*(cell["points"] for cell in cells), strict=True)
    first = 0 if "head start" in setting else 1  # a fitted head has a figure before the first step
    return [
        Reached(
            statistics.median(point["seconds"] for point in points),
            statistics.median(point["figure"] for point in points),
            max(point["peak_bytes"] for point in points),
            cells[0]["file_bytes"],
            cells[0]["trainable"],
            f"{setting}, epoch {number}",
        )
        for number, points in enumerate(epochs, first)
    ]


def envelope(points: Sequence[Reached], measure: Measure) -> list[Reached]:
    """Those points before which nothing as good was reached, by time."""
    kept: list[Reached] = []
    for point in sorted(points, key=lambda point: point.seconds):
        if not kept or measure.better(point.figure, kept[-1].figure):
            kept.append(point)
    return kept


def first(points: Sequence[Reached], target: float, measure: Measure) -> Reached | None:
    """The first point of an envelope that is as good as the target."""
    return next((point for point in points if not measure.better(target, point.figure)), None)


def ratios(methods: Mapping[str, Sequence[Reached]], measure: Measure) -> dict[str, float | None]:
    """Ours over the peers': time to their figure, and peak of each one's best; None where ours does not reach it.

    The figure is LoRA's best, and what is near full fine-tuning's best; the time of each is its first there.
    """
    kept = {name: envelope(points, measure) for name, points in methods.items() if points}
    found: dict[str, float | None] = {}
    if OURS not in kept:
        return found
    for other in (LORA, FULL):
        if other not in kept:
            continue
        best = kept[other][-1]
        target = best.figure if other == LORA else measure.near(best.figure)
        ours, theirs = first(kept[OURS], target, measure), first(kept[other], target, measure)
        name = f"time ours/{other} to " + ("its best" if other == LORA else "near its best")
        found[name] = ours.seconds / theirs.seconds if ours and theirs else None
        found[f"peak ours/{other}"] = kept[OURS][-1].peak_bytes / best.peak_bytes
    return found


def shown(found: Mapping[str, float | None]) -> str:
    return "  ".join(f"{name} {'not reached' if ratio is None else f'{ratio:.2f}'}" for name, ratio in found.items())


def table(methods: Mapping[str, Sequence[Reached]], measure: Measure) -> str:
    """Each method's envelope as Markdown."""
    lines = [
        f"| method | seconds | {measure.name} | setting | peak MB | file MB | trained |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {method} | {point.seconds:.0f} | {point.figure:.4f} | {point.setting} | {point.peak_bytes / 1e6:.0f} | "
        f"{point.file_bytes / 1e6:.2f} | {point.trainable:,} |"
        for method, points in methods.items()
        for point in envelope(points, measure)
    ]
    return "\n".join(lines) + "\n"


def plot(panels: Mapping[str, tuple[Mapping[str, Sequence[Reached]], Measure]], *paths: Path) -> None:
    """Panels side by side: every point, and each method's envelope as steps; in each file's format."""
    figure = Figure(figsize=(6 * len(panels) + 1, 4.5), layout="constrained")
    for axes, (title, (methods, measure)) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True
    ):
        _draw(axes, title, methods, measure)
    for path in paths:
        figure.savefig(path, dpi=150)


def _draw(axes: Axes, title: str, methods: Mapping[str, Sequence[Reached]], measure: Measure) -> None:
    last = max(point.seconds for points in methods.values() for point in points)
    for number, (method, points) in enumerate(methods.items()):
        kept, colour = envelope(points, measure), f"C{number}"
        times, figures = [point.seconds for point in kept], [point.figure for point in kept]
        axes.scatter([point.seconds for point in points], [point.figure for point in points], 12, colour, alpha=0.35)
        axes.step([*times, last], [*figures, figures[-1]], colour, where="post", label=method)
    axes.set_title(title)
    axes.set_xscale("log")
    axes.set_xlabel("whole time, seconds")
    axes.set_ylabel(f"{measure.name}, held out")
    axes.grid(alpha=0.3)
    axes.legend()


def report(name: str, methods: Mapping[str, Sequence[Reached]], measure: Measure, folder: Path) -> dict[str, Any]:
    """Write table, ratios and plots into a folder, and print what they say."""
    measured = {method: points for method, points in methods.items() if points}
    found = ratios(measured, measure)
    text = f"### {name}\n\n{table(measured, measure)}\n{shown(found)}\n"
    (folder / f"{name}.md").write_text(text, encoding="utf-8")
    (folder / f"{name}.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    if measured:
        plot({name: (measured, measure)}, folder / f"{name}.svg", folder / f"{name}.png")
    print(text)
    return found
