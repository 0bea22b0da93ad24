"""Which labels a classifier that has not seen them doubts, by the rule of confident learning (arXiv:1911.00068)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64


@dataclass(frozen=True, eq=False)
class Doubts:
    """Rows whose label is doubted.

    Attributes:
        rows: their indices, the least likely label first.
        suggested: the class that each seems to be.
        expected_share: share of all labels that the rule takes to be wrong, 0 to 1.
    """

    rows: tuple[int, ...]
    suggested: tuple[int, ...]
    expected_share: float


def doubted(probabilities: Float64[np.ndarray, "rows classes"], given: Int64[np.ndarray, " rows"]) -> Doubts:
    """Rows that are less sure of their own class, and surer of another, than that class's own rows are in the mean.

    A class's threshold is the mean probability of it over the rows that are labelled so (arXiv:1911.00068, eq. 2). A
    row is doubted where its own class's probability lies below that threshold and another's reaches its own; the
    likeliest of these is suggested. The share of wrong labels is that of the confident joint (eq. 1) once each of its
    rows is scaled to the class's size (eq. 3).

    Args:
        probabilities: of each class, from a model that has not seen the row; each row adds up to 1.
        given: class of each row; every class has a row.
    """
    number, classes = probabilities.shape
    own = probabilities[np.arange(number), given]
    counts = np.bincount(given, minlength=classes)
    thresholds = np.bincount(given, weights=own, minlength=classes) / counts
    # A threshold is a mean of floats: what equals it must not fall below it by the last bit.
    confident = probabilities >= thresholds - 1e-12
    likeliest = np.where(confident, probabilities, -1.0).argmax(axis=1)
    counted = confident.any(axis=1)
    below = ~confident[np.arange(number), given]
    found = np.flatnonzero(below & counted)
    found = found[np.argsort(own[found], kind="stable")]
    joint = np.zeros((classes, classes))
    np.add.at(joint, (given[counted], likeliest[counted]), 1.0)
    sums = joint.sum(axis=1)
    right = np.where(sums > 0, joint.diagonal() / np.maximum(sums, 1.0), 1.0)
    return Doubts(
        rows=tuple(found.tolist()),
        suggested=tuple(likeliest[found].tolist()),
        expected_share=float((counts * (1.0 - right)).sum() / number),
    )
