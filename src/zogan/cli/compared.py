"""A comparison, as `zogan compare` prints it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from zogan.cli.tables import table

if TYPE_CHECKING:
    from rich.table import Table

    from zogan.evaluate.comparison.result import Compared, Comparison, PartComparison, RowDifference, SideInfo
    from zogan.report.words import Words

_BETTER = {True: "B is better", False: "A is better", None: "not proven"}
_SHOWN = 60
"""Characters of a text in a table."""


def compared(found: Comparison) -> list[Table | str]:
    """Figures, parts of the rows, who had what right, and the rows that differ."""
    from zogan.report.words import Words

    words = Words("en")
    level = f"{words.percent(found.level, 0)} interval"
    columns = ("A", "B", "B − A", level, "p", "")
    rows = [(words.name("metric", one.metric), *_figures(one, words), _proven(one)) for one in found.metrics]
    shown: list[Table | str] = [f"{name}: {_named(side)}" for name, side in (("A", found.a), ("B", found.b))]
    shown.append(table(("", *columns), rows, title=f"on {found.rows:,} test rows"))
    for name, parts in (("slice", found.slices), ("label", found.labels)):
        if parts:
            cells = list(_parts(parts, found.level, words))
            shown.append(table((name, "rows", "", *columns[:-2], "p (Holm)", ""), cells))
    for one in found.counts:
        told = f"both {one.both_right:,}, A alone {one.a_alone:,}, B alone {one.b_alone:,}, neither {one.both_wrong:,}"
        shown.append(f"right ({words.name('metric', one.metric)}): {told}")
    if found.churn is not None:
        answer = {"classification": "label", "generation": "answer"}[found.task]
        counted = f"{found.churn.changed:,} of {found.churn.rows:,} rows have another {answer}"
        shown.append(f"churn: {words.percent(found.churn.share)} ({counted})")
    shown += [f"note: {note}" for note in found.notes]
    if found.differences:
        shown.append(_differences(found.differences, found.differing, words))
    return shown


def _named(side: SideInfo) -> str:
    patch = f", patch {side.patch[:12]}" if side.patch else ""
    return f"{side.name} ({side.kind}{patch})"


def _figures(one: Compared, words: Words, *, adjusted: bool = False) -> tuple[str, ...]:
    from zogan.report.metrics import Metric

    metric, difference = Metric(one.metric, one.higher_is_better), one.difference
    p_value = one.p_adjusted if adjusted and one.p_adjusted is not None else one.p_value
    return (
        metric.value(one.a, words),
        metric.value(one.b, words),
        metric.difference(difference.value, words),
        metric.span(difference.low, difference.high, words),
        "< 0.001" if p_value < 0.001 else f"{p_value:.3f}",
    )


def _proven(one: Compared, error: float = 1.0) -> str:
    """Which is better; not proven where the adjusted p-value says that it is chance, of so many parts."""
    return _BETTER[one.difference.better if (one.p_adjusted or 0.0) < error else None]


def _parts(parts: Sequence[PartComparison], level: float, words: Words) -> Iterator[tuple[str, ...]]:
    for part in parts:
        for index, one in enumerate(part.metrics):
            name = (part.name, f"{part.rows:,}") if index == 0 else ("", "")
            yield (
                *name,
                words.name("metric", one.metric),
                *_figures(one, words, adjusted=True),
                _proven(one, 1 - level),
            )


def _differences(differences: Sequence[RowDifference], differing: int, words: Words) -> Table:
    from zogan.evaluate.comparison.result import ClassDifference

    rows = []
    for one in differences:
        if isinstance(one, ClassDifference):
            a, b = (
                f"{label} ({words.number(probability, 2)})"
                for label, probability in ((one.a, one.probability_a), (one.b, one.probability_b))
            )
            rows.append((one.place, _short(one.text), one.truth, a, b, (one.better or "–").upper()))
        else:
            a, b = (
                f"{words.number(loss, 3)} {_short(answer)}".strip()
                for answer, loss in ((one.a, one.loss_a), (one.b, one.loss_b))
            )
            rows.append((one.place, _short(one.prompt), _short(one.reference), a, b, (one.better or "–").upper()))
    titles = {
        True: ("right label", "A (p of the right label)", "B (p of the right label)"),
        False: ("reference", "A (loss, answer)", "B (loss, answer)"),
    }[isinstance(differences[0], ClassDifference)]
    title = f"{len(differences):,} of {differing:,} rows that differ, the clearest first"
    return table(("row", "text", *titles, "better"), rows, title=title)


def _short(text: str | None) -> str:
    flat = " ".join((text or "").split())
    return flat if len(flat) <= _SHOWN else flat[: _SHOWN - 1] + "…"
