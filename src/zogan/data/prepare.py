"""From what the files hold to the rows in use: cleaned, cut where no file is given, and fit for a run or not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from zogan.config import DataConfig
from zogan.data.clean import SPLITS, clean
from zogan.data.finding import Example, Finding, finding, listed
from zogan.data.read import Unreadable
from zogan.data.rows import Row, TextRow
from zogan.data.split import stratified


@dataclass(frozen=True)
class Files:
    """What the files hold: rows by split, and records that are no rows."""

    rows: Mapping[str, tuple[Row, ...]]
    faults: tuple[Unreadable, ...]


@dataclass(frozen=True)
class Splits:
    """The rows in use.

    `labels` are train's classes, sorted; none for dialogues. `dropped` tells every row that is in a file
    and not in use; `noted` what is kept although it is odd; `cut` the splits that come out of train's file.
    `digest` is a sha256 over the rows in use, whatever file they came from.
    """

    train: tuple[Row, ...]
    validation: tuple[Row, ...]
    test: tuple[Row, ...]
    labels: tuple[str, ...]
    dropped: tuple[Finding, ...]
    digest: str
    noted: tuple[Finding, ...] = ()
    cut: tuple[str, ...] = ()


def prepare(files: Files, data: DataConfig, *, folds: bool = False) -> tuple[Splits, tuple[Finding, ...]]:
    """Clean what was read, and cut what is missing.

    Args:
        files: what was read.
        data: shares and seed of the cuts, and what to do with rows that do not fit.
        folds: no rows are cut for validation, since all training rows take their turn in it.

    Returns:
        The rows in use, and what a run must refuse: findings that are errors.
    """
    rows, dropped, noted = clean(files.rows)
    if files.faults:
        dropped.insert(0, unreadable(files.faults, data))
    if folds:
        rows["validation"] = ()
    missing = [name for name in ("test", "validation") if name not in rows]
    rows |= _cut(rows["train"], missing, data)
    labels = tuple(sorted({row.label for row in rows["train"] if isinstance(row, TextRow)}))
    for name in ("validation", "test") if labels else ():
        strange = [row for row in rows[name] if row.target not in labels]
        if strange:
            dropped.append(unknown_labels(strange, data, f"unknown_label_in_{name}", f"{name} rows"))
            rows[name] = tuple(row for row in rows[name] if row.target in labels)
    splits = Splits(
        rows["train"],
        rows["validation"],
        rows["test"],
        labels=labels,
        dropped=tuple(one for one in dropped if one.severity != "error"),
        digest=digest(rows),
        noted=tuple(noted),
        cut=tuple(reversed(missing)),
    )
    return splits, (*(one for one in dropped if one.severity == "error"), *_too_little(rows, labels, folds, data))


def digest(rows: Mapping[str, Sequence[Row]]) -> str:
    """A sha256 over the rows of each split, in order, without their places."""
    whole = hashlib.sha256()
    for name in SPLITS:
        whole.update(f"{name}\n".encode())
        for row in rows[name]:
            whole.update(content(row) + b"\n")
    return whole.hexdigest()


def content(row: Row) -> bytes:
    """What a row says, without its place: its input and target, as JSON."""
    return json.dumps([row.text, row.label] if isinstance(row, TextRow) else row.chat()).encode()


def _cut(train: tuple[Row, ...], missing: Sequence[str], data: DataConfig) -> dict[str, tuple[Row, ...]]:
    shares = {"test": data.test_share, "validation": data.validation_share}
    result = {"train": train}
    rest = 1.0
    for name in missing:
        # Both shares are of train's file; the second cut is made from what the first left.
        result["train"], result[name] = stratified(result["train"], shares[name] / rest, data.seed)
        rest -= shares[name]
    return result


def unreadable(faults: Sequence[Unreadable], data: DataConfig, rows: str = "rows") -> Finding:
    """Records that are no rows: what is called `rows` is refused, or goes on without them."""
    examples = [Example(place=str(fault.place), text=fault.what) for fault in faults]
    what = f"{rows} that cannot be read"
    if data.unreadable == "skip":
        return finding("unreadable", "warning", what, examples, "dropped")
    action = "the run stops; mend them, or go on without them with --set data.unreadable=skip"
    return finding("unreadable", "error", what, examples, action)


def unknown_labels(strange: Sequence[Row], data: DataConfig, name: str, rows: str) -> Finding:
    """Rows whose label no training row has, likewise; the finding's `name` says where they stand."""
    labels = listed(sorted({repr(row.target) for row in strange}))
    what = f"{rows} with a label that no training row has ({labels})"
    if data.unknown_labels == "drop":
        return finding(name, "warning", what, strange, "dropped")
    action = "the run stops; mend them, or go on without them with --set data.unknown_labels=drop"
    return finding(name, "error", what, strange, action)


def _too_little(
    rows: Mapping[str, Sequence[Row]], labels: Sequence[str], folds: bool, data: DataConfig
) -> list[Finding]:
    files = {name: getattr(data, name) or data.train for name in SPLITS}
    found = [
        finding(
            "no_rows",
            "error",
            f"no rows are left for {name} (from {files[name].name})",
            [],
            "the run stops; add rows",
            count=1,
        )
        for name in SPLITS
        if not rows[name] and not (folds and name == "validation")
    ]
    if len(labels) == 1:
        what = f"train has one class alone, {labels[0]!r}"
        found.append(finding("one_class", "error", what, [], "the run stops; classification needs two", count=1))
    return found
