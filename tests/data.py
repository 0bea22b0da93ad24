"""The one place that makes and finds data for tests."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, Literal

from zogan.config import Config, parse_config
from zogan.data.rows import DialogueRow, Place, TextRow, dialogue

LABELS = ("bad", "fine", "good")
_WORDS = {"bad": "late lost broken rude", "fine": "today flight seat paper", "good": "thanks great quick kind"}


def text_rows(count: int, *, file: str = "train.jsonl", start: int = 0) -> list[TextRow]:
    """Texts that differ, of three classes in turn, that a tiny model can tell apart by their words."""
    rows = []
    for index in range(start, start + count):
        label = LABELS[index % len(LABELS)]
        words = _WORDS[label].split()
        text = f"{words[index % 4]} {words[index // 4 % 4]} number {index}"
        rows.append(TextRow(text, label, Place(file, index - start + 1)))
    return rows


def dialogue_rows(count: int, *, file: str = "train.jsonl", start: int = 0) -> list[DialogueRow]:
    """Prompts that differ, each with a short answer."""
    return [
        dialogue(f"Where is parcel {index}?", f"Parcel {index} is on its way.", Place(file, index - start + 1))
        for index in range(start, start + count)
    ]


def write_jsonl(path: Path, records: Iterable[Mapping[str, Any]]) -> Path:
    """One JSON object a line."""
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")
    return path


def write_rows(path: Path, rows: Iterable[TextRow | DialogueRow]) -> Path:
    """Rows as a JSONL file with the default columns."""
    return write_jsonl(
        path,
        (
            {"text": row.text, "label": row.label}
            if isinstance(row, TextRow)
            else {"prompt": row.input, "response": row.target}
            for row in rows
        ),
    )


def write_splits(
    folder: Path,
    task: Literal["classification", "generation"],
    *,
    train: int = 60,
    validation: int = 12,
    test: int = 24,
) -> dict[str, str]:
    """Three small files without any fault, and the `data:` section that names them."""
    make = text_rows if task == "classification" else dialogue_rows
    start = 0
    for name, count in (("train", train), ("validation", validation), ("test", test)):
        write_rows(folder / f"{name}.jsonl", make(count, start=start))
        start += count
    return {name: f"{name}.jsonl" for name in ("train", "validation", "test")}


def make_config(folder: Path, task: str = "classification", model: str = "base", **keys: Any) -> Config:
    """A configuration in `folder`; `data` is its train.jsonl where not given."""
    return parse_config({"model": model, "task": task, "data": {"train": "train.jsonl"}, **keys}, folder=folder)


def installed(wheel: str) -> bool:
    """Whether a wheel with demo data or a model is there."""
    try:
        distribution(wheel)
    except PackageNotFoundError:
        return False
    return True
