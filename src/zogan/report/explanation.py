"""A run's explanation, as the page shows it."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from zogan.evaluate.explanation.result import Explanation, PartWorth, RowExplanation, Side, Smallest
from zogan.report import charts
from zogan.report.metrics import Metric
from zogan.report.record import Record
from zogan.report.words import Words

_NUMBERED = 6
"""Tokens of a side that have their number beside them."""
_NEIGHBOURS = 3
_PIECES = 120
"""Tokens that are shown: of a longer text those around the strongest."""


@dataclass(frozen=True)
class WorthLine:
    """One line of the table of layers."""

    name: str
    changed: str
    without: str
    worth: str
    interval: str
    outcome: str
    says: str


@dataclass(frozen=True)
class Token:
    """A token, by how much it speaks: `for`, `against` or `little`.

    Args:
        space: before it.
        strength: beside the strongest of the row, in percent.
        number: nats, with sign.
        numbered: whether the number stands beside it.
    """

    space: str
    text: str
    speaks: str
    strength: int
    number: str
    numbered: bool


@dataclass(frozen=True)
class SideView:
    """One model on a row."""

    name: str
    answer: str
    sentence: str
    tokens: tuple[Token, ...]


@dataclass(frozen=True)
class RowView:
    """A row, what was answered, and training rows alike."""

    title: str
    place: str | None
    text: str
    target: str | None
    answer: str
    sides: tuple[SideView, ...]
    neighbours: tuple[tuple[str, str, str, str], ...]
    cut: str | None


@dataclass(frozen=True)
class View:
    """The section; None or empty where that part was not looked at."""

    sizes: Markup | None
    worth: tuple[WorthLine, ...]
    worth_caption: str
    together: str
    smallest: tuple[str, ...]
    rows: tuple[RowView, ...]


def view(record: Record, words: Words) -> View | None:
    """What explanation.json says of the run's patch; None where there is none of it.

    Args:
        record: the run.
        words: of the page.
    """
    found = record.explanation
    if found is None:
        return None
    lines, caption, together = _worth(found, words)
    return View(
        sizes=Markup(charts.sizes(record.places, words)) if record.places.cells else None,
        worth=lines,
        worth_caption=caption,
        together=together,
        smallest=_smallest(found.smallest, words) if found.smallest is not None else _not_sought(found, words),
        rows=tuple(_row(one, words) for one in found.rows),
    )


def in_short(record: Record, words: Words) -> list[str]:
    """What the changes are worth, which layer's most, and how little would do: each in a sentence, where known."""
    found = record.explanation
    if found is None:
        return []
    told = []
    if (worth := found.worth) is not None:
        metric, best = Metric(worth.metric, worth.higher_is_better), max(worth.parts, key=lambda one: one.worth.value)
        told.append(
            words(
                "explain.most",
                figure=words.name("metric", worth.metric),
                rows=words.number(worth.rows),
                split=words(f"explain.split.{worth.split}"),
                together=metric.difference(worth.together.worth.value, words),
                part=_part(best.part, words),
                worth=metric.difference(best.worth.value, words),
                span=metric.span(best.worth.low, best.worth.high, words),
            )
        )
    if found.smallest is not None:
        told.append(_smallest(found.smallest, words)[0])
    return told


def _not_sought(found: Explanation, words: Words) -> tuple[str, ...]:
    """Why there is no smallest part, where that is for the verdict."""
    if "smallest" not in found.skipped or found.worth is None:
        return ()
    return (words("explain.smallest.none"),)


