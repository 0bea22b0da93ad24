"""A first zogan.yaml: what a folder shows of itself, and every option with its default and meaning."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from zogan.config import TASK_DEFAULTS, Config

Task = Literal["classification", "generation"]

_SUFFIXES = (".jsonl", ".csv", ".tsv", ".parquet")
_SPLITS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval"),
}
_COLUMNS = {
    "messages": ("messages", "conversation", "conversations", "dialogue"),
    "prompt": ("prompt", "instruction", "question", "input", "query"),
    "response": ("response", "answer", "output", "completion", "reply", "target"),
    "text": ("text", "sentence", "utterance", "tweet", "message", "content", "body", "review", "query"),
    "label": ("label", "class", "category", "intent", "sentiment", "target", "tag"),
}
_PLACEHOLDERS = {"model": "path/to/model", "task": "classification", "data.train": "train.jsonl"}


@dataclass(frozen=True)
class Found:
    """What the folder shows.

    Args:
        values: dotted key to value, of what is plain.
        missing: required keys that are not.
    """

    values: Mapping[str, str]
    missing: tuple[str, ...]


def survey(folder: Path, *, model: str | None = None, task: Task | None = None) -> Found:
    """Look at a folder's files and at the columns of its training rows.

    Args:
        folder: may be absent.
        model: as given by the user.
        task: as given by the user; else told from the columns.
    """
    values: dict[str, str] = {}
    if model or (model := _model(folder)):
        values["model"] = model
    files = sorted(path for path in folder.iterdir() if path.suffix in _SUFFIXES) if folder.is_dir() else []
    for split, stems in _SPLITS.items():
        named = [path for path in files if path.stem.lower() in stems]
        if named or (split == "train" and len(files) == 1 and (named := files)):
            values[f"data.{split}"] = named[0].name
    columns = _columns(folder / values["data.train"]) if "data.train" in values else []
    named_columns = {
        key: next((name for known in names for name in columns if name.lower() == known), None)
        for key, names in _COLUMNS.items()
    }
    task = task or _task(named_columns)
    if task:
        values["task"] = task
    for key in ("text", "label") if task == "classification" else ("messages", "prompt", "response"):
        name = named_columns[key]
        if task and name:
            values[f"data.{key}"] = name
    if "data.messages" in values:
        values.pop("data.prompt", None)
        values.pop("data.response", None)
    return Found(values, tuple(key for key in _PLACEHOLDERS if key not in values))


def template(found: Found) -> str:
    """zogan.yaml with every option of `Config`: what was found, else the default, and what each means."""
    task = found.values.get("task", _PLACEHOLDERS["task"])
    lines = [
        "# What to tune, for what, and how. Every option stands here with its default; only model, task and",
        "# data.train are required. Relative paths are taken from this file's folder. To override any of them",
        "# for one run: --set train.epochs=3",
    ]
    lines += _section(Config, "", {**TASK_DEFAULTS.get(task, {}), **found.values}, task)
    return "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"


def _section(section: type[BaseModel], prefix: str, values: Mapping[str, Any], task: str) -> Iterator[str]:
    width = 2 + max(len(_assignment(name, _value(prefix + name, field, values))) for name, field in _plain(section))
    indent = "  " * prefix.count(".")
    for name, field in section.model_fields.items():
        key, inner = prefix + name, field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield ""
            yield f"{indent}{name}:  # {_first_line(inner)}"
            yield from _section(inner, f"{key}.", values, task)
            yield ""
            continue
        description = field.description or ""
        other = "generation" if task == "classification" else "classification"
        if description.startswith(f"{other}:"):
            continue
        description = description.removeprefix(f"{task}: ")
        todo = "FILL IN: " if key in _PLACEHOLDERS and key not in values else ""
        text = _assignment(name, _value(key, field, values))
        yield f"{indent}{text:<{width}}# {todo}{description}{_choices(field)}"


def _plain(section: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in section.model_fields.items():
        if not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            yield name, field


def _value(key: str, field: FieldInfo, values: Mapping[str, Any]) -> Any:
    if key in values:
        return values[key]
    return _PLACEHOLDERS[key] if field.is_required() else field.default


def _assignment(name: str, value: Any) -> str:
    plain = str(value) if isinstance(value, Path) else list(value) if isinstance(value, tuple) else value
    text = yaml.safe_dump(plain, allow_unicode=True, default_flow_style=True, width=10_000)
    return f"{name}: {text.splitlines()[0]}"


def _first_line(section: type[BaseModel]) -> str:
    return (section.__doc__ or "").splitlines()[0].rstrip(".")


def _choices(field: FieldInfo) -> str:
    if get_origin(field.annotation) is not Literal:
        return ""
    return f" ({', '.join(map(str, get_args(field.annotation)))})"


def _model(folder: Path) -> str | None:
    """A single transformers folder or GGUF file in the folder."""
    if not folder.is_dir():
        return None
    found = [path.parent for path in sorted(folder.glob("*/config.json"))] + sorted(folder.glob("*.gguf"))
    return found[0].relative_to(folder).as_posix() if len(found) == 1 else None


def _task(columns: Mapping[str, str | None]) -> Task | None:
    if columns["messages"] or (columns["prompt"] and columns["response"] and not columns["label"]):
        return "generation"
    return "classification" if columns["text"] and columns["label"] else None


def _columns(path: Path) -> list[str]:
    """Names of a data file's columns; none where its first row cannot be read: `zogan data check` says why."""
    try:
        if path.suffix == ".parquet":
            import pyarrow.parquet

            return [str(name) for name in pyarrow.parquet.read_schema(path).names]
        with path.open(encoding="utf-8-sig", newline="") as stream:
            if path.suffix == ".jsonl":
                row = json.loads(stream.readline())
                return list(row) if isinstance(row, dict) else []
            return next(csv.reader(stream, delimiter="\t" if path.suffix == ".tsv" else ","), [])
    except (OSError, ValueError, ImportError):
        return []
