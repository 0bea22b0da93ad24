"""churn: rows that were right before the patch, and are wrong with it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool

from zogan.config import ChurnConfig
from zogan.data.finding import excerpt
from zogan.evaluate.probes.bench import Bench, NotProbedError, System
from zogan.evaluate.probes.reading import SHOWN, Example, Reading
from zogan.evaluate.probes.registry import probe
from zogan.evaluate.probes.right import right, said
from zogan.evaluate.probes.share import share
from zogan.tasks.task import ClassPredictions, Predictions


@probe("classification", "generation")
def churn(bench: Bench, options: ChurnConfig) -> list[Reading]:
    """Share of rows that go from right to wrong, against what was before and against the patch in use.

    The negative flip rate of Yan et al., arXiv:2011.09161; relative to what the errors of two models that know nothing
    of each other would give: below 1 fewer rows flip than that.
    """
    readings = []
    against: dict[System, str] = {"before": "churn", "production": "churn.production"}
    for system, name in against.items():
        if bench.has(system):
            reading = _reading(bench, name, bench.on_test(system), bench.on_test("after"))
            readings.append(reading.held_to(options.limit))
    if not readings:
        raise NotProbedError("there is no model before to compare with")
    return readings


def _reading(bench: Bench, name: str, first: Predictions, second: Predictions) -> Reading:
    was, is_now = right(first), right(second)
    if not len(was):
        raise NotProbedError("no row is answered: evaluate.answers is 0")
    lost = was & ~is_now
    by_chance = was.mean() * (1 - is_now.mean())
    notes = [] if was.any() else ["no row was right before"]
    return Reading(
        name=name,
        figure="rows that were right and are wrong",
        unit="share",
        rows=len(was),
        value=share(lost, level=bench.settings.level),
        also={
            "wrong_to_right": float((~was & is_now).mean()),
            "relative": float(lost.mean() / by_chance) if by_chance else None,
        },
        examples=_examples(bench, first, second, lost),
        notes=tuple(notes),
    )


def _examples(
    bench: Bench, first: Predictions, second: Predictions, lost: Bool[np.ndarray, " rows"]
) -> tuple[Example, ...]:
    """Rows that were lost; of a classifier those first of which it is surest now."""
    places = np.flatnonzero(lost)
    if isinstance(second, ClassPredictions):
        places = places[np.argsort(-second.probabilities.max(axis=1)[places], kind="stable")]
    was, is_now = said(first), said(second)
    return tuple(
        Example(
            place=str(bench.test[row].place),
            text=excerpt(bench.test[row].input),
            what=f"was {excerpt(was[row])!r}, is {excerpt(is_now[row])!r}",
            kind="was",
            values={"before": excerpt(was[row]), "after": excerpt(is_now[row])},
        )
        for row in places[:SHOWN].tolist()
    )
