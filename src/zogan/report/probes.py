"""The section on probes: each reading with its interval and limit, the worst examples, and two curves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from zogan.evaluate.probes.reading import Example, Probes, Reading, Table
from zogan.report.readings import reading_name, reading_span, reading_value
from zogan.report.svg import AFTER, INK, SOFT, bare, element, figure_of
from zogan.report.words import Words

_EXAMPLES = 3
_WIDTH, _HEIGHT = 300, 260


@dataclass(frozen=True)
class Shown:
    """A row that speaks for a reading, what makes it so, and where it stands."""

    text: str
    what: Any
    place: str


@dataclass(frozen=True)
class Line:
    """A reading, said."""

    name: Any
    meaning: str | None
    before: str
    value: str
    interval: str
    limit: str
    outcome: str | None
    examples: tuple[Shown, ...]
    picture: Markup | None


def probes(found: Probes | None, words: Words, say: Callable[..., Any], mark: Callable[[str], Any] = str) -> list[Line]:
    """A line for each reading of a run; none where no probe was run.

    Args:
        found: what the probes said.
        words: of the language.
        say: fills a text of the catalogue.
        mark: sets apart what is the user's own.
    """
    return [_line(one, words, say, mark) for one in found.readings] if found is not None else []


def _line(one: Reading, words: Words, say: Callable[..., Any], mark: Callable[[str], Any]) -> Line:
    probe = one.name.partition(".")[0]
    key = next((key for key in (f"meaning.{one.name}", f"meaning.{probe}") if words.has(key)), None)
    value = one.value
    return Line(
        name=reading_name(one.name, words, say, mark),
        meaning=words(key) if key else None,
        before="–" if one.before is None else reading_value(one.before.value, one.unit, words),
        value=reading_value(value.value, one.unit, words),
        interval=reading_span(value.low, value.high, one.unit, words),
        limit="–" if one.limit is None else reading_value(one.limit, one.unit, words),
        outcome=one.outcome,
        examples=tuple(
            Shown(each.text, _what(each, words, say, mark), each.place) for each in one.examples[:_EXAMPLES]
        ),
        picture=_picture(one, words),
    )


def _what(one: Example, words: Words, say: Callable[..., Any], mark: Callable[[str], Any]) -> Any:
    """In the language; of another package's probe in its own."""
    key = f"example.{one.kind}"
    if one.kind is None or not words.has(key):
        return mark(one.what)
    values = {name: _value(name, value, words, mark) for name, value in one.values.items()}
    return say(key, **values)


def _value(name: str, value: str | int | float, words: Words, mark: Callable[[str], Any]) -> Any:
    if isinstance(value, str):
        return words.name(name, value) if name in ("slip", "leak") else mark(value)
    if name == "share":
        return words.percent(value, 0)
    if name == "nats":
        return words(f"unit.{name}", value=words.signed(value, 3))
    return words(f"unit.{name}", value=words.number(value, 1)) if name == "bits" else words.number(value)


def _picture(one: Reading, words: Words) -> Markup | None:
    draw = {"calibration": reliability, "abstention": coverage}.get(one.name)
    return Markup(draw(one.tables[0], words)) if draw and one.tables else None


def reliability(table: Table, words: Words) -> str:
    """How often the model is right against how sure it is; on the diagonal it is as sure as right.

    Args:
        table: a bin of equally many rows each: rows, sureness, share of right ones.
        words: of the language.
    """
    points = [(sure, right) for _, sure, right in _numbers(table)]
    return _curve(points, words, "reliability", ("chart.sure", "chart.right"), diagonal=True)


def coverage(table: Table, words: Words) -> str:
    """Risk, the share of wrong answers, against the share of rows that are answered, the surest first.

    Args:
        table: coverage, sureness, share of right rows.
        words: of the language.
    """
    points = [(covered, 1 - right) for covered, _, right in _numbers(table)]
    return _curve(points, words, "coverage", ("chart.covered", "chart.risk"), diagonal=False)


def _numbers(table: Table) -> Sequence[tuple[float, ...]]:
    return [tuple(float(cell) for cell in row if cell is not None) for row in table.rows]


def _curve(
    points: Sequence[tuple[float, float]], words: Words, name: str, heads: tuple[str, str], *, diagonal: bool
) -> str:
    """Both axes are in percent."""
    figure = figure_of(_WIDTH, _HEIGHT)
    axes = figure.add_axes((46 / _WIDTH, 44 / _HEIGHT, 240 / _WIDTH, 186 / _HEIGHT))
    bare(axes, bottom=True, left=True, grid="both")
    across, up = ([100 * point[axis] for point in points] for axis in (0, 1))
    if diagonal:
        low = max(0.0, min(across + up) - 5)
        axes.plot([low, 100], [low, 100], color=SOFT, linewidth=1.2, linestyle="--")
        axes.set_xlim(low, 100)
        axes.set_ylim(low, 101)
    else:
        axes.set_xlim(0, 101)
        axes.set_ylim(0, max(1.0, 1.15 * max(up)))
    axes.plot(across, up, color=AFTER, linewidth=2, marker="o", markersize=4)
    axes.set_xlabel(words(heads[0]), color=SOFT, size=12)
    axes.set_title(words(heads[1]), loc="left", color=INK, size=12, x=-0.1, pad=6, fontweight="normal")
    return element(figure, name, words(f"chart.{name}"))
