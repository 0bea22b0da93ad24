"""Which rows a model has right, and what it answers, whatever the task."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool

from zogan.tasks.task import ClassPredictions, Predictions


def said(predictions: Predictions) -> list[str]:
    """The label, or the answer with runs of white space as one, of each row that is answered."""
    if isinstance(predictions, ClassPredictions):
        return [predictions.labels[choice] for choice in predictions.choice.tolist()]
    return [" ".join(answer.split()) for answer in predictions.answers]


def right(predictions: Predictions) -> Bool[np.ndarray, " rows"]:
    """Whether each row that is answered is right: its label, or word for word its reference."""
    if isinstance(predictions, ClassPredictions):
        return np.asarray(predictions.choice == predictions.truth)
    pairs = zip(predictions.answers, predictions.references, strict=True)
    return np.array([answer.split() == reference.split() for answer, reference in pairs], dtype=bool)
