"""From two sides on the same rows to a comparison."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float64, Int64

from zogan.config import EvaluateConfig
from zogan.data.rows import Row
from zogan.errors import DataError, ZoganError
from zogan.evaluate.comparison.differing import differing
from zogan.evaluate.comparison.pair import Pair, Paired
from zogan.evaluate.comparison.result import Churn, Compared, Comparison, Counts, PartComparison, SideInfo
from zogan.evaluate.comparison.side import Side
from zogan.evaluate.evaluation import Difference
from zogan.evaluate.metrics import Metric, metrics
from zogan.evaluate.statistics import Interval, holm, intervals, match, mcnemar, score_interval, sign_flip
from zogan.tasks.task import ClassPredictions, TextPredictions

Places = Mapping[str, Sequence[int]]


@dataclass(frozen=True)
class _How:
    """Level and resamples of the intervals, and the seed of those."""

    settings: EvaluateConfig
    seed: int


def compare_pair(
    pair: Pair,
    rows: Sequence[Row] | None,
    slices: Places,
    *,
    settings: EvaluateConfig,
    seed: int,
    notes: Iterable[str] = (),
) -> Comparison:
    """Figures, tests, counts and the rows that differ.

    Args:
        pair: the two sides.
        rows: what was predicted, in A's order; None where their text is not at hand.
        slices: of the protocol: places of their rows.
        settings: level and resamples of the intervals.
        seed: of the resamples.
        notes: others, to be told with the pair's own.

    Raises:
        DataError: no rows.
        ZoganError: a metric gives no finite figure.
    """
    if not pair.a.keys:
        raise DataError("no rows to compare", where=pair.a.name)
    task: Literal["classification", "generation"] = pair.a.task["task"]
    known, measures, how = metrics(task), pair.measures(), _How(settings, seed)
    whole = [_compared(known[name], one, how) for name, one in measures.items() if name in known]
    if faults := [name for name, one in zip(measures, whole, strict=False) if one is None]:
        raise ZoganError("gives no finite figure on these rows", where=f"metric {faults[0]!r}")
    parts = {name: one for name, one in measures.items() if name in known and known[name].proportion}
    found = differing(pair, rows, slices)
    return Comparison(
        task=task,
        rows=len(pair.a.keys),
        level=settings.level,
        resamples=settings.resamples,
        a=_info(pair.a),
        b=_info(pair.b),
        metrics=tuple(one for one in whole if one is not None),
        slices=_parts(slices, {name: one for name, one in measures.items() if name in known}, known, how),
        labels=_parts(_labels(pair), parts, known, how),
        counts=tuple(_counts(known[name], one) for name, one in parts.items()),
        churn=_churn(pair),
        notes=(*pair.notes(), *notes),
        differing=len(found),
        differences=found,
    )


def _info(side: Side) -> SideInfo:
    return SideInfo(name=side.name, kind=side.kind, base=side.base, patch=side.system.patch)


def _compared(metric: Metric, measure: Paired, how: _How) -> Compared | None:
    """None where a figure is not finite."""
    a, b = (float(metric.figure(rows.sum(axis=0)[None])[0]) for rows in (measure.a, measure.b))
    interval = _score(metric, measure, how) if metric.proportion else _bootstrap(metric, measure, how)
    if not np.isfinite([a, b, interval.value, interval.low, interval.high]).all():
        return None
    test: Literal["mcnemar", "sign_flip"] = "mcnemar" if metric.proportion else "sign_flip"
    if metric.proportion:
        p_value = mcnemar(match(*_right(metric, measure)))
    elif len(measure.places) < 2:  # swapped or not, it is as far from 0
        p_value = 1.0
    else:
        resamples = how.settings.resamples
        p_value = sign_flip(measure.a, measure.b, metric.figure, resamples=resamples, seed=how.seed)
    return Compared(
        metric=metric.name,
        higher_is_better=metric.higher_is_better,
        rows=len(measure.places),
        a=a,
        b=b,
        difference=Difference.told(interval, higher_is_better=metric.higher_is_better),
        test=test,
        p_value=min(p_value, 1.0),
    )


def _score(metric: Metric, measure: Paired, how: _How) -> Interval:
    return score_interval(match(*_right(metric, measure)), level=how.settings.level)


def _bootstrap(metric: Metric, measure: Paired, how: _How) -> Interval:
    def difference(counts: Float64[np.ndarray, "resamples rows"]) -> Float64[np.ndarray, "resamples figures"]:
        return np.stack([metric.figure(counts @ measure.b) - metric.figure(counts @ measure.a)], axis=1)

    settings = how.settings
    (found,) = intervals(
        difference, len(measure.places), level=settings.level, resamples=settings.resamples, seed=how.seed
    )
    return found


def _right(metric: Metric, measure: Paired) -> tuple[np.ndarray, np.ndarray]:
    """Whether A, and whether B, had each row right."""
    return metric.right(measure.a), metric.right(measure.b)


def _parts(
    places: Places, measures: Mapping[str, Paired], known: Mapping[str, Metric], how: _How
) -> tuple[PartComparison, ...]:
    """Each metric on some of the rows; those that have none of its rows, or no finite figure, are left out."""
    found: dict[str, list[Compared]] = {name: [] for name in places}
    for metric, measure in measures.items():
        each = {}
        for name, members in places.items():
            part = _of(measure, np.asarray(members, dtype=np.int64))
            one = _compared(known[metric], part, how) if len(part.places) else None
            if one is not None:
                each[name] = one
        adjusted = holm({name: one.p_value for name, one in each.items()})
        for name, one in each.items():
            found[name].append(one.model_copy(update={"p_adjusted": adjusted[name]}))
    return tuple(
        PartComparison(name=name, rows=len(members), metrics=tuple(found[name])) for name, members in places.items()
    )


def _of(measure: Paired, members: Int64[np.ndarray, " members"]) -> Paired:
    kept = np.isin(measure.places, members)
    return Paired(measure.places[kept], measure.a[kept], measure.b[kept])


def _labels(pair: Pair) -> Places:
    """The rows of each label, in the labels' order; labels that no row has are left out."""
    found = pair.a.system.predictions
    if not isinstance(found, ClassPredictions):
        return {}
    rows = {label: np.flatnonzero(found.truth == index).tolist() for index, label in enumerate(found.labels)}
    return {label: places for label, places in rows.items() if places}


def _counts(metric: Metric, measure: Paired) -> Counts:
    a, b = _right(metric, measure)
    return Counts(
        metric=metric.name,
        both_right=int((a & b).sum()),
        a_alone=int((a & ~b).sum()),
        b_alone=int((~a & b).sum()),
        both_wrong=int((~a & ~b).sum()),
    )


def _churn(pair: Pair) -> Churn | None:
    a, b = pair.a.system.predictions, pair.b.system.predictions
    if isinstance(a, ClassPredictions) and isinstance(b, ClassPredictions):
        changed = (a.choice != b.choice[pair.order]).tolist()
    elif isinstance(a, TextPredictions) and isinstance(b, TextPredictions):
        places = pair.answered().tolist()
        changed = [a.answers[place].split() != b.answers[pair.order[place]].split() for place in places]
    if not changed:
        return None
    return Churn(rows=len(changed), changed=sum(changed), share=sum(changed) / len(changed))
