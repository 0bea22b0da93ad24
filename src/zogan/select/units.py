"""The scores of rows, columns, blocks or coupled channels: one number each, whatever they hold."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from zogan.errors import ConfigError
from zogan.select.candidates import apportion
from zogan.select.grids import Grid


class Units:
    """Scores per unit, from gradients that come one tensor at a time.

    A unit's score is the mean, over its weights, of the criterion's score of each batch, added up over the batches: by
    `gradient` the mean of |g|, as SMT takes it for its blocks (arXiv:2405.15525). It is a mean and not a sum, for units
    of different sizes are paid for by the weight. The score is taken batch by batch, before the sum, for to add up
    gradients themselves would take a number for each weight; memory stays at 4 bytes a unit and one tensor.

    Args:
        grids: parameter name to its units.
        shapes: parameter name to (rows, columns), all that may be chosen.
        count: number of weights to choose at most, over all.
        allocation: `global` or `tensor`: among which units the best are sought. Coupled tensors count as one.
        score: what the criterion's `fold` gave to scores, elementwise; higher is better.
    """

    def __init__(
        self,
        grids: Mapping[str, Grid],
        shapes: Mapping[str, tuple[int, int]],
        count: int,
        allocation: str,
        score: Callable[[Tensor], Tensor],
    ) -> None:
        self.grids, self.shapes, self.count, self.allocation, self.score = grids, dict(shapes), count, allocation, score
        self.beside = 0
        self.sums: dict[str, Tensor] = {}
        self._taken: dict[str, Tensor] = {}

    def add(self, name: str, folded: Float[Tensor, "rows columns"]) -> None:
        """Add one batch's contribution to the scores of one tensor's units.

        Args:
            name: the parameter.
            folded: (rows, columns), what the criterion's `fold` gave; any floating dtype.
        """
        sums = self.grids[name].sums(self.score(folded.float()))
        self.sums[name] = self.sums[name] + sums if name in self.sums else sums

    def draw(self, generator: torch.Generator) -> None:
        """Score each unit at random, evenly, whatever its size."""
        drawn: dict[str, Tensor] = {}
        for name in sorted(self.shapes):
            grid, sizes = self.grids[name], self.grids[name].sizes(self.shapes[name])
            if grid.group not in drawn:
                drawn[grid.group] = torch.rand(len(sizes), generator=generator)
            self.sums[name] = drawn[grid.group] * sizes

    def narrow(self, shapes: Mapping[str, tuple[int, int]], count: int, *, beside: int = 0) -> None:
        """Only these tensors may be chosen after all, and so many of their weights, beside so many that are taken."""
        self.shapes, self.count, self.beside = dict(shapes), count, beside

    def choose(self) -> dict[str, Int64[Tensor, " chosen"]]:
        """The weights of the best units, per tensor: flat positions, strictly increasing.

        From the best down, each unit is taken that still fits into the share: the share is never passed. Ties go to the
        earlier group and unit.

        Raises:
            ConfigError: not even one unit fits.
        """
        names: dict[str, list[str]] = {}
        for name in sorted(self.shapes):
            names.setdefault(self.grids[name].group, []).append(name)
        groups = sorted(names)
        sizes = {
            group: torch.stack([self.grids[name].sizes(self.shapes[name]) for name in names[group]]).sum(0)
            for group in groups
        }
        scores = {
            group: torch.stack([self.sums[name].cpu() for name in names[group]]).sum(0) / sizes[group]
            for group in groups
        }
        totals = {group: int(sizes[group].sum()) for group in groups}
        if self.allocation == "global":
            every = best(torch.cat(list(scores.values())), torch.cat(list(sizes.values())), self.count)
            taken = dict(zip(groups, torch.split(every, [len(scores[group]) for group in groups]), strict=True))
        else:
            quotas = apportion({group: (total, 1) for group, total in totals.items()}, self.count)
            taken = {group: best(scores[group], sizes[group], quotas[group]) for group in groups}
        if not any(bool(units.any()) for units in taken.values()):
            self._refuse({group: int(sizes[group].min()) for group in groups}, totals)
        self._taken = taken
        return {
            name: self.grids[name].positions(taken[self.grids[name].group], self.shapes[name]) for name in self.shapes
        }

    def worth(self, chosen: Mapping[str, Int64[Tensor, " chosen"]]) -> dict[str, float]:
        """What the chosen units of each tensor score, added up; known once they are chosen."""
        return {
            name: float(self.sums[name].cpu()[self._taken[self.grids[name].group]].sum(dtype=torch.float64))
            for name in chosen
        }

    def _refuse(self, smallest: Mapping[str, int], totals: Mapping[str, int]) -> None:
        if self.allocation == "global":
            held, share = min(smallest.values()), min(smallest.values()) / sum(totals.values())
            budget = f"{self.count} of {sum(totals.values())} weights"
        else:
            group = min(smallest, key=lambda group: smallest[group] / totals[group])
            held, share = smallest[group], smallest[group] / totals[group]
            budget = f"{self.count} of {sum(totals.values())} weights, shared out over the tensors,"
        share += self.beside / sum(totals.values())
        raise ConfigError(
            f"{budget} may change, and the smallest unit holds {held}",
            where="budget.density",
            todo=f"Take at least {at_least(share)}, or a finer pattern",
        )


def at_least(share: float) -> str:
    """A share above 0 in two digits, rounded up: as it is written in a configuration."""
    digits = 1 - math.floor(math.log10(share))
    return f"{math.ceil(share * 10**digits) / 10**digits:g}"


def best(scores: Float[Tensor, " units"], sizes: Int64[Tensor, " units"], budget: int) -> Bool[Tensor, " units"]:
    """From the highest score down, each unit that still fits into the budget of weights."""
    taken = torch.zeros(len(scores), dtype=torch.bool)
    order = scores.argsort(descending=True, stable=True)
    while len(order := order[sizes[order] <= budget]):
        run = sizes[order].cumsum(0)
        fits = int((run <= budget).sum())
        taken[order[:fits]] = True
        # What broke the run fits no more, nor does anything as large: a turn for each size at most.
        budget -= int(run[fits - 1])
        order = order[fits:]
    return taken
