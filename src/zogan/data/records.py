"""A file's records, each with the line it begins at: JSONL, CSV, TSV or Parquet, by suffix."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from zogan.data.decode import Decoded, decode
from zogan.errors import DataError, nearest


class Fault(str):
    """What is wrong with a record that cannot be read."""

    __slots__ = ()


class EncodingFault(Fault):
    """Its bytes are not in the file's encoding."""

    __slots__ = ()


Record = Mapping[str, Any] | Fault


def records(path: Path, columns: Sequence[str], encoding: str, *, name: str) -> Iterator[tuple[int, Record]]:
    """Read a file.

    Args:
        path: the file; its suffix says the format.
        columns: that must be there.
        encoding: of a text file.
        name: of the file in messages.

    Returns:
        Line (Parquet: row) from 1, and the record or what is wrong with it.

    Raises:
        DataError: no such file, an unknown suffix, a missing column, or a file unreadable as a whole.
    """
    suffix = path.suffix.lower()
    if suffix not in _TEXT and suffix != ".parquet":
        todo = "One JSON object a line, in a file named .jsonl" if suffix == ".json" else None
        known = nearest(suffix, [*_TEXT, ".parquet"])
        raise DataError(f"suffix {path.suffix!r} is not one that can be read", where=name, todo=todo or known)
    if not path.is_file():
        raise DataError("no such file", where=str(path), todo="See `data:` in zogan.yaml")
    if suffix == ".parquet":
        return _parquet(path, columns, name)
    return _TEXT[suffix](decode(path.read_bytes(), encoding, where=name), columns, name)


def _jsonl(decoded: Decoded, columns: Sequence[str], name: str) -> Iterator[tuple[int, Record]]:
    seen: dict[str, None] = {}
    objects = 0
    for number, line in enumerate(decoded.text.split("\n"), 1):
        if not line.strip():
            continue
        if number in decoded.faults:
            yield number, EncodingFault(decoded.faults[number])
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield number, Fault(f"not JSON: {error}")
            continue
        if not isinstance(value, dict):
            yield number, Fault("not a JSON object")
            continue
        objects += 1
        seen.update(dict.fromkeys(value))
        yield number, value
    if objects:
        # A key that some rows lack is those rows' fault; one that all lack is misnamed.
        _require(columns, list(seen), name)


def _separated(separator: str) -> Callable[[Decoded, Sequence[str], str], Iterator[tuple[int, Record]]]:
    def read(decoded: Decoded, columns: Sequence[str], name: str) -> Iterator[tuple[int, Record]]:
        # Fed by "\n" alone, so that line numbers are the editor's whatever stands inside quotes.
        lines = (line + "\n" for line in decoded.text.removesuffix("\n").split("\n"))
        reader = csv.reader(lines, delimiter=separator, strict=True)
        header: list[str] | None = None
        while True:
            start = reader.line_num + 1
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield start, Fault(_csv_fault(str(error), reader.line_num - start))
                continue
            bad = [decoded.faults[line] for line in range(start, reader.line_num + 1) if line in decoded.faults]
            if not fields:
                continue
            if header is None:
                header = fields
                twice = [column for column in columns if header.count(column) > 1]
                if twice:
                    raise DataError(f"column {twice[0]!r} stands twice", where=f"{name}:{start}")
                _require(columns, header, name)
            elif bad:
                yield start, EncodingFault(bad[0])
            elif len(fields) != len(header):
                yield start, Fault(f"{len(fields)} columns where the header has {len(header)}")
            else:
                yield start, dict(zip(header, fields, strict=True))

    return read


def _csv_fault(error: str, lines_after: int) -> str:
    if "unexpected end of data" in error:
        return f"a quote opens here and is not closed: the {lines_after} lines after it cannot be read"
    return f"not CSV: {error}"


def _parquet(path: Path, columns: Sequence[str], name: str) -> Iterator[tuple[int, Record]]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise DataError("Parquet needs pyarrow", where=name, todo="pip install 'zogan[parquet]'") from None
    try:
        file = pyarrow.parquet.ParquetFile(path)
        _require(columns, file.schema_arrow.names, name)
        number = 0
        for batch in file.iter_batches(columns=list(columns)):
            for record in batch.to_pylist():
                number += 1
                yield number, record
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"not readable as Parquet: {error}", where=name) from None


def _require(columns: Sequence[str], there: Sequence[str], name: str) -> None:
    for column in columns:
        if column not in there:
            close = nearest(column, there)
            meant = f". {close}" if close.startswith("Did") else ""
            raise DataError(
                f"no column {column!r}", where=name, todo=f"There are: {', '.join(map(repr, there))}{meant}"
            )


_TEXT = {
    ".jsonl": _jsonl,
    ".ndjson": _jsonl,
    ".csv": _separated(","),
    ".tsv": _separated("\t"),
}
