"""abstention: does a classifier know which rows to leave to people?"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float64
from sklearn.metrics import precision_recall_curve, roc_auc_score

from zogan.config import AbstentionConfig
from zogan.data.finding import excerpt
from zogan.data.rows import Place, TextRow
from zogan.evaluate.evaluation import Figure
from zogan.evaluate.probes.bench import Bench, System
from zogan.evaluate.probes.files import read_texts
from zogan.evaluate.probes.reading import SHOWN, Example, Reading, Table
from zogan.evaluate.probes.registry import probe
from zogan.evaluate.probes.share import bootstrap, share
from zogan.evaluate.statistics import intervals_of_samples
from zogan.tasks.task import ClassPredictions

_COVERAGES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)


@probe("classification")
def abstention(bench: Bench, options: AbstentionConfig) -> list[Reading]:
    """Risk against coverage where the least sure rows are left to people; and how texts out of scope are told apart.

    Area under the risk-coverage curve: Geifman et al., arXiv:1805.08206. Sureness is the probability of the likeliest
    label, the baseline of Hendrycks and Gimpel, arXiv:1610.02136.
    """
    systems: list[System] = ["before", "after"] if bench.has("before") else ["after"]
    ranked = [_Ranked(bench.classes(system, bench.test)) for system in systems]

    def figures(counts: Float64[np.ndarray, "resamples rows"]) -> Float64[np.ndarray, "resamples figures"]:
        areas = [one.area(counts) for one in ranked]
        return np.stack(areas if len(areas) == 1 else [*areas, areas[1] - areas[0]], axis=1)

    told = [Figure.of(one) for one in bootstrap(bench, figures, len(bench.test))]
    also, notes = _at_accuracy(bench, options.accuracy)
    reading = Reading(
        name="abstention",
        figure="area under the risk-coverage curve",
        unit="share",
        rows=len(bench.test),
        before=told[0] if len(told) > 1 else None,
        value=told[len(systems) - 1],
        difference=told[2] if len(told) > 1 else None,
        also=also,
        tables=(_curve(ranked[-1]),),
        examples=ranked[-1].examples(bench),
        notes=notes,
    )
    readings = [reading.held_to(options.limit)]
    if options.out_of_scope is not None:
        readings.append(_out_of_scope(bench, options, systems).held_to(options.out_of_scope_limit))
    return readings


class _Ranked:
    """Rows by how sure the model is, the surest first; rows alike in that are answered together."""

    def __init__(self, predictions: ClassPredictions) -> None:
        sure = predictions.probabilities.max(axis=1)
        self.order = np.argsort(-sure, kind="stable")
        self.sure = sure[self.order]
        self.wrong: Bool[np.ndarray, " rows"] = (predictions.choice != predictions.truth)[self.order]
        self.last = np.searchsorted(-self.sure, -self.sure, side="right") - 1  # of those alike
        self.predictions = predictions

    def risks(self, counts: Float64[np.ndarray, "resamples rows"]) -> Float64[np.ndarray, "resamples rows"]:
        """Share of wrong rows among those at least as sure as each, in the order."""
        counts = counts[:, self.order]
        answered = counts.cumsum(axis=1)[:, self.last]
        wrong = (counts * self.wrong).cumsum(axis=1)[:, self.last]
        return np.asarray(np.divide(wrong, answered, out=np.zeros_like(wrong), where=answered > 0))

    def area(self, counts: Float64[np.ndarray, "resamples rows"]) -> Float64[np.ndarray, " resamples"]:
        """The risk, mean over coverages."""
        weights = counts[:, self.order]
        return np.asarray((weights * self.risks(counts)).sum(axis=1) / weights.sum(axis=1))

    def examples(self, bench: Bench) -> tuple[Example, ...]:
        """Wrong rows that would be answered first."""
        found = []
        for at in np.flatnonzero(self.wrong)[:SHOWN].tolist():
            row = bench.test[self.order[at]]
            says = self.predictions.labels[self.predictions.choice[self.order[at]]]
            rest = 1 - (at + 1) / len(self.order)
            found.append(
                Example(
                    place=str(row.place),
                    text=excerpt(row.input),
                    what=f"answered before {rest:.0%} of the rows as {says!r}, is {row.target!r}",
                    kind="answered",
                    values={"share": rest, "says": says, "right": row.target},
                )
            )
        return tuple(found)


def threshold_for(predictions: ClassPredictions, accuracy: float) -> float | None:
    """The least sureness above which rows are answered with that accuracy; None where no part of them is."""
    ranked = _Ranked(predictions)
    enough = np.flatnonzero(ranked.risks(np.ones((1, len(ranked.sure))))[0] <= 1 - accuracy + 1e-12)
    return float(ranked.sure[enough[-1]]) if len(enough) else None


def _at_accuracy(bench: Bench, accuracy: float) -> tuple[dict[str, float | None], tuple[str, ...]]:
    """Coverage and accuracy on the test rows above the threshold that validation rows ask for, as in use."""
    rows, notes = bench.job.splits.validation, []
    if not rows:
        rows = bench.test
        notes.append("no validation rows: the threshold is taken from the test rows, and flatters")
    threshold = threshold_for(bench.classes("after", rows), accuracy)
    if threshold is None:
        return {"threshold": None, "coverage": 0.0}, (*notes, f"no part of the rows is answered {accuracy:.0%} right")
    test = bench.classes("after", bench.test)
    answered = test.probabilities.max(axis=1) >= threshold
    also: dict[str, float | None] = {"threshold": threshold, "coverage": float(answered.mean())}
    if answered.any():
        found = share((test.choice == test.truth)[answered], level=bench.settings.level)
        also |= {"accuracy": found.value, "accuracy_low": found.low, "accuracy_high": found.high}
    return also, tuple(notes)


def _curve(ranked: _Ranked) -> Table:
    risks, rows = ranked.risks(np.ones((1, len(ranked.sure))))[0], len(ranked.sure)
    places = [max(round(coverage * rows), 1) - 1 for coverage in _COVERAGES]
    lines = [((at + 1) / rows, float(ranked.sure[at]), 1 - float(risks[at])) for at in places]
    return Table(title="risk and coverage", columns=("coverage", "sure", "right"), rows=tuple(lines))


def _out_of_scope(bench: Bench, options: AbstentionConfig, systems: list[System]) -> Reading:
    """How far the rows in scope are surer than texts that no label fits."""
    assert options.out_of_scope is not None, "the probe has asked for it"
    config = bench.job.config.data
    texts = read_texts(options.out_of_scope, config.text, config.encoding)
    label = bench.classes("after", bench.test).labels[0]  # a row has one; it says nothing here
    outside = tuple(TextRow(text, label, Place(options.out_of_scope.name, line)) for line, text in texts)
    sure = {
        system: [bench.classes(system, rows).probabilities.max(axis=1) for rows in (bench.test, outside)]
        for system in systems
    }
    truth = np.repeat([1, 0], [len(bench.test), len(outside)])

    def figures(
        inside: Float64[np.ndarray, "resamples inside"], outside: Float64[np.ndarray, "resamples outside"]
    ) -> Float64[np.ndarray, "resamples figures"]:
        weights = np.concatenate([inside, outside], axis=1)
        found = np.array(
            [
                [1 - roc_auc_score(truth, np.concatenate(sure[system]), sample_weight=one) for system in systems]
                for one in weights
            ]
        )  # (resamples, systems)
        return found if len(systems) == 1 else np.concatenate([found, found[:, 1:] - found[:, :1]], axis=1)

    settings = bench.settings
    told = [
        Figure.of(one)
        for one in intervals_of_samples(
            figures,
            (len(bench.test), len(outside)),
            level=settings.level,
            resamples=settings.resamples,
            seed=bench.seed,
            accelerate=False,
        )
    ]
    precision, recall, thresholds = precision_recall_curve(truth, np.concatenate(sure["after"]))
    enough = np.flatnonzero(precision[:-1] >= options.precision)
    also: dict[str, float | None] = {"threshold": None, "answered_in_scope": 0.0}
    if len(enough):
        also = {"threshold": float(thresholds[enough[0]]), "answered_in_scope": float(recall[enough[0]])}
    surest = np.argsort(-sure["after"][1], kind="stable")[:SHOWN].tolist()
    says = bench.classes("after", outside)
    return Reading(
        name="abstention.out_of_scope",
        figure="1 less the area under the ROC curve, in scope against out of it",
        unit="share",
        rows=len(truth),
        before=told[0] if len(told) > 1 else None,
        value=told[len(systems) - 1],
        difference=told[2] if len(told) > 1 else None,
        also=also,
        examples=tuple(
            Example(
                place=str(outside[row].place),
                text=excerpt(outside[row].input),
                what=f"{sure['after'][1][row]:.0%} sure of {says.labels[says.choice[row]]!r}",
                kind="surely",
                values={"share": float(sure["after"][1][row]), "says": says.labels[says.choice[row]]},
            )
            for row in surest
        ),
        notes=() if len(enough) else (f"no threshold keeps {options.precision:.0%} of what is answered in scope",),
    )
