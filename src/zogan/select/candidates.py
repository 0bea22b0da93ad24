"""The weights still in the running, with their sums: a few multiples of the budget, whatever the model's size."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

MULTIPLE = 4
"""Candidates kept per weight that will be chosen."""


@dataclass
class Held:
    """Candidates of one tensor: flat positions (strictly increasing) and their sums so far."""

    flat: Int64[Tensor, " held"]
    sums: Float[Tensor, " held"]


class Candidates:
    """Sums per weight in bounded memory, from gradients that come one tensor at a time.

    Of the first batch the best `MULTIPLE` × budget are kept. Later batches add to those; a weight outside comes in
    when one batch alone lifts it over the worst that is kept. So the result is exact for one batch and for a budget
    that holds all, and close to exact else; memory stays near 12 bytes × 2 × `MULTIPLE` × budget and one tensor.

    Args:
        shapes: parameter name to (rows, columns), all that may be chosen.
        count: number of weights to choose, over all.
        allocation: `global`, `tensor` or `row`: among which weights the best are sought.
        score: sums to scores, elementwise; higher is better.
        rowless: tensors whose rows are no neurons, such as entries of a vocabulary: of these `row` is `tensor`.
        barred: parameter name to flat positions that are in no running.
        exact: keep every weight (tests compare with it).
    """

    def __init__(
        self,
        shapes: Mapping[str, tuple[int, int]],
        count: int,
        allocation: str,
        score: Callable[[Tensor], Tensor],
        *,
        rowless: Collection[str] = (),
        barred: Mapping[str, Int64[Tensor, " _"]] | None = None,
        exact: bool = False,
    ) -> None:
        self.rowless, self.barred = frozenset(rowless), barred or {}
        self.shapes, self.count, self.allocation, self.score = dict(shapes), count, allocation, score
        self.multiple = float("inf") if exact else MULTIPLE
        self.total = sum(rows * columns for rows, columns in shapes.values())
        self.held: dict[str, Held] = {}
        # Worst score that is kept: one number, or one per row as (rows, 1).
        self.floor: dict[str, Tensor] = {}
        self.global_floor = -float("inf")

    def add(self, name: str, folded: Tensor) -> None:
        """Add one batch's contribution to the sums of one tensor.

        Args:
            name: the parameter.
            folded: (rows, columns), what the criterion's `fold` gave; any floating dtype.
        """
        folded = folded.float()
        flat = folded.reshape(-1)
        held = self.held.get(name)
        scores, barred = self.score(folded), self.barred.get(name)
        if barred is not None:
            scores = scores.reshape(-1).index_fill(0, barred, -float("inf")).view_as(folded)  # under any floor
        over = self._over(name, scores, first=held is None)
        if barred is not None:
            over[barred] = False
        if held is not None:
            held.sums += flat[held.flat]
            over[held.flat] = False
        new = over.nonzero().squeeze(1)
        if held is None:
            self.held[name] = Held(new, flat[new])
        elif len(new):
            merged, order = torch.cat([held.flat, new]).sort()
            self.held[name] = Held(merged, torch.cat([held.sums, flat[new]])[order])
        self._trim(name)

    def narrow(self, shapes: Mapping[str, tuple[int, int]], count: int) -> None:
        """Only these tensors may be chosen after all, and so many of their weights."""
        self.shapes, self.count = dict(shapes), count
        self.total = sum(rows * columns for rows, columns in shapes.values())

    def choose(self) -> dict[str, Int64[Tensor, " chosen"]]:
        """The best, per tensor: flat positions, strictly increasing. Ties go to the earlier name and position."""
        if self.allocation == "global":
            return self._best_of_all()
        quotas = apportion(self.shapes, self.count)
        return {
            name: self.held[name].flat[self._best_in(name, quotas[name])].sort().values for name in sorted(self.held)
        }

    def worth(self, chosen: Mapping[str, Int64[Tensor, " chosen"]]) -> dict[str, float]:
        """What the chosen weights of each tensor score, added up."""
        found = {}
        for name, flat in chosen.items():
            held = self.held[name]
            scores = self.score(held.sums[torch.searchsorted(held.flat, flat)])
            found[name] = float(scores.sum(dtype=torch.float64))
        return found

    def _over(self, name: str, scores: Float[Tensor, "rows columns"], *, first: bool) -> Bool[Tensor, " all"]:
        """Which weights one batch alone lifts over the worst that is kept."""
        if self.allocation == "global":
            return (scores > self.global_floor).reshape(-1)
        limit = self.multiple * self._quota(name)
        if first and self._by_row(name) and limit < scores.numel():
            per_row = min(-(-int(limit) // scores.shape[0]), scores.shape[1])
            self.floor[name] = scores.topk(per_row, dim=1, sorted=False).values.amin(1, keepdim=True)
            return (scores >= self.floor[name]).reshape(-1)
        if first:
            self.floor[name] = scores.new_tensor(threshold(scores.reshape(-1), limit))
            return (scores >= self.floor[name]).reshape(-1)
        return (scores > self.floor[name]).reshape(-1)

    def _by_row(self, name: str) -> bool:
        return self.allocation == "row" and name not in self.rowless

    def _quota(self, name: str) -> int:
        """Weights of one tensor that may be chosen, at most: candidates are kept for them."""
        rows, columns = self.shapes[name]
        return -(-self.count * rows * columns // self.total)

    def _trim(self, name: str) -> None:
        if self.allocation == "global":
            limit = self.multiple * self.count
            if sum(len(held.flat) for held in self.held.values()) > 2 * limit:
                every = {other: self.score(held.sums) for other, held in self.held.items()}
                self.global_floor = threshold(torch.cat(list(every.values())), limit)
                for other in every:
                    self._keep(other, every[other] >= self.global_floor)
            return
        held, limit = self.held[name], self.multiple * self._quota(name)
        if len(held.flat) <= 2 * limit:
            return
        scores = self.score(held.sums)
        if not self._by_row(name):
            floor = threshold(scores, limit)
            self.floor[name] = scores.new_tensor(floor)
            self._keep(name, scores >= floor)
            return
        row, padded = self._padded(name, scores)
        per_row = min(-(-int(limit) // len(padded)), padded.shape[1])
        best = padded.topk(per_row, dim=1, sorted=False).values
        floors = best.masked_fill(best == -float("inf"), float("inf")).amin(1, keepdim=True)
        self.floor[name] = floors
        self._keep(name, scores >= floors[row, 0])

    def _padded(self, name: str, scores: Float[Tensor, " held"]) -> tuple[Int64[Tensor, " held"], Tensor]:
        """The row of each held weight, and their scores with a row of the matrix in each row, filled up with -inf."""
        rows, columns = self.shapes[name]
        row = self.held[name].flat // columns
        counts = torch.bincount(row, minlength=rows)
        place = torch.arange(len(row), device=row.device) - (counts.cumsum(0) - counts)[row]
        padded = scores.new_full((rows, int(counts.max())), -float("inf"))
        padded[row, place] = scores
        return row, padded

    def _keep(self, name: str, mask: Tensor) -> None:
        held = self.held[name]
        self.held[name] = Held(held.flat[mask], held.sums[mask])

    def _best_in(self, name: str, count: int) -> Int64[Tensor, " best"]:
        """Indices into the held weights of one tensor: the best `count`, in equal parts per row where asked."""
        held = self.held[name]
        scores = self.score(held.sums)
        order = scores.argsort(descending=True, stable=True)
        if self._by_row(name):
            rows, columns = self.shapes[name]
            row = held.flat[order] // columns
            by_row = row.argsort(stable=True)
            starts = torch.bincount(row, minlength=rows).cumsum(0).roll(1)
            starts[0] = 0
            rank = torch.empty_like(row)
            rank[by_row] = torch.arange(len(row), device=row.device) - starts[row[by_row]]
            # Every row's best before any row's second best; in the last round the best of the rows.
            order = order[rank.argsort(stable=True)]
        return order[:count]

    def _best_of_all(self) -> dict[str, Int64[Tensor, " chosen"]]:
        names = sorted(self.held)
        scores = torch.cat([self.score(self.held[name].sums) for name in names])
        chosen = torch.zeros(len(scores), dtype=torch.bool, device=scores.device)
        chosen[scores.argsort(descending=True, stable=True)[: self.count]] = True
        parts = torch.split(chosen, [len(self.held[name].flat) for name in names])
        return {name: self.held[name].flat[part] for name, part in zip(names, parts, strict=True)}


def apportion(shapes: Mapping[str, tuple[int, int]], count: int) -> dict[str, int]:
    """`count` weights over tensors by their sizes: rounded down, what is left to the largest remainders.

    The parts add up to `count`, which rounding each by itself would pass. Ties go to the earlier name.
    """
    sizes = {name: shapes[name][0] * shapes[name][1] for name in sorted(shapes)}
    total = sum(sizes.values())
    parts = {name: count * size // total for name, size in sizes.items()}
    by_remainder = sorted(sizes, key=lambda name: -(count * sizes[name] % total))
    for name in by_remainder[: count - sum(parts.values())]:
        parts[name] += 1
    return parts


def threshold(scores: Float[Tensor, " all"], count: float, *, sample: int = 1 << 15) -> float:
    """A value that at least `count` scores reach, and not many more: read off a sample, checked on the whole."""
    if count >= len(scores):
        return -float("inf")
    if len(scores) > 2 * sample:
        part = scores[:: len(scores) // sample]
        # A tenth and two standard errors more than the share, so that the check seldom fails.
        want = count / len(scores) * len(part)
        want = int(1.1 * want + 2 * want**0.5) + 1
        if want < len(part):
            guess = float(part.topk(want, sorted=False).values.min())
            if int((scores >= guess).sum()) >= count:
                return guess
    return float(scores.topk(int(count), sorted=False).values.min())
