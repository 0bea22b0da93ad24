"""What a protocol's clauses are judged by, from the predictions that the evaluation is made from."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType

import numpy as np
from jaxtyping import Float64, Int64

from zogan.data.rows import Row
from zogan.evaluate.evaluation import Estimate, Evidence, Matched, SliceEvidence, Variances
from zogan.evaluate.metrics import Metric, Rows, metrics
from zogan.evaluate.protocol.protocol import Protocol
from zogan.evaluate.protocol.slices import members
from zogan.evaluate.statistics import Interval, components, intervals, match, score_interval, share_interval
from zogan.patch.meta import canonical
from zogan.tasks.task import Predictions

_MEASURED = {
    "task",
    "base",
    "metric",
    "against",
    "patch",
    "alpha",
    "seeds",
    "slices",
    "external",
    "answers",
    "max_new_tokens",
}
"""Keys of a protocol that say what is measured; the others say what is asked of it."""

Sides = tuple[Sequence[Predictions], Sequence[Predictions]]
"""Of what is held against, and of the tuned model: one for each of the protocol's seeds."""


def what_is_measured(protocol: Protocol) -> dict[str, object]:
    """The parts of a protocol that evidence depends on, as JSON values; no floor is among them."""
    tree = protocol.model_dump(mode="json", include=_MEASURED)
    for one in (*tree["slices"].values(), *tree.get("external", {}).values()):
        one.pop("floor")
    return tree


def digest_of_measured(protocol: Protocol) -> str:
    """SHA-256 of `what_is_measured`, in hex."""
    return hashlib.sha256(canonical(what_is_measured(protocol)).encode()).hexdigest()


def evidence(
    rows: Sequence[Row],
    rivals: Sequence[Predictions],
    afters: Sequence[Predictions],
    *,
    protocol: Protocol,
    resamples: int,
    seed: int,
    external: Mapping[str, Sides] = MappingProxyType({}),
) -> Evidence:
    """Measure what a protocol asks for.

    Of one seed: the score interval where rows are right or wrong, the exact one for a slice by itself, the bootstrap
    for any other figure. Of several: the variance over seeds and rows of each row's share in the figure (pseudo-values:
    Efron and Tibshirani, "An introduction to the bootstrap", 1993, chapter 11; of a mean, the rows' own values).

    Args:
        rows: the test rows.
        rivals: predictions of what is held against, one for each of the protocol's seeds, in their order.
        afters: of the tuned model, likewise.
        protocol: in full.
        resamples: of the bootstrap.
        seed: of the resamples.
        external: the same predictions of the rows of each external set that the protocol names.

    Raises:
        DataError: a slice has no row.
    """
    metric = metrics(protocol.task)[protocol.metric]
    before, after = ([metric.rows(one) for one in side] for side in (rivals, afters))
    level, number = 1 - protocol.alpha, len(after[0])
    taken = _Taken(metric, level, resamples, seed)
    slices = {}
    for name, places in members(rows, tuple(protocol.slices.values())).items():
        own = np.array([place for place in places if place < number], dtype=np.int64)
        slices[name] = _slice(taken, [one[own] for one in before], [one[own] for one in after], own)
    others = {}
    for name in protocol.external:
        then, now = ([metric.rows(one) for one in side] for side in external[name])
        others[name] = _slice(taken, then, now, np.arange(len(now[0])))
    return Evidence(
        of=digest_of_measured(protocol),
        metric=metric.name,
        higher_is_better=metric.higher_is_better,
        right_or_wrong=metric.proportion,
        against=protocol.against,
        seeds=protocol.seeds,
        level=level,
        rows=number,
        rival=taken.value(before),
        after=taken.value(after),
        difference=taken.difference(before, after),
        matched=taken.matched(before, after),
        slices=slices,
        external=others,
    )


def _slice(taken: _Taken, before: list[Rows], after: list[Rows], places: Int64[np.ndarray, " own"]) -> SliceEvidence:
    if not len(places):
        return SliceEvidence(rows=0, right=None, after=None, difference=None, matched=None)
    return SliceEvidence(
        rows=len(places),
        right=taken.right(after),
        after=taken.alone(after),
        difference=taken.difference(before, after),
        matched=taken.matched(before, after),
    )


