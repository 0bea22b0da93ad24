"""The rows on which two models differ, the clearest first; and as a file."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from zogan.data.rows import Row
from zogan.errors import ZoganError
from zogan.evaluate.comparison.pair import Pair
from zogan.evaluate.comparison.result import ClassDifference, Comparison, RowDifference, TextDifference, Which
from zogan.tasks.task import ClassPredictions, TextPredictions

SUFFIXES = (".csv", ".jsonl")


def differing(pair: Pair, rows: Sequence[Row] | None, slices: Mapping[str, Sequence[int]]) -> tuple[RowDifference, ...]:
    """Rows with another label: those first that one side alone has right, and of these those of which the right label's
    probability differs most. Or rows with another loss or answer: those first that both answered, and of these those
    of which the mean loss differs most.

    Args:
        pair: the two sides.
        rows: in A's order; None where their text is not at hand.
        slices: places of their rows.
    """
    a, b = pair.a.system.predictions, pair.b.system.predictions
    if isinstance(a, ClassPredictions) and isinstance(b, ClassPredictions):
        return _labels(pair, a, b, rows, slices)
    if isinstance(a, TextPredictions) and isinstance(b, TextPredictions):
        return _texts(pair, a, b, rows, slices)
    raise TypeError("the sides of a pair are of one task")


def _labels(
    pair: Pair,
    a: ClassPredictions,
    b: ClassPredictions,
    rows: Sequence[Row] | None,
    slices: Mapping[str, Sequence[int]],
) -> tuple[ClassDifference, ...]:
    each, names = np.arange(len(a.truth)), _slices(slices)
    first, second = a.choice, b.choice[pair.order]
    of_a, of_b = a.probabilities[each, a.truth], b.probabilities[pair.order, a.truth]  # (rows,)
    other = np.flatnonzero(first != second)

    def better(place: int) -> Which | None:
        if first[place] == a.truth[place]:
            return "a"
        return "b" if second[place] == a.truth[place] else None

    return tuple(
        ClassDifference(
            place=str(pair.a.places[place]),
            key=pair.a.keys[place],
            slices=names.get(place, ()),
            better=better(place),
            text=None if rows is None else rows[place].input,
            truth=a.labels[a.truth[place]],
            a=a.labels[first[place]],
            b=a.labels[second[place]],
            probability_a=min(float(of_a[place]), 1.0),
            probability_b=min(float(of_b[place]), 1.0),
        )
        for place in sorted(other.tolist(), key=lambda place: (better(place) is None, -abs(of_b[place] - of_a[place])))
    )


def _texts(
    pair: Pair,
    a: TextPredictions,
    b: TextPredictions,
    rows: Sequence[Row] | None,
    slices: Mapping[str, Sequence[int]],
) -> tuple[TextDifference, ...]:
    names, answered = _slices(slices), set(pair.answered().tolist())
    first, second = a.losses / a.tokens, (b.losses / b.tokens)[pair.order]  # (rows,), nats
    answers = {place: (a.answers[place], b.answers[pair.order[place]]) for place in answered}
    other = np.flatnonzero(
        (first != second) | np.array([len(set(answers.get(place, ()))) > 1 for place in range(len(first))])
    )
    return tuple(
        TextDifference(
            place=str(pair.a.places[place]),
            key=pair.a.keys[place],
            slices=names.get(place, ()),
            better=None if first[place] == second[place] else "a" if first[place] < second[place] else "b",
            prompt=None if rows is None else rows[place].input,
            reference=None if rows is None else rows[place].target,
            a=answers[place][0] if place in answered else None,
            b=answers[place][1] if place in answered else None,
            loss_a=float(first[place]),
            loss_b=float(second[place]),
        )
        for place in sorted(
            other.tolist(), key=lambda place: (place not in answered, -abs(second[place] - first[place]))
        )
    )


def _slices(slices: Mapping[str, Sequence[int]]) -> dict[int, tuple[str, ...]]:
    """A row's place to the slices that it is in."""
    found: dict[int, tuple[str, ...]] = {}
    for name, places in slices.items():
        for place in places:
            found[place] = (*found.get(place, ()), name)
    return found


def check(path: Path) -> None:
    """Refuse a file that `write` would not write, before anything is measured.

    Raises:
        ZoganError: another suffix.
    """
    if path.suffix not in SUFFIXES:
        raise ZoganError(f"ends with none of {', '.join(SUFFIXES)}", where=str(path), todo="Name it rows.csv")


def write(found: Comparison, path: Path) -> None:
    """Write all rows that differ as CSV or JSONL, by the suffix; whole or not at all."""
    check(path)
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", encoding="utf-8", newline="") as stream:
        if path.suffix == ".jsonl":
            stream.writelines(one.model_dump_json() + "\n" for one in found.differences)
        else:
            kind = ClassDifference if found.task == "classification" else TextDifference
            table = csv.DictWriter(stream, list(kind.model_fields), lineterminator="\n")
            table.writeheader()
            table.writerows({**one.model_dump(), "slices": ", ".join(one.slices)} for one in found.differences)
    partial.replace(path)
