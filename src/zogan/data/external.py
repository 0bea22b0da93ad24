"""Further sets of rows that figures are taken on: another site, another year, a public one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from zogan.config import Config, ExternalConfig
from zogan.data.clean import SPLITS, clean
from zogan.data.finding import Example, Finding, finding, shown_row
from zogan.data.load import refusal
from zogan.data.prepare import Splits, digest, unknown_labels, unreadable
from zogan.data.read import read
from zogan.data.rows import Row
from zogan.errors import DataError


@dataclass(frozen=True)
class External:
    """An external set.

    Attributes:
        name: of the set.
        note: where it comes from; None where nothing was said.
        rows: in use; none of them stands in the run's own rows.
        findings: what was left out, and what is odd; those that are errors a run refuses.
    """

    name: str
    note: str | None
    rows: tuple[Row, ...]
    findings: tuple[Finding, ...]

    @property
    def digest(self) -> str:
        """SHA-256 over the rows in use, in order, in hex."""
        return digest({"train": (), "validation": (), "test": self.rows})


def load_external(config: Config, splits: Splits) -> tuple[External, ...]:
    """Read every external set, without the rows that figures cannot be of.

    Args:
        config: names the files.
        splits: the run's own rows.

    Raises:
        DataError: a file or column is missing, rows cannot be read (unless `data.unreadable` is skip), a label is none
            of training's (unless `data.unknown_labels` is drop), or no row is left.
    """
    sets = read_external(config, splits)
    for one in sets:
        for found in one.findings:
            if found.severity == "error":
                raise refusal(found)
    return sets


def read_external(config: Config, splits: Splits) -> tuple[External, ...]:
    """`load_external`, where what a run refuses stands among the findings.

    Raises:
        DataError: a file cannot be read as a whole.
    """
    return tuple(_read(one, config, splits) for one in config.data.external)


def _read(given: ExternalConfig, config: Config, splits: Splits) -> External:
    whose = f"rows of external set {given.name!r}"
    if not given.file.is_file():
        raise DataError("no such file", where=str(given.file), todo=f"See `data.external`, set {given.name!r}")
    got = read(given.file, config.data, config.task, name=given.file.name)
    cleaned, dropped, noted = clean({"test": got.rows})
    found = [one.model_copy(update={"what": f"external set {given.name!r}: {one.what}"}) for one in (*dropped, *noted)]
    if got.faults:
        found.insert(0, unreadable(got.faults, config.data, whose))
    rows, seen = _unseen(cleaned["test"], splits, whose)
    found += seen
    strange = [row for row in rows if splits.labels and row.target not in splits.labels]
    if strange:
        found.append(unknown_labels(strange, config.data, "unknown_label_in_external", whose))
        rows = tuple(row for row in rows if row.target in splits.labels)
    if not rows and not any(one.severity == "error" for one in found):
        what = f"no {whose} are left"
        found.append(finding("no_rows", "error", what, [], "the run stops; add rows, or leave it out", count=1))
    return External(given.name, given.note, rows, tuple(found))


def _unseen(rows: Sequence[Row], splits: Splits, whose: str) -> tuple[tuple[Row, ...], list[Finding]]:
    """Rows whose input stands in none of the run's own: the model learned those, or was chosen by them."""
    standing = {row.key: (name, row) for name in reversed(SPLITS) for row in getattr(splits, name)}
    kept: list[Row] = []
    leaks: dict[str, list[Example]] = {}
    for row in rows:
        if row.key in standing:
            name, other = standing[row.key]
            leaks.setdefault(name, []).append(shown_row(row, f" (also {other.place})"))
        else:
            kept.append(row)
    return tuple(kept), _leaks(leaks, whose)


def _leaks(leaks: Mapping[str, Sequence[Example]], whose: str) -> list[Finding]:
    return [
        finding(
            f"external_in_{name}",
            "warning",
            f"{whose} whose input also stands in {name}",
            leaks[name],
            "left out of its figures, so that these are of rows never seen",
        )
        for name in SPLITS
        if name in leaks
    ]
