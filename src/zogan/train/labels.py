"""Labels that may be wrong: what rows that were held out say of each training row. Nothing is changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float64, Int64
from pydantic import BaseModel, ConfigDict

from zogan.config import BudgetConfig
from zogan.data.batch import batch_size
from zogan.data.doubts import Doubts, doubted
from zogan.data.finding import excerpt
from zogan.data.folds import folds
from zogan.data.rows import TextRow
from zogan.errors import ConfigError, DataError
from zogan.progress import Progress, Silent
from zogan.tasks.classification import Classification
from zogan.tasks.job import Job
from zogan.train.forward import as_measured
from zogan.train.held import hold
from zogan.train.need import Need

FOLDS = 5
"""Parts of the training rows, each of which is judged by what the others teach."""

STRENGTHS = (0.001, 0.01, 0.1, 1.0)
"""Inverse strengths of the regularisation among which the loss on held-out rows chooses (scikit-learn's C)."""


class Doubt(BaseModel):
    """A row whose label may be wrong.

    `probability` is of its own label and `suggested_probability` of the one that fits better, 0 to 1, both from a
    model that has not seen the row.
    """

    model_config = ConfigDict(frozen=True)

    file: str
    line: int
    text: str
    label: str
    suggested: str
    probability: float
    suggested_probability: float


class LabelCheck(BaseModel):
    """What held-out rows say of the training rows' labels.

    `judged` counts the rows that were looked at, `expected_share` is the share of them (0 to 1) whose label is taken to
    be wrong, `accuracy` the share whose label the model itself would have given; `doubts` are the rows to look at, the
    least likely label first; `unjudged` names the classes with too few rows to hold any out, and counts their rows.
    """

    model_config = ConfigDict(frozen=True)

    judged: int
    expected_share: float
    accuracy: float
    doubts: tuple[Doubt, ...]
    unjudged: dict[str, int]


def check_job(job: Job, *, progress: Progress = Silent()) -> LabelCheck:
    """Look at the training rows' labels; see `zogan.check_labels`."""
    if not isinstance(job.task, Classification):
        raise ConfigError("labels are of classification: generation has none", where="task")
    rows = [row for row in job.splits.train if isinstance(row, TextRow)]
    given = np.array([example.labels[0] for example in job.examples("train")], dtype=np.int64)
    parts = folds(rows, FOLDS, seed=job.config.data.seed, where="data.train")
    learnt = learnable(given, parts)
    if len(learnt) < 2:
        raise DataError("fewer than two classes have rows enough to hold some out", where="data.train")
    judged = np.flatnonzero(np.isin(given, learnt))
    place = {row: new for new, row in enumerate(judged.tolist())}
    parts = [tuple(place[row] for row in part if row in place) for part in parts]
    which = np.searchsorted(learnt, given[judged])
    progress.note(f"{len(judged):,} rows run through the base once; {len(parts)} parts of them are judged in turn")
    probabilities = held_out_probabilities(_features(job, progress)[judged], which, [part for part in parts if part])
    found = doubted(probabilities, which)
    labels = [job.task.labels[label] for label in learnt]
    left_out = [label for label in np.unique(given).tolist() if label not in learnt]
    return LabelCheck(
        judged=len(judged),
        expected_share=found.expected_share,
        accuracy=float((probabilities.argmax(axis=1) == which).mean()),
        doubts=told(found, [rows[row] for row in judged.tolist()], probabilities, which, labels),
        unjudged={job.task.labels[label]: int((given == label).sum()) for label in left_out},
    )


def learnable(given: Int64[np.ndarray, " rows"], parts: Sequence[Sequence[int]]) -> list[int]:
    """Classes that are judged: whatever part is held out, some of their rows are left."""
    return [label for label in np.unique(given).tolist() if _can_be_learnt(given, label, parts)]


def told(
    found: Doubts,
    rows: Sequence[TextRow],
    probabilities: Float64[np.ndarray, "rows classes"],
    given: Int64[np.ndarray, " rows"],
    labels: Sequence[str],
) -> tuple[Doubt, ...]:
    """The rows in doubt with their places, the least likely label first.

    Args:
        found: which, as indices.
        rows: that were judged.
        probabilities: of each class, from a model that has not seen the row.
        given: class of each row.
        labels: names of the classes.
    """
    return tuple(
        _doubt(rows[row], probabilities[row, given[row]], labels[other], probabilities[row, other])
        for row, other in zip(found.rows, found.suggested, strict=True)
    )


def held_out_probabilities(
    features: Float64[np.ndarray, "rows dim"], given: Int64[np.ndarray, " rows"], parts: Sequence[Sequence[int]]
) -> Float64[np.ndarray, "rows classes"]:
    """Probability of each class for each row, by logistic regression on the rows of the other parts.

    Features are brought to unit variance. Of `STRENGTHS` the one with the least loss over all held-out rows is taken:
    what fits wrong labels by heart would be sure of them.

    Args:
        features: what is known of each row.
        given: class of each row, 0 to classes - 1; each stands in the rest of every part.
        parts: of the rows, which together are all.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    best, least = np.zeros((len(given), int(given.max()) + 1)), np.inf
    for strength in STRENGTHS:
        found = np.zeros_like(best)
        for part in parts:
            rest = np.setdiff1d(np.arange(len(given)), part)
            model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=2000))
            model.fit(features[rest], given[rest])
            found[list(part)] = model.predict_proba(features[list(part)])
        loss = -np.log(np.maximum(found[np.arange(len(given)), given], 1e-300)).mean()
        if loss < least:
            best, least = found, loss
    return best


def _features(job: Job, progress: Progress) -> Float64[np.ndarray, "rows dim"]:
    """What a new head would read of each training row, by the base as it came."""
    config, task = job.config, job.task
    assert isinstance(task, Classification)
    budget = BudgetConfig(memory=config.budget.memory)
    if task.keeps_head:  # its features stand before that head
        task = Classification(replace(job.base, labels=None), task.labels, max_length=task.max_length)
    frozen = Job(
        config.model_copy(update={"method": "head", "budget": budget}), job.base, job.splits, task, cache=job.cache
    )
    held = hold(frozen, Need("reading", 1, 0.0, ("train",), as_measured(frozen)), progress=progress)
    found = task.features(held.model, frozen.examples("train"), batch_size(config.evaluate), held.enter("train"))
    return np.asarray(found.cpu().numpy(), dtype=np.float64)


def _can_be_learnt(given: Int64[np.ndarray, " rows"], label: int, parts: Sequence[Sequence[int]]) -> bool:
    """Whether the class is judged, and whatever part is held out, some of its rows are left."""
    of_class = set(np.flatnonzero(given == label).tolist())
    held_out = [of_class & set(part) for part in parts]
    return set().union(*held_out) == of_class and all(part < of_class for part in held_out)


def _doubt(row: TextRow, probability: float, suggested: str, suggested_probability: float) -> Doubt:
    return Doubt(
        file=row.place.file,
        line=row.place.line,
        text=excerpt(row.text),
        label=row.label,
        suggested=suggested,
        probability=round(float(probability), 4),
        suggested_probability=round(float(suggested_probability), 4),
    )
