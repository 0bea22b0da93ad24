"""Metrics by name. Each is a function of the predictions that gives a few numbers a row.

A figure is computed from the sums of those numbers over rows, so that any metric can be resampled at once. Others
add theirs with the same decorator, in a module that an entry point of the group `zogan.metrics` names.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float64
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics import CHRF

from zogan.errors import ConfigError
from zogan.evaluate.words import Words
from zogan.tasks.task import ClassPredictions, TextPredictions

TaskName = Literal["classification", "generation"]
Rows = Float64[np.ndarray, "rows parts"]
Sums = Float64[np.ndarray, "resamples parts"]

GROUP = "zogan.metrics"

_TABLE: dict[str, "Metric"] = {}


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric.

    Args:
        name: in tables and files.
        task: whose predictions it reads.
        higher_is_better: which way is good.
        rows: what each row adds.
        figure: from the sums over rows.
        most: the largest figure that there can be.
        proportion: each row is right or wrong, and the figure is the share of those that are right.
    """

    name: str
    task: TaskName
    higher_is_better: bool
    rows: Callable[[Any], Rows]
    figure: Callable[[Sums], Float64[np.ndarray, " resamples"]]
    most: float = math.inf
    proportion: bool = False

    def right(self, rows: Rows) -> Bool[np.ndarray, " rows"]:
        """Whether each row is right, for a proportion."""
        return np.asarray(self.figure(rows) > 0.5)


def ratio(sums: Sums) -> Float64[np.ndarray, " resamples"]:
    """First part over second: a mean."""
    return np.asarray(sums[:, 0] / sums[:, 1])


def metric(
    task: TaskName,
    *,
    higher_is_better: bool,
    figure: Callable[[Sums], Float64[np.ndarray, " resamples"]] = ratio,
    most: float = math.inf,
    proportion: bool = False,
) -> Callable[[Callable[[Any], Rows]], Metric]:
    """Register the function below, which says what each row adds, as a metric of its name.

    Args:
        task: whose predictions it reads.
        higher_is_better: which way is good.
        figure: from the sums over rows; sum of the first part over the second's where absent.
        most: the largest figure that there can be.
        proportion: each row is right or wrong, and the figure is the share of those that are right.

    Raises:
        ConfigError: the name is taken.
    """

    def register(rows: Callable[[Any], Rows]) -> Metric:
        name = getattr(rows, "__name__", "metric")
        if name in _TABLE:
            raise ConfigError(f"metric {name!r} is known already", where=rows.__module__, todo="Rename it")
        _TABLE[name] = Metric(name, task, higher_is_better, rows, figure, most, proportion)
        return _TABLE[name]

    return register


def metrics(task: TaskName) -> dict[str, Metric]:
    """All metrics of a task, this package's first."""
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        point.load()  # which registers what it defines
    return {name: found for name, found in _TABLE.items() if found.task == task}


@metric("classification", higher_is_better=True, most=1, proportion=True)
def accuracy(predictions: ClassPredictions) -> Rows:
    """Share of rows with the right label."""
    return _mean(predictions.choice == predictions.truth)


def _macro(sums: Sums) -> Float64[np.ndarray, " resamples"]:
    hits, chosen, true = np.split(sums, 3, axis=1)  # (resamples, labels) each
    seen = (chosen + true) > 0
    each = np.divide(2 * hits, chosen + true, out=np.zeros_like(hits), where=seen)
    return np.asarray(each.sum(axis=1) / seen.sum(axis=1))


@metric("classification", higher_is_better=True, figure=_macro, most=1)
def macro_f1(predictions: ClassPredictions) -> Rows:
    """F1 of each label, averaged over the labels that stand in the truth or the predictions, as sklearn does."""
    identity = np.eye(len(predictions.labels))
    chosen, true = identity[predictions.choice], identity[predictions.truth]  # (rows, labels)
    return np.concatenate([chosen * true, chosen, true], axis=1)


@metric("generation", higher_is_better=False)
def loss(predictions: TextPredictions) -> Rows:
    """Mean over the responses' tokens, nats."""
    return np.stack([predictions.losses, predictions.tokens.astype(np.float64)], axis=1)


@metric("generation", higher_is_better=False, figure=lambda sums: np.exp(np.minimum(ratio(sums), 700)))
def perplexity(predictions: TextPredictions) -> Rows:
    """Exponential of the loss."""
    return loss.rows(predictions)


@metric("generation", higher_is_better=True, most=100)
def chrf(predictions: TextPredictions) -> Rows:
    """Mean over rows of sentence chrF2 (Popović 2015, by sacrebleu), 0 to 100."""
    scorer = CHRF()
    return _mean([scorer.sentence_score(answer, [reference]).score for answer, reference in _pairs(predictions)])


@metric("generation", higher_is_better=True, most=1)
def rouge_l(predictions: TextPredictions) -> Rows:
    """Mean over rows of ROUGE-L's F measure (Lin 2004), 0 to 1; words, or characters where words have no spaces."""
    scorer = RougeScorer(["rougeL"], tokenizer=Words())
    return _mean([scorer.score(reference, answer)["rougeL"].fmeasure for answer, reference in _pairs(predictions)])


@metric("generation", higher_is_better=True, most=1, proportion=True)
def exact_match(predictions: TextPredictions) -> Rows:
    """Share of answers that are the reference, runs of white space aside."""
    return _mean([answer.split() == reference.split() for answer, reference in _pairs(predictions)])


def _pairs(predictions: TextPredictions) -> list[tuple[str, str]]:
    return list(zip(predictions.answers, predictions.references, strict=True))


def _mean(values: Any) -> Rows:
    column = np.asarray(values, dtype=np.float64)
    return np.stack([column, np.ones_like(column)], axis=1)