def _worth(found: Explanation, words: Words) -> tuple[tuple[WorthLine, ...], str, str]:
    worth = found.worth
    if worth is None:
        return (), "", ""
    metric = Metric(worth.metric, worth.higher_is_better)

    def line(one: PartWorth) -> WorthLine:
        better = {True: "good", False: "harm", None: "open"}[one.worth.better]
        return WorthLine(
            name=_part(one.part, words),
            changed=words.number(one.changed),
            without=metric.value(one.without, words),
            worth=metric.difference(one.worth.value, words),
            interval=metric.span(one.worth.low, one.worth.high, words),
            outcome={"good": "accepted", "harm": "rejected", "open": "undecided"}[better],
            says=words(f"explain.worth.{better}"),
        )

    caption = words(
        "explain.worth.caption",
        figure=words.name("metric", worth.metric),
        rows=words.number(worth.rows),
        split=words(f"explain.split.{worth.split}"),
        whole=metric.value(worth.whole, words),
        level=words.percent(worth.level, 0),
    )
    together = words(
        "explain.together",
        without=metric.value(worth.together.without, words),
        worth=metric.difference(worth.together.worth.value, words),
        span=metric.span(worth.together.worth.low, worth.together.worth.high, words),
    )
    return tuple(line(one) for one in worth.parts), caption, together


def _smallest(found: Smallest, words: Words) -> tuple[str, ...]:
    out = [step.part for step in found.steps if step.kept]
    if not out:
        return (words("explain.smallest.whole"),)
    join = words("second.and")
    sentences = [
        words(
            "explain.smallest.part",
            out=join.join(_part(part, words) for part in out),
            left=join.join(_part(part, words) for part in found.parts) or words("explain.part.head"),
            changed=words.number(found.changed),
            density=words.small_percent(found.density),
            size=words.size(found.patch_bytes),
        ),
        words(f"explain.rule.{found.rule}", rows=words.number(found.rows), split=words(f"explain.split.{found.split}")),
    ]
    if (one := found.confirmation) is not None:
        sentences.append(
            words(
                f"explain.confirmed.{'yes' if one.kept else 'no'}",
                rows=words.number(one.rows),
                whole=words(f"verdict.{one.whole}"),
                part=words(f"verdict.{one.part}"),
            )
        )
    return tuple(sentences)


def _part(part: str, words: Words) -> str:
    """Counted from 1, as in the rest of the page."""
    _, _, layer = part.partition("layer.")
    return words("explain.part.layer", layer=int(layer) + 1) if layer else words("explain.part.outside")


def _row(row: RowExplanation, words: Words) -> RowView:
    sides = []
    for name, side in (("before", row.before), ("after", row.after)):
        if side is not None:
            values = [piece.after if name == "after" else piece.before or 0.0 for piece in row.pieces]
            sides.append(
                SideView(
                    words(name), side.answer, _said(side, words), _tokens([p.text for p in row.pieces], values, words)
                )
            )
    return RowView(
        title=words(f"explain.why.{row.why}"),
        place=row.place,
        text=row.text,
        target=row.target,
        answer=row.answer,
        sides=tuple(sides),
        neighbours=tuple(
            (one.place, words.number(one.similarity, 2), one.target, one.text) for one in row.neighbours[:_NEIGHBOURS]
        ),
        cut=words("explain.cut", tokens=words.number(row.cut)) if row.cut else None,
    )


def _said(side: Side, words: Words) -> str:
    return words(
        "explain.side",
        value=words.number(side.log_probability, 2),
        baseline=words.number(side.baseline, 2),
        sum=words.signed(side.log_probability - side.baseline + side.delta, 2),
        delta=words.number(abs(side.delta), 4),
    )


def _tokens(texts: list[str], values: list[float], words: Words) -> tuple[Token, ...]:
    if not values:
        return ()
    strongest = max(map(abs, values)) or 1.0
    order = sorted(range(len(values)), key=lambda place: -abs(values[place]))
    numbered = set(order[:_NUMBERED])
    first = max(0, min(order[0] - _PIECES // 2, len(values) - _PIECES))
    found = []
    for place in range(first, min(first + _PIECES, len(values))):
        strength = round(100 * abs(values[place]) / strongest)
        speaks = "little" if strength < _LITTLE else "for" if values[place] > 0 else "against"
        number = words.signed(values[place], 2)
        text = texts[place].lstrip()
        space = texts[place][: len(texts[place]) - len(text)]
        found.append(Token(space, text, speaks, strength, number, place in numbered and speaks != "little"))
    return tuple(found)


_LITTLE = 10
"""Percent of the strongest: tokens that speak less are left plain."""
