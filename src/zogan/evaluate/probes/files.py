"""Texts that a user gives for a probe."""

from __future__ import annotations

from pathlib import Path

from zogan.data.records import Fault, records
from zogan.errors import DataError


def read_texts(path: Path, column: str, encoding: str) -> list[tuple[int, str]]:
    """The texts of a file, each with its line; blank ones are left out.

    Args:
        path: a .txt file with one a line, or a data file (JSONL, CSV, TSV, Parquet).
        column: of a data file.
        encoding: of a text file.

    Raises:
        DataError: it cannot be read, or holds no text.
    """
    if path.suffix.lower() == ".txt":
        try:
            lines = path.read_text(encoding=encoding).splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"cannot be read: {error}", where=str(path)) from None
        found = [(number, line.strip()) for number, line in enumerate(lines, 1)]
    else:
        found = []
        for line, record in records(path, [column], encoding, name=path.name):
            text = str(record) if isinstance(record, Fault) else record.get(column)
            if isinstance(record, Fault) or not isinstance(text, str):
                raise DataError(
                    str(record) if isinstance(record, Fault) else f"{column!r} is no text", where=f"{path.name}:{line}"
                )
            found.append((line, text.strip()))
    if not any(text for _, text in found):
        raise DataError("holds no text", where=str(path))
    return [(line, text) for line, text in found if text]
