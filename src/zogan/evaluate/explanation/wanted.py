"""Which rows are explained."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zogan.data.rows import Place, Row, TextRow, dialogue
from zogan.errors import DataError
from zogan.evaluate.explanation.result import Asked
from zogan.evaluate.predictions import Predicted
from zogan.tasks.classification import Classification
from zogan.tasks.job import Job
from zogan.tasks.task import ClassPredictions, TextPredictions


@dataclass(frozen=True)
class Wanted:
    """A row to explain.

    Args:
        why: it is among them.
        row: as data; of a text, whose answer is not known, with any.
        number: among the test rows, from 1; None for a text.
    """

    why: Asked
    row: Row
    number: int | None


def numbered(job: Job, number: int) -> Wanted:
    """A test row by its number, from 1.

    Raises:
        DataError: there is no such row.
    """
    rows = job.splits.test
    if not 1 <= number <= len(rows):
        raise DataError(f"there is no test row {number}", where="--row", todo=f"Give one from 1 to {len(rows)}")
    return Wanted("row", rows[number - 1], number)


def a_text(job: Job, text: str) -> Wanted:
    """A text of the user's.

    Raises:
        DataError: there is nothing in it.
    """
    if not text.strip():
        raise DataError("is empty", where="--text", todo="Give the text that the model shall answer")
    place = Place("--text", 1)
    if isinstance(job.task, Classification):
        return Wanted("text", TextRow(text, job.task.labels[0], place), None)
    return Wanted("text", dialogue(text, "", place), None)


def telling(job: Job, predicted: Predicted) -> list[Wanted]:
    """Rows that tell the most: the surest that came right, the surest that went wrong, and the least sure.

    Of generation, by the loss a token: the row whose loss fell most, the one whose loss rose most, and the largest.

    Args:
        job: with the test rows.
        predicted: what the models before and after said of them.
    """
    before, after = predicted.before, predicted.after
    if isinstance(before, ClassPredictions) and isinstance(after, ClassPredictions):
        sure = after.probabilities.max(axis=1)
        was, is_now = before.choice == before.truth, after.choice == after.truth
        order: dict[Asked, np.ndarray] = {
            "right": np.where(~was & is_now, sure, -np.inf),
            "wrong": np.where(was & ~is_now, sure, -np.inf),
            "uncertain": -sure,
        }
    elif isinstance(before, TextPredictions) and isinstance(after, TextPredictions):
        then, now = before.losses / before.tokens, after.losses / after.tokens
        order = {
            "right": np.where(now < then, then - now, -np.inf),
            "wrong": np.where(now > then, now - then, -np.inf),
            "uncertain": now,
        }
    else:
        return []
    found: list[Wanted] = []
    for why, score in order.items():
        free = score.astype(np.float64)
        free[[one.number - 1 for one in found if one.number is not None]] = -np.inf
        place = int(free.argmax())
        if np.isfinite(free[place]):
            found.append(Wanted(why, job.splits.test[place], place + 1))
    return found
