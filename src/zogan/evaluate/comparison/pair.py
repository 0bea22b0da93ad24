"""Two sides of a comparison, row by row."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64, Int64

from zogan.evaluate.comparison.asked import check_same
from zogan.evaluate.comparison.side import Side
from zogan.evaluate.predictions import System, system
from zogan.tasks.task import ClassPredictions, TextPredictions


@dataclass(frozen=True, slots=True, eq=False)
class Paired:
    """What each row adds to a metric of A and of B.

    Args:
        places: of the rows among A's, increasing: all, or those that both answered.
        a: of A.
        b: of B.
    """

    places: Int64[np.ndarray, " rows"]
    a: Float64[np.ndarray, "rows parts"]
    b: Float64[np.ndarray, "rows parts"]


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """A and B on the same rows.

    Args:
        a: one side.
        b: the other, with its labels in A's order, its rows in its own.
        order: where each of A's rows stands among B's.
    """

    a: Side
    b: Side
    order: Int64[np.ndarray, " rows"]

    def measures(self) -> dict[str, Paired]:
        """Of each metric that both have."""
        first, second = self.a.system.measures, self.b.system.measures
        found = {name: self._paired(rows, second[name]) for name, rows in first.items() if name in second}
        return {name: one for name, one in found.items() if len(one.places)}

    def answered(self) -> Int64[np.ndarray, " rows"]:
        """Places of the rows that both answered; none for classification."""
        a, b = self.a.system.predictions, self.b.system.predictions
        if isinstance(a, TextPredictions) and isinstance(b, TextPredictions):
            return self._both(len(a.answers), len(b.answers))
        return np.zeros(0, dtype=np.int64)

    def notes(self) -> list[str]:
        """What keeps the figures from being like for like."""
        found = []
        a, b = self.a.system.predictions, self.b.system.predictions
        for key in ("prompt_format", "max_length"):
            first, second = self.a.task.get(key), self.b.task.get(key)
            if first != second:
                found.append(f"{key} is {first!r} in A and {second!r} in B")
        if isinstance(a, TextPredictions) and isinstance(b, TextPredictions):
            if (a.tokens != b.tokens[self.order]).any():
                found.append("A and B count the responses' tokens otherwise: loss and perplexity are not like for like")
            if len(a.answers) and len(b.answers) and self.a.max_new_tokens != self.b.max_new_tokens:
                found.append(f"answers end at {self.a.max_new_tokens} tokens in A, at {self.b.max_new_tokens} in B")
            if len(a.answers) != len(b.answers):
                both = f"those that both answered, {len(self.answered()):,}, are compared"
                found.append(f"A answered {len(a.answers):,} rows, B {len(b.answers):,}: {both}")
        return found

    def _paired(self, a: Float64[np.ndarray, "first parts"], b: Float64[np.ndarray, "second parts"]) -> Paired:
        places = self._both(len(a), len(b))
        return Paired(places, a[places], b[self.order[places]])

    def _both(self, first: int, second: int) -> Int64[np.ndarray, " rows"]:
        """Rows among A's first so many and B's first so many."""
        return np.flatnonzero((np.arange(len(self.order)) < first) & (self.order < second))


def pair(a: Side, b: Side) -> Pair:
    """Bring two sides together.

    Raises:
        ZoganError: other tasks or labels.
        DataError: other rows; says how many each has alone.
    """
    check_same(a, b)
    places: defaultdict[str, list[int]] = defaultdict(list)
    for place in range(len(b.keys) - 1, -1, -1):  # from the end, so that the first is popped first
        places[b.keys[place]].append(place)
    order = np.array([places[key].pop() for key in a.keys], dtype=np.int64)
    return Pair(a, replace(b, system=_relabelled(b.system, a.system)), order)


def _relabelled(one: System, like: System) -> System:
    """The same with its labels in another's order."""
    found, other = one.predictions, like.predictions
    if not isinstance(found, ClassPredictions) or not isinstance(other, ClassPredictions):
        return one
    if found.labels == other.labels:
        return one
    columns = [found.labels.index(label) for label in other.labels]
    truth = np.argsort(columns)[found.truth]
    predictions = ClassPredictions(other.labels, truth, found.probabilities[:, columns], found.losses)
    return system(predictions, one.patch)