class _Taken:
    """How a metric is taken: one figure of one seed's rows or of several seeds'."""

    def __init__(self, metric: Metric, level: float, resamples: int, seed: int) -> None:
        self.metric, self.level, self.resamples, self.seed = metric, level, resamples, seed

    def value(self, seeds: Sequence[Rows]) -> float:
        """The mean over seeds."""
        return float(np.mean([self.metric.figure(rows.sum(axis=0, keepdims=True))[0] for rows in seeds]))

    def right(self, seeds: Sequence[Rows]) -> int | None:
        """Rows that are right, of one seed."""
        return int(self.metric.right(seeds[0]).sum()) if self.metric.proportion and len(seeds) == 1 else None

    def matched(self, before: Sequence[Rows], after: Sequence[Rows]) -> Matched | None:
        """Rows gained and lost, of one seed."""
        if not self.metric.proportion or len(after) > 1:
            return None
        return Matched(**asdict(match(self.metric.right(before[0]), self.metric.right(after[0]))))

    def alone(self, after: Sequence[Rows]) -> Estimate | None:
        """After by itself."""
        if len(after) > 1:
            return self._of_seeds(np.stack([self._shares(rows) for rows in after]), 0.0)
        if (right := self.right(after)) is not None:
            return _estimate(share_interval(right, len(after[0]), level=self.level), len(after[0]))
        return self._bootstrap(lambda counts: self.metric.figure(counts @ after[0]), len(after[0]))

    def difference(self, before: Sequence[Rows], after: Sequence[Rows]) -> Estimate | None:
        """After less before."""
        if len(after) > 1:
            pairs = zip(before, after, strict=True)
            return self._of_seeds(np.stack([self._shares(now) - self._shares(then) for then, now in pairs]), -1.0)
        then, now = before[0], after[0]
        if self.metric.proportion:
            found = match(self.metric.right(then), self.metric.right(now))
            return _estimate(score_interval(found, level=self.level), len(now))
        return self._bootstrap(
            lambda counts: self.metric.figure(counts @ now) - self.metric.figure(counts @ then), len(now)
        )

    def _bootstrap(
        self, figure: Callable[[Float64[np.ndarray, "n rows"]], Float64[np.ndarray, " n"]], rows: int
    ) -> Estimate | None:
        with np.errstate(divide="ignore", invalid="ignore"):
            (found,) = intervals(
                lambda counts: figure(counts)[:, None], rows, level=self.level, resamples=self.resamples, seed=self.seed
            )
        return _estimate(found, rows)

    def _shares(self, rows: Rows) -> Float64[np.ndarray, " rows"]:
        """Pseudo-values: n times the figure, less n - 1 times that without the row; moved so that the mean is right."""
        number, sums = len(rows), rows.sum(axis=0, keepdims=True)
        with np.errstate(divide="ignore", invalid="ignore"):
            whole = self.metric.figure(sums)[0]
            found = number * whole - (number - 1) * self.metric.figure(sums - rows)
        return np.asarray(found - found.mean() + whole)

    def _of_seeds(self, table: Float64[np.ndarray, "seeds rows"], least: float) -> Estimate | None:
        """A share, or a difference of two, is not told beyond what it can be: from `least` to 1."""
        seeds, rows = table.shape
        if rows < 2 or not np.isfinite(table).all():
            return None
        found = components(table, level=self.level)
        freedom = found.freedom if math.isfinite(found.freedom) else None
        parts = Variances(number=seeds, seeds=found.seeds, rows=found.rows, rest=found.rest, freedom=freedom)
        low, high = found.low, found.high
        if self.metric.proportion:
            low, high = max(low, least), min(high, 1.0)
        return _estimate(Interval(found.value, low, high, "seeds"), rows, parts)


def _estimate(found: Interval, rows: int, variances: Variances | None = None) -> Estimate | None:
    """None where the figure is not finite."""
    if not all(map(math.isfinite, (found.value, found.low, found.high))):
        return None
    return Estimate(**asdict(found), rows=rows, variances=variances)
