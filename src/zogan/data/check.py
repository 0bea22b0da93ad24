"""What is wrong with the data, row by row, and what a run does about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from pydantic import BaseModel, ConfigDict, computed_field

from zogan.config import Config
from zogan.data.clean import SPLITS
from zogan.data.decode import garbled
from zogan.data.external import External, read_external
from zogan.data.finding import Example, Finding, finding, shown_row
from zogan.data.load import read_files
from zogan.data.prepare import Splits, prepare
from zogan.data.rows import DialogueRow, Row, TextRow, normalise
from zogan.errors import DataError

RARE = 5
"""A class with fewer training rows than this is rare: too few to learn it from, or to hold any back."""


class Check(BaseModel):
    """The state of the data.

    `rows` counts each file's readable rows, `used` the rows of each split in use, `balance` the rows in use
    of each label in each split, `external` those of each external set; `cut` names the splits that come out of train's
    file, `skipped` what was not looked at, and why.
    """

    model_config = ConfigDict(frozen=True)

    task: str
    rows: dict[str, int]
    used: dict[str, int]
    cut: tuple[str, ...]
    external: dict[str, int]
    balance: dict[str, dict[str, int]]
    findings: tuple[Finding, ...]
    skipped: tuple[str, ...]

    @computed_field  # type: ignore[prop-decorator]
    @property
    def fatal(self) -> bool:
        """Whether a run would refuse this data."""
        return any(one.severity == "error" for one in self.findings)


def check(config: Config, *, token_length: Callable[[Row], int] | None = None, limit: int | None = None) -> Check:
    """Look at every row of a configuration's files.

    Args:
        config: names the files and columns.
        token_length: tokens of a row as the model will read it; without it no length is looked at.
        limit: tokens that the model reads.
    """
    try:
        files = read_files(config.data, config.task, columns=config.columns)
    except DataError as error:
        return _result(config, {}, None, [_broken(error)], ["all that needs rows: a file cannot be read"])
    splits, refused = prepare(files, config.data, folds=config.train.folds is not None)
    every = [*splits.train, *splits.validation, *splits.test]
    external, faults = _external(config, splits)
    every += [row for one in external for row in one.rows]
    found = [*refused, *splits.dropped, *splits.noted]
    found += [*faults, *(each for one in external for each in one.findings)]
    found += [*_rare(splits), *_alike(splits), *_garbled(every)]
    skipped = []
    if token_length is None or limit is None:
        skipped.append("length: no model was opened")
    else:
        found += _long(every, token_length, limit)
    order = ("error", "warning", "info")
    found.sort(key=lambda one: order.index(one.severity))
    return _result(config, {name: len(rows) for name, rows in files.rows.items()}, splits, found, skipped, external)


def _broken(error: DataError) -> Finding:
    what = f"{error.where}: {error.what}" if error.where else error.what
    return finding("file", "error", what, [], f"the run stops; {error.todo or 'mend the file'}", count=1)


def _external(config: Config, splits: Splits) -> tuple[tuple[External, ...], list[Finding]]:
    """The external sets, or why they cannot be read."""
    try:
        return read_external(config, splits), []
    except DataError as error:
        return (), [_broken(error)]


def _result(
    config: Config,
    rows: dict[str, int],
    splits: Splits | None,
    found: Sequence[Finding],
    skipped: Sequence[str],
    external: Sequence[External] = (),
) -> Check:
    used = {} if splits is None else {name: getattr(splits, name) for name in SPLITS}
    counts = {name: Counter(row.label for row in some if isinstance(row, TextRow)) for name, some in used.items()}
    labels = () if splits is None else splits.labels
    return Check(
        task=config.task,
        rows=rows,
        used={name: len(some) for name, some in used.items()},
        cut=() if splits is None else splits.cut,
        external={one.name: len(one.rows) for one in external},
        balance={label: {name: counts[name][label] for name in SPLITS} for label in labels},
        findings=tuple(found),
        skipped=tuple(skipped),
    )


def _rare(splits: Splits) -> list[Finding]:
    counts = Counter(row.label for row in splits.train if isinstance(row, TextRow))
    first = {row.label: row for row in reversed(splits.train) if isinstance(row, TextRow)}
    rare = [label for label in splits.labels if counts[label] < RARE]
    if not rare:
        return []
    examples = [Example(place=str(first[label].place), text=f"{label!r}: {counts[label]} in train") for label in rare]
    action = "kept; add rows, or join the class with another"
    return [finding("rare_label", "warning", f"classes with fewer than {RARE} training rows", examples, action)]


def _alike(splits: Splits) -> list[Finding]:
    groups: dict[str, list[str]] = {}
    for label in splits.labels:
        groups.setdefault(normalise(label), []).append(label)
    examples = [
        Example(place="labels", text=" / ".join(map(repr, group))) for group in groups.values() if len(group) > 1
    ]
    if not examples:
        return []
    what = "classes that differ by case, width or space alone"
    return [finding("labels_alike", "warning", what, examples, "kept as different classes; is that meant?")]


def _garbled(rows: Sequence[Row]) -> list[Finding]:
    odd = [row for row in rows if garbled(_whole(row))]
    if not odd:
        return []
    what = "text that went through the wrong encoding before (such as Ã© for é)"
    return [finding("encoding", "warning", what, odd, "kept as it is; mend it where the file was made")]


def _whole(row: Row) -> str:
    return "\n".join(message.content for message in row.messages) if isinstance(row, DialogueRow) else row.text


def _long(rows: Sequence[Row], token_length: Callable[[Row], int], limit: int) -> list[Finding]:
    lengths = [(row, token_length(row)) for row in rows]
    examples = [shown_row(row, f" ({length} tokens)") for row, length in lengths if length > limit]
    if not examples:
        return []
    generation = isinstance(rows[0], DialogueRow)
    part = "the oldest part of the prompt is cut" if generation else "the end is cut"
    what = f"rows longer than the {limit} tokens that the model reads"
    return [finding("long", "warning", what, examples, f"kept; {part}. A larger train.max_length may help")]
