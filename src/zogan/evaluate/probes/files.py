"""Texts that a user gives for a probe."""

from __future__ import annotations

from pathlib import Path

from zogan.config import Config
from zogan.data.records import Fault, records
from zogan.errors import DataError


def see_files(config: Config) -> None:
    """Read what probes that are on will read, before anything else is done: a run asks for it hours later.

    Raises:
        DataError: a file is not there, cannot be read, or holds no text; with the key that names it.
    """
    probes, data = config.probes, config.data
    column = data.text if config.task == "classification" else data.prompt
    texts = {
        "probes.abstention.out_of_scope": probes.abstention.out_of_scope if probes.abstention.run else None,
        "probes.forgetting.text": probes.forgetting.text if probes.forgetting.run else None,
    }
    patches = {
        "probes.churn.patch": probes.churn.patch if probes.churn.run else None,
        "protocol.patch": config.protocol.patch,
    }
    for key, path in {**texts, **patches}.items():
        if path is not None and not path.is_file():
            raise DataError(f"no such file, which {key} names", where=str(path), todo=f"Change {key}, or leave it out")
    for path in texts.values():
        if path is not None:
            read_texts(path, column, data.encoding)


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
        except OSError as error:
            raise DataError(f"cannot be read: {error.strerror}", where=str(path)) from None
        except UnicodeDecodeError as error:
            raise DataError(
                f"byte {error.object[error.start]:#04x} at offset {error.start} is not {encoding}",
                where=str(path),
                todo="Save it in that encoding, which data.encoding names",
            ) from None
        found = [(number, line.strip()) for number, line in enumerate(lines, 1)]
    else:
        found = []
        for line, record in records(path, [column], encoding, name=path.name):
            text = str(record) if isinstance(record, Fault) else record.get(column)
            if isinstance(record, Fault) or not isinstance(text, str):
                absent = not isinstance(record, Fault) and column not in record
                fault = f"has no {column!r}" if absent else f"{column!r} is no text"
                raise DataError(str(record) if isinstance(record, Fault) else fault, where=f"{path.name}:{line}")
            found.append((line, text.strip()))
    if not any(text for _, text in found):
        raise DataError("holds no text", where=str(path))
    return [(line, text) for line, text in found if text]
