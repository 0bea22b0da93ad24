"""An explanation, as `zogan explain` prints it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from zogan.cli.tables import table

if TYPE_CHECKING:
    from rich.table import Table

    from zogan.evaluate.explanation.result import (
        Cell,
        Explanation,
        Piece,
        RowExplanation,
        Side,
        Smallest,
        Where,
        Worth,
    )
    from zogan.report.words import Words

_GOOD = {True: "does good", False: "does harm", None: "not proven"}
_WHY = {
    "right": "came right, the clearest",
    "wrong": "went wrong, the clearest",
    "uncertain": "least sure",
    "row": "asked for",
    "text": "asked for",
}
_TOKENS = 8
"""Tokens of a row that are shown: those that added or took the most."""
_NEIGHBOURS = 3
_TEXT = 100
"""Characters of a text that are shown."""


def explained(found: Explanation) -> list[Table | str]:
    """Where, worth, the smallest part and rows, each as far as it was looked at."""
    from zogan.report.words import Words

    words = Words("en")
    shown: list[Table | str] = []
    if found.worth is not None:
        shown += [_worth(found.worth, found.where, words), *_told(found.worth, words)]
    elif not found.rows:
        shown.append(_where(found.where, words))
    if found.smallest is not None:
        shown.append(_smallest(found.smallest, words))
    for row in found.rows:
        shown += _row(row, words)
    return [*shown, *(f"not looked at: {name}: {why}" for name, why in found.skipped.items())]


def _where(where: Where, words: Words) -> Table:
    cells = [*where.cells, *([where.vectors] if where.vectors is not None else [])]
    rows = [(_layer(cell.layer), cell.kind, *_cell(cell, words)) for cell in cells]
    return table(("layer (from 1)", "matrix", "changed", "share", "size"), rows, numbers=3)


def _worth(worth: Worth, where: Where, words: Words) -> Table:
    from zogan.report.metrics import Metric

    metric = Metric(worth.metric, worth.higher_is_better)
    rows = []
    for one in (*worth.parts, worth.together):
        own = [cell for cell in where.cells if cell.layer == one.layer and one.part != "all"]
        size = max((cell.size for cell in own if cell.size is not None), default=None)
        rows.append(
            (
                "all" if one.part == "all" else _layer(one.layer),
                f"{one.changed:,}",
                "–" if size is None else words.small_percent(size),
                metric.value(one.without, words),
                metric.difference(one.worth.value, words),
                metric.span(one.worth.low, one.worth.high, words),
                _GOOD[one.worth.better],
            )
        )
    level = f"{words.percent(worth.level, 0)} interval"
    columns = ("layer (from 1)", "changed", "largest change", "without it", "worth", level, "")
    name = words.name("metric", worth.metric)
    return table(columns, rows, title=f"{name} on {worth.rows:,} {worth.split} rows, one layer's changes off at a time")


def _told(worth: Worth, words: Words) -> list[str]:
    from zogan.report.metrics import Metric

    return [f"whole patch: {Metric(worth.metric).value(worth.whole, words)}"]


def _smallest(found: Smallest, words: Words) -> str:
    out = [step.part for step in found.steps if step.kept]
    if not out:
        return "smallest part: the whole patch; no layer can be left out"
    left = ", ".join(map(_part, found.parts)) or "the head alone"
    lines = [
        f"smallest part: {left}: {found.changed:,} weights changed ({words.small_percent(found.density)} of the base), "
        f"a patch of {words.size(found.patch_bytes)}; left out: {', '.join(map(_part, out))}"
    ]
    if found.rule == "no_worse":
        lines.append(
            f"  the whole patch is {found.whole} on {found.rows:,} {found.split} rows, so a part had to be not shown "
            "to be worse there"
        )
    if (one := found.confirmation) is not None:
        said = "confirmed" if one.kept else "NOT confirmed"
        lines.append(f"  {said} on {one.rows:,} test rows: the whole patch is {one.whole}, the part {one.part}")
    return "\n".join(lines)


def _row(row: RowExplanation, words: Words) -> Iterator[Table | str]:
    number = "text" if row.row is None else f"row {row.row:,} ({row.place})"
    target = "" if row.target is None else f", right: {_short(row.target)}"
    yield f"{number}: {_short(row.text)}\n  {_WHY[row.why]}{target}"
    for name, side in (("before", row.before), ("after", row.after)):
        if side is not None:
            yield f"  {name}: {_short(side.answer)}; {_side(side, row.answer, words)}"
    most = sorted(row.pieces, key=lambda piece: -max(abs(piece.after), abs(piece.before or 0.0)))[:_TOKENS]
    columns = ("token", "before", "after")
    yield table(columns, [_piece(piece, words) for piece in most], numbers=2, title="what tokens added, nats")
    for one in row.neighbours[:_NEIGHBOURS]:
        yield f"  like {one.place} ({words.number(one.similarity, 2)}, {_short(one.target)}): {_short(one.text)}"


def _side(side: Side, answer: str, words: Words) -> str:
    return (
        f"log-probability of {_short(answer)!r} {words.number(side.log_probability, 3)}, of padding "
        f"{words.number(side.baseline, 3)}; attributions miss {words.number(abs(side.delta), 4)}"
    )


def _piece(piece: Piece, words: Words) -> tuple[str, str, str]:
    before = "–" if piece.before is None else words.signed(piece.before, 3)
    return piece.text.strip() or "␣", before, words.signed(piece.after, 3)


def _cell(cell: Cell, words: Words) -> tuple[str, str, str]:
    size = "–" if cell.size is None else words.small_percent(cell.size)
    return f"{cell.changed:,}", words.small_percent(cell.share), size


def _layer(layer: int | None) -> str:
    return "outside" if layer is None else str(layer + 1)


def _part(part: str) -> str:
    _, _, layer = part.partition("layer.")
    return f"layer {int(layer) + 1}" if layer else part


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= _TEXT else flat[: _TEXT - 1] + "…"
