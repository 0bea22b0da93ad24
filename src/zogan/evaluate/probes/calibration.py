"""calibration: is a classifier right as often as it is sure?"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float64
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from zogan.config import CalibrationConfig
from zogan.data.finding import excerpt
from zogan.evaluate.evaluation import Figure
from zogan.evaluate.probes.bench import Bench
from zogan.evaluate.probes.reading import SHOWN, Example, Reading, Table
from zogan.evaluate.probes.registry import probe
from zogan.evaluate.probes.share import bootstrap
from zogan.evaluate.statistics import Interval
from zogan.tasks.task import ClassPredictions

TEMPERATURES = (0.05, 20.0)
"""Bounds of a temperature that is fitted."""

_DRAWS = 1000
"""Times that answers are drawn as often right as the model is sure, to see what chance alone makes of the error."""


@probe("classification")
def calibration(bench: Bench, options: CalibrationConfig) -> list[Reading]:
    """Expected calibration error, its table, and what one temperature mends of it.

    The error is the gap between how sure the model is of its answer and how often that is right, in bins of equally
    many rows, mean over rows: Naeini et al., AAAI 2015; with such bins Nixon et al., arXiv:1904.01685. The temperature
    is fitted on the validation rows: Guo et al., arXiv:1706.04599.
    """
    rows, after = bench.test, bench.classes("after", bench.test)
    found = [_Binned(after, options.bins)]
    if bench.has("before"):
        found.insert(0, _Binned(bench.classes("before", rows), options.bins))

    def figures(counts: Float64[np.ndarray, "resamples rows"]) -> Float64[np.ndarray, "resamples figures"]:
        errors = [one.errors(counts) for one in found]
        return np.stack(errors if len(errors) == 1 else [*errors, errors[1] - errors[0]], axis=1)

    # Bins of few rows differ from the truth by chance, and resampled again they do so twice: that much is taken off.
    told = [_basic(one) for one in bootstrap(bench, figures, len(rows), accelerate=False)]
    for place, one in enumerate(found):
        told[place] = _at_least_0(told[place], one, bench)
    also, notes = {"chance": found[-1].by_chance(bench, 0.5)}, []
    if bench.job.splits.validation:
        temperature = fitted_temperature(bench.classes("after", bench.job.splits.validation))
        also["temperature"] = temperature
        also["with_temperature"] = _Binned(cooled(after, temperature), options.bins).error
    else:
        notes.append("no validation rows to fit a temperature on")
    reading = Reading(
        name="calibration",
        figure="expected calibration error",
        unit="share",
        rows=len(rows),
        before=told[0] if len(told) > 1 else None,
        value=told[len(found) - 1],
        difference=told[2] if len(told) > 1 else None,
        also=also,
        tables=(found[-1].table(),),
        examples=_surest_faults(bench, after),
        notes=tuple(notes),
    )
    return [reading.held_to(options.limit)]


class _Binned:
    """Predictions in bins of equally many rows, the least sure first."""

    def __init__(self, predictions: ClassPredictions, bins: int) -> None:
        self.sure = predictions.probabilities.max(axis=1)
        self.right: Bool[np.ndarray, " rows"] = predictions.choice == predictions.truth
        order = np.argsort(self.sure, kind="stable")
        self.bins = [part for part in np.array_split(order, bins) if len(part)]
        self.member = np.zeros((len(order), len(self.bins)))  # (rows, bins)
        for place, part in enumerate(self.bins):
            self.member[part, place] = 1

    def errors(self, counts: Float64[np.ndarray, "resamples rows"]) -> Float64[np.ndarray, " resamples"]:
        """The error of each resample, in the bins of all rows."""
        gaps = counts @ (self.member * (self.sure - self.right)[:, None])  # (resamples, bins)
        return np.asarray(np.abs(gaps).sum(axis=1) / counts.sum(axis=1))

    @property
    def error(self) -> float:
        """The error over all rows."""
        return float(self.errors(np.ones((1, len(self.sure))))[0])

    def by_chance(self, bench: Bench, quantile: float) -> float:
        """What the error would be of a model that is right just as often as it is sure, by chance of the rows.

        Bröcker and Smith, "Increasing the reliability of reliability diagrams", Weather and Forecasting 22 (2007).
        """
        draws = np.random.default_rng(bench.seed).random((_DRAWS, len(self.sure)))
        gaps = (self.sure - (draws < self.sure)) @ self.member  # (draws, bins)
        return float(np.quantile(np.abs(gaps).sum(axis=1) / len(self.sure), quantile))

    def table(self) -> Table:
        """The reliability table."""
        rows = [(len(part), float(self.sure[part].mean()), float(self.right[part].mean())) for part in self.bins]
        return Table(title="reliability", columns=("rows", "sure", "right"), rows=tuple(rows))


def fitted_temperature(predictions: ClassPredictions) -> float:
    """The temperature under which the rows' labels are likeliest, within `TEMPERATURES`."""
    logs = _logs(predictions)

    def loss(log_temperature: float) -> float:
        cool = log_softmax(logs / np.exp(log_temperature), axis=1)
        return float(-cool[np.arange(len(cool)), predictions.truth].mean())

    low, high = np.log(TEMPERATURES)
    return float(np.exp(minimize_scalar(loss, bounds=(low, high), method="bounded").x))


def cooled(predictions: ClassPredictions, temperature: float) -> ClassPredictions:
    """The same predictions under a temperature: above 1 less sure, below 1 surer, with the same choices."""
    probabilities = softmax(_logs(predictions) / temperature, axis=1)
    losses = -np.log(probabilities[np.arange(len(probabilities)), predictions.truth])
    return ClassPredictions(predictions.labels, predictions.truth, probabilities, losses)


def _logs(predictions: ClassPredictions) -> Float64[np.ndarray, "rows labels"]:
    """Logits, but for a constant in each row."""
    return np.asarray(np.log(np.maximum(predictions.probabilities, np.finfo(np.float64).tiny)))


def _basic(found: Interval) -> Figure:
    """The basic bootstrap interval, from percentiles: Davison and Hinkley, Bootstrap Methods (1997), section 5.2."""
    if found.method == "none":
        return Figure.of(found)
    low, high = 2 * found.value - found.high, 2 * found.value - found.low
    return Figure(value=found.value, low=low, high=high, method="basic")


def _at_least_0(told: Figure, found: _Binned, bench: Bench) -> Figure:
    """No error is below 0; and one that chance alone may make says nothing of there being any."""
    chance = found.by_chance(bench, (1 + bench.settings.level) / 2)
    low = 0.0 if told.value <= chance else max(told.low, 0.0)
    return told.model_copy(update={"low": low, "high": max(told.high, low)})


def _surest_faults(bench: Bench, after: ClassPredictions) -> tuple[Example, ...]:
    """Wrong rows of which the model is surest."""
    sure = after.probabilities.max(axis=1)
    wrong = np.flatnonzero(after.choice != after.truth)
    worst = wrong[np.argsort(-sure[wrong], kind="stable")][:SHOWN].tolist()
    return tuple(
        Example(
            place=str(bench.test[row].place),
            text=excerpt(bench.test[row].input),
            what=f"{sure[row]:.0%} sure of {after.labels[after.choice[row]]!r}, is {bench.test[row].target!r}",
            kind="sure",
            values={
                "share": float(sure[row]),
                "says": after.labels[after.choice[row]],
                "right": bench.test[row].target,
            },
        )
        for row in worst
    )
