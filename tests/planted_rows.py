"""Jobs of which it is known what tuning would do: their rows, and what a tiny base shows of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from safetensors.torch import load_file, save_file

import data
from tiny import tiny_encoder
from zogan.data.rows import Place, TextRow
from zogan.models.load import quiet
from zogan.tasks import open_job
from zogan.tasks.job import Job

FILLERS = ("one", "two", "three", "four", "five", "six", "where", "when", "what", "how", "why", "please", "now", "then")
SUBJECTS = ("alpha", "bravo", "carbon", "delta", "eagle", "falcon", "garden", "hollow", "island", "jungle", "kettle")
WORDS = {"bad": ("late", "lost", "broken", "rude"), "good": ("thanks", "great", "quick", "kind")}


def job_of(folder: Path, rows: Sequence[TextRow], *, dims: int | None = None, own: tuple[str, ...] = ()) -> Job:
    """A job with these training rows.

    Args:
        folder: for the base and the rows.
        rows: to train on.
        dims: of the base's last layer, the others of which say nothing; all where absent.
        own: labels of the base's own head.
    """
    with quiet():
        tiny_encoder(folder / "base", pooling=None if own else "mean", labels=own)
    if dims is not None:
        _blind(folder / "base" / "model.safetensors", dims)
    splits = data.write_splits(folder, "classification", train=3, validation=6, test=6)
    data.write_rows(folder / "train.jsonl", rows)
    labels = sorted({row.label for row in rows})
    for name in ("validation", "test"):
        held_out = [TextRow(f"{name} {number}", label, Place(name, 1)) for number, label in enumerate(labels)]
        data.write_rows(folder / f"{name}.jsonl", held_out)
    config = data.make_config(folder, data=splits, evaluate={"resamples": 100})
    return open_job(config, cache=folder / "cache")


def told_apart() -> list[TextRow]:
    """Rows whose words say their class: a head on any base has them right."""
    return data.text_rows(90, start=99)


def by_lot() -> list[TextRow]:
    """The same under labels that mean nothing."""
    draw = np.random.default_rng(0)
    return [TextRow(row.text, data.LABELS[draw.integers(3)], row.place) for row in told_apart()]


def few() -> list[TextRow]:
    """Eleven classes with four rows each, of which one word in eight tells."""
    draw = np.random.default_rng(0)
    texts = [(" ".join([*draw.choice(FILLERS, 4), word, *draw.choice(FILLERS, 3)]), word) for word in SUBJECTS * 4]
    return _rows(texts)


def beyond() -> list[TextRow]:
    """Half of the rows by their words; the others by the parity of a number's digits, which no layer shows."""
    draw = np.random.default_rng(1)
    easy = [
        (f"{WORDS[label][i % 4]} {WORDS[label][i // 4 % 4]} number {i}", label) for i in range(32) for label in WORDS
    ]
    numbers = draw.choice(9000, 48, replace=False) + 1000
    hard = [(f"red number {number}", ("bad", "good")[sum(map(int, str(number))) % 2]) for number in numbers]
    texts = [*easy, *hard]
    return _rows([texts[place] for place in draw.permutation(len(texts))])


def _rows(texts: Sequence[tuple[str, str]]) -> list[TextRow]:
    return [TextRow(text, label, Place("train.jsonl", line)) for line, (text, label) in enumerate(texts, 1)]


def _blind(file: Path, dims: int) -> None:
    """The last layer gives these dimensions alone, whatever it has read."""
    weights = load_file(file)
    name = "encoder.layer.1.output.LayerNorm"
    (key,) = (key for key in weights if key.endswith(f"{name}.weight"))
    weights[key][dims:] = 0
    weights[key.replace(".weight", ".bias")][:] = 0
    save_file(weights, file, metadata={"format": "pt"})
