"""Sides of a comparison whose figures are known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from zogan.config import EvaluateConfig
from zogan.data.rows import Place, Row, TextRow, dialogue
from zogan.evaluate.comparison.figures import compare_pair
from zogan.evaluate.comparison.pair import pair
from zogan.evaluate.comparison.result import Comparison
from zogan.evaluate.comparison.side import Side
from zogan.evaluate.predictions import system
from zogan.evaluate.protocol.sample import row_key
from zogan.tasks.task import ClassPredictions, TextPredictions

LABELS = ("bad", "fine", "good")
SETTINGS = EvaluateConfig(resamples=300)


def texts(count: int, start: int = 0) -> list[Row]:
    """Labels take turns."""
    return [TextRow(f"text {n}", LABELS[n % 3], Place("t.jsonl", n + 1)) for n in range(start, start + count)]


def dialogues(count: int) -> list[Row]:
    return [dialogue(f"p {n}", f"answer {n}", Place("t.jsonl", n + 1)) for n in range(count)]


def side(name: str, rows: Sequence[Row], task: dict[str, Any], predictions: Any, **more: Any) -> Side:
    keys, places = tuple(map(row_key, rows)), tuple(row.place for row in rows)
    longest = more.get("max_new_tokens")
    return Side(name, "run", "0" * 64, task, longest, keys, places, system(predictions, "1" * 64))


def classifier(
    name: str, rows: Sequence[Row], choices: Sequence[str], *, labels: tuple[str, ...] = LABELS, sure: Any = 0.8
) -> Side:
    """Chooses the labels that are given, each with a probability of `sure`."""
    truth = np.array([labels.index(row.target) for row in rows], dtype=np.int64)
    chosen, each = np.array([labels.index(choice) for choice in choices], dtype=np.int64), np.arange(len(rows))
    probabilities = np.repeat(((1 - np.broadcast_to(sure, len(rows))) / (len(labels) - 1))[:, None], len(labels), 1)
    probabilities[each, chosen] = sure
    losses = -np.log(probabilities[each, truth])
    return side(
        name,
        rows,
        {"task": "classification", "labels": list(labels), "max_length": 64},
        ClassPredictions(labels, truth, probabilities, losses),
    )


def writer(
    name: str, rows: Sequence[Row], losses: Any, answers: Sequence[str] = (), *, tokens: int = 4, **more: Any
) -> Side:
    """`losses` are of each row, mean over its tokens."""
    references = tuple(row.target for row in rows[: len(answers)])
    sums = np.broadcast_to(losses, len(rows)) * float(tokens)
    task = {"task": "generation", "prompt_format": "plain", "max_length": 64} | more.pop("task", {})
    return side(name, rows, task, TextPredictions(sums, np.full(len(rows), tokens), tuple(answers), references), **more)


def compared(a: Side, b: Side, rows: Sequence[Row] | None = None, **more: Any) -> Comparison:
    named: dict[str, Any] = {"slices": {}, "settings": SETTINGS, "seed": 0} | more
    return compare_pair(pair(a, b), rows, named.pop("slices"), **named)
