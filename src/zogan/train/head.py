"""Where a new head starts: small random values, or fitted to the features that the base gives before it is tuned, or
trained on them for a while.

A start that already classifies makes the rate of the head matter less, and lets the chosen weights learn from the first
step on what the head alone cannot.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int64
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from torch import Tensor, nn

from zogan.config import HeadStart
from zogan.data.batch import batch_size
from zogan.progress import Progress, Silent
from zogan.tasks.classification import Classification
from zogan.tasks.classifier import Classifier
from zogan.tasks.job import Job
from zogan.tasks.task import Enter, enter_nothing
from zogan.train.warmup import warm_up

PENALTIES = tuple(10.0**power for power in range(-4, 4))
"""Tried for the ridge, times the features' variance, added up over the rows and averaged over the width."""

STRENGTHS = (10.0, 100.0, 1000.0)
"""Tried for the logistic regression: its inverse penalty times the mean squared length of a feature vector."""

FOLDS = 3
"""Of that cross-validation, or as many as the smallest class has rows."""

SHARPEST = 1e4
"""Bound of the factor by which scores become logits: rows without a fault would let it grow without end."""

Rows = Float[np.ndarray, "rows dim"]
Scores = Float[np.ndarray, "rows labels"]
Labels = Int64[np.ndarray, " rows"]


def begin(job: Job, model: nn.Module, enter: Enter = enter_nothing, progress: Progress = Silent()) -> None:
    """Give the job's new head the start that `train.head_start` and `train.head_warmup` ask for; nothing where the base
    keeps its own.

    Args:
        job: base, rows and options.
        model: the job's, not tuned yet.
        enter: gives for training rows the context in which the model runs on them.
        progress: told how far the warm-up is.
    """
    task = job.task
    if not is_fitted(job, model) or not isinstance(task, Classification) or not isinstance(model, Classifier):
        return
    examples = job.examples("train")
    features = task.features(model, examples, batch_size(job.config.evaluate), enter)
    labels = torch.tensor([example.labels[0] for example in examples])
    start_head(model.head, job.config.train.head_start, features, labels)
    warm_up(job, model, features, labels, progress)


def is_fitted(job: Job, model: nn.Module) -> bool:
    """Whether the model has a new head that does not start at random values."""
    train = job.config.train
    return (train.head_start != "normal" or train.head_warmup > 0) and isinstance(model, Classifier)


def start_head(
    head: nn.Linear, start: HeadStart, features: Float[Tensor, "rows dim"], labels: Int64[Tensor, " rows"]
) -> None:
    """Put a fitted start into a head, in place; `normal` leaves it as it is.

    `means` scores a row by its distance from each class's mean, as a nearest-centroid classifier does
    (arXiv:1703.05175, eq. 8); `ridge` is the least-squares solution of one column a class, its penalty chosen by
    leave-one-out. Scores become logits by one factor that gives the least cross-entropy on what is left out in turn,
    so that the head is no surer than it has reason to be. `logistic` is multinomial logistic regression, its penalty
    the one with the least cross-entropy in cross-validation.

    Args:
        head: from features to labels.
        start: which.
        features: of the training rows, before tuning.
        labels: index of each row's label; every label has a row.
    """
    if start == "normal":
        return
    x, y = features.double().cpu().numpy(), labels.cpu().numpy()
    weight, bias = _FITS[start](x, y, head.out_features)
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(weight))
        head.bias.copy_(torch.from_numpy(bias))


def _means(x: Rows, y: Labels, number: int) -> tuple[np.ndarray, np.ndarray]:
    counts = np.bincount(y, minlength=number)
    sums = np.zeros((number, x.shape[1]))
    np.add.at(sums, y, x)
    means = sums / np.maximum(counts, 1)[:, None]
    scores = x @ means.T - (means**2).sum(1) / 2  # (rows, labels)
    # Each row's own class without that row; a class of one row has no other.
    others = np.maximum(counts[y] - 1, 1)[:, None]
    own = (sums[y] - x) / others
    left_out = scores.copy()
    left_out[np.arange(len(y)), y] = (x * own).sum(1) - (own**2).sum(1) / 2
    kept = counts[y] > 1
    factor = _factor(left_out[kept], y[kept]) if kept.any() else 1.0
    return factor * means, -factor * (means**2).sum(1) / 2


def _ridge(x: Rows, y: Labels, number: int) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.linear_model import Ridge, RidgeCV

    target = np.eye(number)[y]
    unit = ((x - x.mean(0)) ** 2).sum() / x.shape[1] or 1.0
    penalties = [unit * penalty for penalty in PENALTIES]
    # With a scoring, what is kept are the predictions for each row by the fit without it, (rows, labels, penalties).
    left_out = RidgeCV(penalties, scoring="neg_mean_squared_error", store_cv_results=True).fit(x, target).cv_results_
    factors = [_factor(left_out[:, :, place], y) for place in range(len(penalties))]
    losses = [_cross_entropy(factor * left_out[:, :, place], y) for place, factor in enumerate(factors)]
    best = int(np.argmin(losses))
    fit = Ridge(penalties[best]).fit(x, target)
    return factors[best] * fit.coef_, factors[best] * fit.intercept_


def _logistic(x: Rows, y: Labels, number: int) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    length = (x**2).sum(1).mean() or 1.0
    best, folds = STRENGTHS[len(STRENGTHS) // 2], min(FOLDS, int(np.bincount(y, minlength=number).min()))
    if folds > 1:
        parts, losses = StratifiedKFold(folds, shuffle=True, random_state=0), []
        for strength in STRENGTHS:
            # Near enough to tell one penalty from another, in a fraction of the steps.
            rough = LogisticRegression(C=strength / length, max_iter=1000, tol=1e-3)
            found = cross_val_predict(rough, x, y, cv=parts, method="predict_proba")
            losses.append(_cross_entropy(np.log(found + 1e-12), y))
        best = STRENGTHS[int(np.argmin(losses))]
    fit = LogisticRegression(C=best / length, max_iter=1000).fit(x, y)
    if number > 2:
        return fit.coef_, fit.intercept_
    # Of two classes the library has the second one's logit alone.
    return np.concatenate([-fit.coef_, fit.coef_]) / 2, np.concatenate([-fit.intercept_, fit.intercept_]) / 2


_FITS = {"means": _means, "ridge": _ridge, "logistic": _logistic}


def _factor(scores: Scores, y: Labels) -> float:
    """The factor with the least cross-entropy; it is convex in it."""
    found = minimize_scalar(
        lambda log: _cross_entropy(np.exp(log) * scores, y), bounds=(np.log(1e-3), np.log(SHARPEST)), method="bounded"
    )
    return float(np.exp(found.x))


def _cross_entropy(logits: Scores, y: Labels) -> float:
    return float(-log_softmax(logits, axis=1)[np.arange(len(y)), y].mean())
