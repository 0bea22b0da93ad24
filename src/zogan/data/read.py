"""A file to rows. What cannot be read is kept beside them, with file and line."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from zogan.config import DataConfig
from zogan.data.records import EncodingFault, Fault, records
from zogan.data.rows import DialogueRow, Message, Place, Row, TextRow, dialogue

ROLES = ("system", "user", "assistant")
_HALF_PAIR = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record that is no row."""

    place: Place
    what: str
    encoding: bool

    def __str__(self) -> str:
        return f"{self.place} ({self.what})"


@dataclass(frozen=True, slots=True)
class Read:
    """A file's rows in order, and its records that are none."""

    rows: tuple[Row, ...]
    faults: tuple[Unreadable, ...]


def read(
    path: Path,
    data: DataConfig,
    task: Literal["classification", "generation"],
    *,
    name: str | None = None,
    columns: Sequence[str] = (),
) -> Read:
    """Read a JSONL, CSV, TSV or Parquet file.

    Args:
        path: the file.
        data: names of the columns, and the encoding of text.
        task: says what a row is.
        name: of the file in places and messages; its own name where absent.
        columns: others to keep with each row that has a value there.

    Raises:
        DataError: no such file, unknown suffix, missing column (naming those that are there).
    """
    name = name if name is not None else path.name
    own, parse = _layout(data, task)
    rows: list[Row] = []
    faults: list[Unreadable] = []
    for line, record in records(path, list(dict.fromkeys([*own, *columns])), data.encoding, name=name):
        place = Place(name, line)
        try:
            if isinstance(record, Fault):
                raise _FaultError(record)
            row = parse(record, place)
            rows.append(replace(row, columns=_others(record, columns)) if columns else row)
        except _FaultError as error:
            faults.append(Unreadable(place, str(error.fault), isinstance(error.fault, EncodingFault)))
    return Read(tuple(rows), tuple(faults))


class _FaultError(Exception):
    def __init__(self, fault: Fault) -> None:
        self.fault = fault


def _layout(data: DataConfig, task: str) -> tuple[list[str], Callable[[Mapping[str, Any], Place], Row]]:
    if task == "classification":
        text, label = data.text, data.label
        return [text, label], lambda record, place: TextRow(_text(record, text), _label(record, label), place)
    if data.messages is not None:
        messages = data.messages
        return [messages], lambda record, place: DialogueRow(_messages(record, messages), place)
    prompt, response = data.prompt, data.response
    return [prompt, response], lambda record, place: dialogue(_text(record, prompt), _text(record, response), place)


def _others(record: Mapping[str, Any], columns: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """The columns that have a value here: a slice takes a row by its value, and one without is in no slice."""
    there = [column for column in columns if record.get(column) is not None and record[column] == record[column]]
    return tuple((column, _label(record, column, what="a value")) for column in there)


def _value(record: Mapping[str, Any], column: str) -> Any:
    if column not in record:
        raise _FaultError(Fault(f"no {column!r}"))
    value = record[column]
    if value is None:
        raise _FaultError(Fault(f"{column!r} is null"))
    return value


def _text(record: Mapping[str, Any], column: str) -> str:
    value = _value(record, column)
    if not isinstance(value, str):
        raise _FaultError(Fault(f"{column!r} is {_kind(value)}, not text"))
    return _whole(value, column)


def _label(record: Mapping[str, Any], column: str, what: str = "a class") -> str:
    value = _value(record, column)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) or (isinstance(value, float) and not math.isnan(value)):
        return str(value)
    if not isinstance(value, str):
        raise _FaultError(Fault(f"{column!r} is {_kind(value)}, not {what}"))
    return _whole(value, column)


def _messages(record: Mapping[str, Any], column: str) -> tuple[Message, ...]:
    value = _value(record, column)
    if isinstance(value, str):  # a CSV cell
        try:
            value = json.loads(value)
        except ValueError:
            raise _FaultError(Fault(f"{column!r} is not JSON")) from None
    if not isinstance(value, list):
        raise _FaultError(Fault(f"{column!r} is {_kind(value)}, not a list"))
    turns = []
    for number, message in enumerate(value, 1):
        place = f"{column}[{number}]"
        if not isinstance(message, dict) or not isinstance(message.get("content"), str):
            raise _FaultError(Fault(f"{place} is not {{role, content}} with text"))
        if message.get("role") not in ROLES:
            raise _FaultError(Fault(f"{place} has role {message.get('role')!r}, not one of {', '.join(ROLES)}"))
        turns.append(Message(message["role"], _whole(message["content"], place)))
    if not turns or turns[-1].role != "assistant":
        raise _FaultError(Fault(f"{column!r} does not end with the assistant's turn"))
    if len(turns) == 1:
        raise _FaultError(Fault(f"{column!r} has no turn before the assistant's"))
    return tuple(turns)


def _whole(text: str, column: str) -> str:
    # JSON escapes such as \ud83d alone pass json.loads, and fail at the tokenizer.
    if not text.isascii() and _HALF_PAIR.search(text):
        raise _FaultError(EncodingFault(f"{column!r} holds half of a surrogate pair"))
    return text


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", bool: "a truth value", int: "a number", float: "a number"}
    return names.get(type(value), type(value).__name__)
