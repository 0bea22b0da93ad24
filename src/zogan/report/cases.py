"""Every test row with what the models said of it, as a table that Excel opens: UTF-8 with a mark, no live formulas."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from zogan.data.load import load as load_rows
from zogan.data.read import read as read_rows
from zogan.data.rows import Row
from zogan.errors import DataError
from zogan.evaluate.predictions import NAME, Kept, load
from zogan.evaluate.protocol.sample import row_key
from zogan.evaluate.protocol.slices import members
from zogan.report.record import Record
from zogan.report.words import Language, Words
from zogan.tasks.task import ClassPredictions, TextPredictions

_LIVE = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
"""What a cell begins with that a spreadsheet would run."""

Cells = Sequence[str | int]


def has_cases(record: Record) -> bool:
    """Whether the run kept what its models said of each row."""
    return (record.folder / NAME).is_file()


def cases(record: Record, language: Language, path: Path) -> None:
    """Write the table.

    Text and slices are those of the data's files as they are now; a row that is not there any more is known by its
    place alone.

    Args:
        record: of a run that kept its predictions.
        language: of the headings and of the words for how a row came out.
        path: the file.

    Raises:
        IntegrityError: the predictions are damaged.
    """
    words, kept = Words(language), load(record.folder / NAME)
    rows = _rows(record, kept)
    slices = _slices(record, rows)
    kind = record.config.task
    columns = ["case", "place", "text", "expected", "before", "after", "result", "change"]
    columns += ["probability_before", "probability_after"] if kind == "classification" else []
    columns += ["loss_before", "loss_after", "slices"]
    with path.open("w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow([words(f"cases.{name}") for name in columns])
        for place, cells in enumerate(_said(kept, rows, words)):
            where = [place + 1, defused(str(kept.places[place]))]
            text = rows[place].input if place in rows else ""
            belongs = "; ".join(slices.get(place, ()))
            writer.writerow([*where, *(defused(one) for one in (text, *cells, belongs))])


def defused(cell: str | int) -> str | int:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell.lstrip().startswith(_LIVE) else cell


def _rows(record: Record, kept: Kept) -> dict[int, Row]:
    """The rows whose text is still at hand, by their places among those that were predicted."""
    config = record.config
    try:
        if config.data.test is None:
            found = load_rows(config).test
        else:
            name = config.data.test.name
            found = read_rows(config.data.test, config.data, config.task, name=name, columns=config.columns).rows
    except (DataError, OSError):
        return {}
    known = {row_key(row): row for row in found}
    return {place: known[key] for place, key in enumerate(kept.keys) if key in known}


def _slices(record: Record, rows: Mapping[int, Row]) -> dict[int, list[str]]:
    """Names of the slices that each row belongs to."""
    names: dict[int, list[str]] = {}
    places = list(rows)
    for one in record.protocol.slices.values() if record.protocol is not None else ():
        try:
            found = members(list(rows.values()), [one])
        except DataError:  # its rows are not at hand any more
            continue
        for index in found[one.name]:
            names.setdefault(places[index], []).append(one.name)
    return names


def _said(kept: Kept, rows: Mapping[int, Row], words: Words) -> Iterator[Cells]:
    """What follows the text of each row."""
    before = kept.before.predictions
    assert kept.after is not None  # a finished run has both sides
    after = kept.after.predictions
    if isinstance(before, ClassPredictions) and isinstance(after, ClassPredictions):
        yield from _classified(before, after, words)
    elif isinstance(before, TextPredictions) and isinstance(after, TextPredictions):
        yield from _answered(before, after, rows, words)


def _classified(before: ClassPredictions, after: ClassPredictions, words: Words) -> Iterator[Cells]:
    names, each = after.labels, np.arange(len(after.truth))
    said = [(one.choice.tolist(), one.probabilities[each, one.choice].tolist()) for one in (before, after)]
    (first, sure_first), (second, sure_second) = said
    losses = zip(before.losses.tolist(), after.losses.tolist(), strict=True)
    for place, (truth, (loss_before, loss_after)) in enumerate(zip(after.truth.tolist(), losses, strict=True)):
        was, now = first[place] == truth, second[place] == truth
        change = ("better" if now else "worse") if was != now else ("still_right" if now else "still_wrong")
        yield (
            *(names[index] for index in (truth, first[place], second[place])),
            words(f"cases.{'passed' if now else 'failed'}"),
            words(f"cases.{change}"),
            *(f"{value:.4f}" for value in (sure_first[place], sure_second[place], loss_before, loss_after)),
        )


def _answered(
    before: TextPredictions, after: TextPredictions, rows: Mapping[int, Row], words: Words
) -> Iterator[Cells]:
    means = [(one.losses / np.maximum(one.tokens, 1)).tolist() for one in (before, after)]
    for place, (loss_before, loss_after) in enumerate(zip(*means, strict=True)):
        change = "better" if loss_after < loss_before else "worse" if loss_after > loss_before else "same"
        answers = [one.answers[place] if place < len(one.answers) else "" for one in (before, after)]
        yield (
            rows[place].target if place in rows else "",
            *answers,
            words(f"cases.{'failed' if change == 'worse' else 'passed'}"),
            words(f"cases.{change}"),
            f"{loss_before:.4f}",
            f"{loss_after:.4f}",
        )
