"""Between old and new, and a little beyond: the point that validates best."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isnan

import torch
from jaxtyping import Float
from torch import Tensor, nn

from zogan.tasks.task import Monitor


@dataclass(frozen=True)
class Point:
    """A place on the way from the old values, `share` 0, to the new, `share` 1.

    The loss is a mean over targets, in nats; `validation_score` is compared, lower is better.
    """

    share: float
    validation_loss: float
    validation_score: tuple[float, ...]
    best: bool = False


def interpolate(
    trained: Mapping[str, nn.Parameter],
    old: Mapping[str, Tensor],
    shares: Sequence[float],
    monitor: Callable[[], Monitor],
) -> tuple[Point, ...]:
    """Validate points between old and new, and leave the best in place (WiSE-FT, arXiv:2109.01903).

    A parameter without old values, such as a new head, stays as it is.

    Args:
        trained: the new values, by name.
        old: of those that are moved.
        shares: places to try, rising.
        monitor: figures on the validation rows, with the values that are in place.

    Returns:
        All points in the order of `shares`; one is the best.
    """
    found = ranked(validated(trained, old, shares, monitor))
    go(trained, old, best_of(found).share)
    return found


def validated(
    trained: Mapping[str, nn.Parameter],
    old: Mapping[str, Tensor],
    shares: Sequence[float],
    monitor: Callable[[], Monitor],
) -> tuple[Point, ...]:
    """The points as `interpolate` tries them, none of them marked; the new values are in place again."""
    new = {name: trained[name].detach().clone() for name in old}
    points = []
    for share in shares:
        _put(trained, old, new, share)
        found = monitor()
        points.append(Point(share, found.loss, found.score))
    _put(trained, old, new, 1)
    return tuple(points)


def ranked(points: Sequence[Point]) -> tuple[Point, ...]:
    """The same with the best marked. Of two that validate alike it is the one with more of the new."""
    # A score that is no number is no better than any.
    numbers = [point for point in points if not any(map(isnan, point.validation_score))]
    best = min(reversed(numbers or points), key=lambda point: point.validation_score)
    return tuple(replace(point, best=point is best) for point in points)


def best_of(points: Sequence[Point]) -> Point:
    """The one that `ranked` has marked."""
    return next(point for point in points if point.best)


def go(trained: Mapping[str, nn.Parameter], old: Mapping[str, Tensor], share: float) -> None:
    """From the new values, which are in place, to a share of the way to them."""
    _put(trained, old, {name: trained[name].detach() for name in old}, share)


def _put(
    trained: Mapping[str, nn.Parameter], old: Mapping[str, Tensor], new: Mapping[str, Tensor], share: float
) -> None:
    for name, before in old.items():
        trained[name].data.copy_(between(before, new[name], share))


def between(old: Float[Tensor, "*shape"], new: Float[Tensor, "*shape"], share: float) -> Float[Tensor, "*shape"]:
    """The values at a share of the way; both ends, and what did not change, bit by bit."""
    if share in (0, 1):
        return new if share else old
    return torch.where(old == new, new, old + share * (new - old))
