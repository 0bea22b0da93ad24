"""Re-selection: chosen weights that training has hardly moved give way to others that would move the loss more.

Drop and grow, as SpIEL has it for fine-tuning (arXiv:2401.16405, section 3) after RigL (arXiv:1911.11134).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64, Shaped
from torch import Tensor, nn

from zogan.progress import Silent
from zogan.select.candidates import Candidates
from zogan.select.criteria import Criterion
from zogan.select.saliency import Loss, add_without_gradient, score


def exchange(
    model: nn.Module,
    batches: Sequence[Any],
    loss: Loss,
    criterion: Criterion,
    *,
    chosen: Mapping[str, Int64[Tensor, " _"]],
    moved: Mapping[str, Float[Tensor, " _"]],
    count: int,
    allocation: str,
    rowless: Collection[str] = (),
    seed: int = 0,
) -> tuple[dict[str, Int64[Tensor, " _"]], int]:
    """Say which weights are chosen once some are exchanged; the model is left as it was.

    The chosen weights that have moved least go, and as many that were not chosen come in, by the criterion's score:
    anywhere (`global`), in the tensor that lost them (`tensor`), or in its output row (`row`). Where too few others are
    there, fewer go. Candidates are held as in the saliency pass, in memory that the number of chosen weights bounds.

    Args:
        model: with the chosen weights attached.
        batches: the data, one pass; not read where the criterion asks for no gradient.
        loss: what one batch gives.
        criterion: how weights are scored; without a fold scores are drawn at random.
        chosen: parameter name to flat positions, strictly increasing, perhaps none: all that has or may have some.
        moved: by how much each of them differs from its old value, at least 0.
        count: how many to exchange at most.
        allocation: `global`, `tensor` or `row`.
        rowless: names of those whose rows are no neurons: of these `row` is `tensor`.
        seed: of random scores.

    Returns:
        Positions as `chosen` has them, as many in all, and how many of them are new.

    Raises:
        ZoganError: a loss or a gradient is not finite.
    """
    names = sorted(chosen)
    weights = {name: model.get_parameter(name) for name in names}
    shapes = {name: (weight.shape[0], weight.shape[1]) for name, weight in weights.items()}
    total = sum(len(flat) for flat in chosen.values())
    if not min(count, total):
        return dict(chosen), 0
    among = count if allocation == "global" else total
    candidates = Candidates(shapes, among, allocation, criterion.score, rowless=rowless, barred=chosen)
    if criterion.fold is None:
        add_without_gradient(candidates, weights, seed)
    else:

        def take(name: str, folded: Tensor | None) -> None:
            if folded is not None:
                candidates.add(name, folded)

        score(model, batches, loss, criterion, weights, take, progress=Silent())
    groups = _Groups(shapes, allocation, rowless)
    found = {name: candidates.held[name].flat for name in names if name in candidates.held}
    worth = {name: candidates.score(candidates.held[name].sums) for name in found}
    device = weights[names[0]].device
    leaving, coming = groups.of(chosen, device), groups.of(found, device)
    least = _first(_joined(moved, names, device), count)
    number = torch.minimum(
        torch.bincount(leaving[least], minlength=groups.number), torch.bincount(coming, minlength=groups.number)
    )
    gone = _first_of_each(leaving, _joined(moved, names, device), number)
    come = _first_of_each(coming, -_joined(worth, list(found), device), number)
    stay = dict(zip(names, torch.split(~gone, [len(chosen[name]) for name in names]), strict=True))
    new = dict(zip(found, torch.split(come, [len(flat) for flat in found.values()]), strict=True))
    after = {}
    for name in names:
        parts = [chosen[name].to(device)[stay[name]], *([found[name].to(device)[new[name]]] if name in found else [])]
        after[name] = torch.cat(parts).sort().values
    return after, int(number.sum())


class _Groups:
    """Among which weights as many come in as go: all of them, those of a tensor, or those of an output row."""

    def __init__(self, shapes: Mapping[str, tuple[int, int]], allocation: str, rowless: Collection[str]) -> None:
        self.first: dict[str, int] = {}
        self.columns: dict[str, int] = {}
        self.number = 0
        for name, (rows, columns) in shapes.items():
            by_row = allocation == "row" and name not in rowless
            self.first[name] = self.number
            self.columns[name] = columns if by_row else rows * columns
            self.number += 0 if allocation == "global" else rows if by_row else 1
        self.number = max(self.number, 1)

    def of(self, positions: Mapping[str, Int64[Tensor, " _"]], device: torch.device) -> Int64[Tensor, " all"]:
        """The group of each position, one tensor after another."""
        return _joined(
            {name: self.first[name] + flat // self.columns[name] for name, flat in positions.items()},
            list(self.first),
            device,
            torch.int64,
        )


def _joined(
    parts: Mapping[str, Shaped[Tensor, " _"]],
    names: Sequence[str],
    device: torch.device,
    dtype: torch.dtype = torch.float32,
) -> Shaped[Tensor, " all"]:
    return torch.cat([torch.empty(0, dtype=dtype, device=device), *(parts[n].to(device) for n in names if n in parts)])


def _first(keys: Float[Tensor, " all"], count: int) -> Bool[Tensor, " all"]:
    """Those with the smallest keys; of equal ones the earlier."""
    found = torch.zeros(len(keys), dtype=torch.bool, device=keys.device)
    found[keys.argsort(stable=True)[:count]] = True
    return found


def _first_of_each(
    group: Int64[Tensor, " all"], keys: Float[Tensor, " all"], number: Int64[Tensor, " groups"]
) -> Bool[Tensor, " all"]:
    """Of each group so many with the smallest keys; of equal ones the earlier."""
    order = keys.argsort(stable=True)
    order = order[group[order].argsort(stable=True)]
    sizes = torch.bincount(group, minlength=len(number))
    rank = torch.arange(len(order), device=order.device) - (sizes.cumsum(0) - sizes)[group[order]]
    found = torch.zeros(len(keys), dtype=torch.bool, device=keys.device)
    found[order] = rank < number[group[order]]
    return found
