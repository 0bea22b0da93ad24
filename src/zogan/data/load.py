"""The rows of a run, or a refusal that says which rows are to blame."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from zogan.config import Config, DataConfig
from zogan.data.clean import SPLITS
from zogan.data.finding import Finding
from zogan.data.prepare import Files, Splits, prepare
from zogan.data.read import read
from zogan.errors import DataError

_PLACES_IN_AN_ERROR = 3


def load(config: Config) -> Splits:
    """Read the files of a configuration, clean them and cut what is missing.

    Raises:
        DataError: a file or column is missing, rows cannot be read (unless `data.unreadable` is skip), labels
            are unknown (unless `data.unknown_labels` is drop), or too few rows are left.
    """
    files = read_files(config.data, config.task, columns=config.columns)
    splits, refused = prepare(files, config.data, folds=config.train.folds is not None)
    if refused:
        raise refusal(refused[0])
    return splits


def read_files(
    data: DataConfig, task: Literal["classification", "generation"], *, columns: Sequence[str] = ()
) -> Files:
    """Read every file that is given.

    Args:
        data: names the files and their columns.
        task: says what a row is.
        columns: others, which test rows keep; only the file that those come from must have them.

    Raises:
        DataError: a file cannot be read as a whole.
    """
    paths = {name: path for name in SPLITS if (path := getattr(data, name)) is not None}
    measured = "test" if "test" in paths else "train"
    reads = {
        name: read(paths[name], data, task, name=shown, columns=columns if name == measured else ())
        for name, shown in _names(paths).items()
    }
    faults = tuple(fault for one in reads.values() for fault in one.faults)
    return Files({name: one.rows for name, one in reads.items()}, faults)


def _names(paths: Mapping[str, Path]) -> dict[str, str]:
    """Short names for messages: relative to the folder that holds all of them."""
    folder = os.path.commonpath([path.parent for path in paths.values()])
    return {name: path.relative_to(folder).as_posix() for name, path in paths.items()}


def refusal(finding: Finding) -> DataError:
    """The error that tells a finding, with the first places where it shows."""
    shown = finding.examples[:_PLACES_IN_AN_ERROR]
    places = ", ".join(f"{example.place} ({example.text})" for example in shown)
    more = ", …" if finding.count > len(shown) else ""
    what = f"{finding.count} {finding.what}: {places}{more}" if shown else finding.what
    todo = finding.action.removeprefix("the run stops; ")
    return DataError(what, todo=f"{todo[:1].upper()}{todo[1:]}. `zogan data check` tells more")
