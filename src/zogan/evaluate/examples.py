"""Rows that got better and rows that got worse."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zogan.data.rows import Row
from zogan.evaluate.evaluation import ClassExample, Examples, TextExample
from zogan.tasks.task import ClassPredictions, TextPredictions

SHOWN = 10
"""Rows of each kind."""


def class_examples(rows: Sequence[Row], before: ClassPredictions, after: ClassPredictions) -> Examples:
    """Wrong that came right, and right that went wrong; those of which the model is surest now come first."""
    sure = after.probabilities.max(axis=1)
    was, is_now = before.choice == before.truth, after.choice == after.truth

    def chosen(mask: np.ndarray) -> tuple[ClassExample, ...]:
        indices = np.flatnonzero(mask)
        return tuple(example(index) for index in indices[np.argsort(-sure[indices], kind="stable")][:SHOWN].tolist())

    def example(index: int) -> ClassExample:
        return ClassExample(
            place=str(rows[index].place),
            text=rows[index].input,
            truth=rows[index].target,
            before=before.labels[before.choice[index]],
            after=after.labels[after.choice[index]],
            probability=float(sure[index]),
        )

    return Examples(better=chosen(~was & is_now), worse=chosen(was & ~is_now))


def text_examples(rows: Sequence[Row], before: TextPredictions, after: TextPredictions) -> Examples:
    """Rows whose mean loss fell most, and rose most; among those with an answer where there are any."""
    was, is_now = before.losses / before.tokens, after.losses / after.tokens
    answered = len(before.answers)
    order = np.argsort((is_now - was)[: answered or None], kind="stable").tolist()

    def example(index: int) -> TextExample:
        return TextExample(
            place=str(rows[index].place),
            prompt=rows[index].input,
            reference=rows[index].target,
            before=before.answers[index] if answered else None,
            after=after.answers[index] if answered else None,
            loss_before=float(was[index]),
            loss_after=float(is_now[index]),
        )

    return Examples(
        better=tuple(example(index) for index in order[:SHOWN] if is_now[index] < was[index]),
        worse=tuple(example(index) for index in order[::-1][:SHOWN] if is_now[index] > was[index]),
    )
