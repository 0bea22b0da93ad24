"""What a classifier could do with the base as it is: by a head, by neighbours, by all layers, with fewer rows."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64

from zogan.data.folds import folds
from zogan.data.rows import TextRow
from zogan.errors import DataError
from zogan.evaluate.applicability.hidden import Layers, nearest
from zogan.evaluate.statistics import LearningCurve, learning_curve
from zogan.train.labels import FOLDS, STRENGTHS, learnable

DRAWS = 3
"""Times that rows are drawn for each size of the learning curve."""

PENALTIES = tuple(10.0 ** (power / 2) for power in range(-12, 1))
"""Tried for a ridge, times the squared length of all features of all rows, so that they suit any width."""

CURVE_ITERATIONS = 300
"""Most steps of a fit for the learning curve: near enough to tell one size from another."""

Given = Int64[np.ndarray, " rows"]
Right = Bool[np.ndarray, " rows"]
Parts = Sequence[tuple[int, ...]]


def cut(rows: Sequence[TextRow], given: Given, seed: int) -> tuple[Int64[np.ndarray, " judged"], Parts, list[int]]:
    """The folds in which rows are judged by what the others teach.

    Returns:
        The rows that are judged, the folds as places among those, and their classes; all empty where fewer than two
        classes have rows enough.
    """
    try:
        parts = folds(rows, FOLDS, seed=seed, where="data.train")
    except DataError:
        return np.zeros(0, dtype=np.int64), [], []
    classes = learnable(given, parts)
    if len(classes) < 2:
        return np.zeros(0, dtype=np.int64), [], []
    judged = np.flatnonzero(np.isin(given, classes))
    place = {row: new for new, row in enumerate(judged.tolist())}
    found = [tuple(place[row] for row in part if row in place) for part in parts]
    return judged, [part for part in found if part], classes


def by_neighbour(features: Float[np.ndarray, "rows dim"], given: Given, parts: Parts) -> Right:
    """Whether the most similar row of the other folds has the row's class."""
    right = np.zeros(len(given), dtype=bool)
    for part in parts:
        rest = np.setdiff1d(np.arange(len(given)), part)
        closest = nearest(features[list(part)], features[rest])[:, 0]
        right[list(part)] = given[rest[closest]] == given[list(part)]
    return right


def within_reach(layers: Layers, given: Given) -> tuple[Right, Right]:
    """Whether a ridge classifier that has not seen a row is right on it: on the last layer alone, and on all layers.

    What tuning can bring out without much change is in the layers already, where the last does not show it: a linear
    head on all of them comes near to fine-tuning (Head2Toe, arXiv:2201.03529). Both are fitted in the same way, each
    row left out in turn in closed form, so that their difference is that of the features.
    """
    whole = np.moveaxis(layers, 0, 1).reshape(layers.shape[1], -1)  # (rows, layers * dim)
    return _by_ridge(layers[-1], given), _by_ridge(whole, given)


def more_rows(
    features: Float[np.ndarray, "rows dim"], given: Given, parts: Parts, *, level: float, seed: int, resamples: int
) -> LearningCurve | None:
    """What twice the training rows would bring a head on the frozen features; None where they cannot be quartered.

    Each fold is judged by heads that learn from a quarter, half and all of the others.
    """
    least = min(len(given) - len(part) for part in parts) // 4
    if least < 2:
        return None
    sizes = (least, 2 * least, 4 * least)
    table = np.zeros((3, DRAWS, len(given), 2))
    table[..., 1] = 1.0
    strength = _strength(features, given, parts[0])
    generator = np.random.default_rng(seed)
    for draw in range(DRAWS):
        for part in parts:
            order = _evenly(np.setdiff1d(np.arange(len(given)), part), given, generator)
            for place, size in enumerate(sizes):
                taken, held_out = order[:size], list(part)
                table[place, draw, held_out, 0] = (
                    _predicted(features, given, taken, held_out, strength) == given[held_out]
                )
    return learning_curve(
        table,
        lambda sums: sums[:, 0] / sums[:, 1],
        sizes=sizes,
        higher_is_better=True,
        level=level,
        resamples=resamples,
        seed=seed,
    )


def _by_ridge(features: Float[np.ndarray, "rows dim"], given: Given) -> Right:
    from sklearn.linear_model import RidgeCV

    x = features.astype(np.float64)
    x = (x - x.mean(0)) / (x.std(0) + 1e-9)
    target = np.eye(int(given.max()) + 1)[given]
    penalties = [float((x**2).sum()) * penalty for penalty in PENALTIES]
    # With a scoring, what is kept are the predictions for each row by the fit without it, (rows, labels, penalties).
    left_out = RidgeCV(penalties, scoring="neg_mean_squared_error", store_cv_results=True).fit(x, target).cv_results_
    errors = ((left_out - target[:, :, None]) ** 2).mean(axis=(0, 1))
    return np.asarray(left_out[:, :, int(errors.argmin())].argmax(axis=1) == given)


def _strength(features: Float[np.ndarray, "rows dim"], given: Given, part: Sequence[int]) -> float:
    """The regularisation that is right most often on one fold; the strongest of those that are equal."""
    rest = np.setdiff1d(np.arange(len(given)), part)
    scores = [(_predicted(features, given, rest, list(part), one) == given[list(part)]).mean() for one in STRENGTHS]
    return STRENGTHS[int(np.argmax(scores))]


def _predicted(
    features: Float[np.ndarray, "rows dim"], given: Given, taken: np.ndarray, asked: list[int], strength: float
) -> Float64[np.ndarray, " asked"] | Int64[np.ndarray, " asked"]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if len(np.unique(given[taken])) < 2:
        return np.full(len(asked), given[taken[0]])
    model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=CURVE_ITERATIONS, tol=1e-3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=ConvergenceWarning)
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)  # a quarter of few rows has many
        model.fit(features[taken], given[taken])
    return np.asarray(model.predict(features[asked]))


def _evenly(some: Int64[np.ndarray, " some"], given: Given, generator: np.random.Generator) -> np.ndarray:
    """The rows in random order, so that every beginning of it has the classes in proportion."""
    shuffled = generator.permutation(some)
    place = np.zeros(len(shuffled))
    for label in np.unique(given[shuffled]):
        members = np.flatnonzero(given[shuffled] == label)
        place[members] = (np.arange(len(members)) + generator.random()) / len(members)
    return np.asarray(shuffled[np.argsort(place, kind="stable")])
