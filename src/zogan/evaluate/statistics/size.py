"""How many rows a comparison needs, and what so many rows can show."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from zogan.errors import ConfigError
from zogan.evaluate.statistics.decide import Claim, threshold
from zogan.evaluate.statistics.design import Design
from zogan.evaluate.statistics.interval import share

_MOST_ROWS = 10_000_000
_FARTHEST = 1e12
_CLOSE = 1e-6
_TOOTH = 20
"""How many rows further the power is looked at."""


def rows_needed(
    design: Design, *, improvement: float, claim: Claim, margin: float = 0.0, level: float, power: float
) -> int | None:
    """The fewest rows with which a true claim is accepted as often as is wanted.

    Args:
        design: what is compared.
        improvement: how much better the second system truly is, in the metric's unit; below 0 where it is worse.
        claim: see `decide`.
        margin: see `decide`.
        level: of the interval that decides, 0 to 1.
        power: how often the claim shall be accepted, 0 to 1.

    Returns:
        A number from which on the power is reached; None where it is above ten million.

    Raises:
        ConfigError: the claim is not true, so that no rows can show it; a margin, level or power that is none.
    """
    beyond = _checked(claim, margin, level, power)
    if improvement <= beyond:
        what = f"an improvement of {improvement!r} is not above {beyond!r}, so that no number of rows can show it"
        raise ConfigError(what, where="improvement", todo="Give a larger improvement, or another margin")
    of = partial(design.power, improvement=improvement, beyond=beyond, level=level)
    few, many = 1, 2
    while of(many) < power:
        few, many = many, 2 * many
        if many > _MOST_ROWS:
            return None
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (few, middle) if of(middle) >= power else (middle, many)
    # Counts are whole, so that power goes up in saw teeth: pass those that fall below again.
    ahead = many
    while (ahead := ahead + 1) <= many + _TOOTH:
        many = many if of(ahead) >= power else ahead + 1
    return many


def smallest_improvement(
    design: Design, rows: int, *, claim: Claim, margin: float = 0.0, level: float, power: float
) -> float | None:
    """The smallest true improvement of which so many rows accept the claim as often as is wanted.

    Args:
        design: what is compared.
        rows: number of rows.
        claim: see `decide`.
        margin: see `decide`.
        level: of the interval that decides, 0 to 1.
        power: how often the claim shall be accepted, 0 to 1.

    Returns:
        In the metric's unit; None where no improvement is enough.

    Raises:
        ConfigError: a margin, level or power that is none.
    """
    beyond = _checked(claim, margin, level, power)
    least = max(beyond, -design.largest)

    def short(improvement: float) -> float:
        return design.power(rows, improvement=improvement, beyond=beyond, level=level) - power

    return _crossing(short, least, design.largest)


def smallest_margin(design: Design, rows: int, *, improvement: float = 0.0, level: float, power: float) -> float | None:
    """The smallest margin of non-inferiority that so many rows show as often as is wanted.

    Args:
        design: what is compared.
        rows: number of rows.
        improvement: how much better the second system truly is, in the metric's unit.
        level: of the interval that decides, 0 to 1.
        power: how often non-inferiority shall be accepted, 0 to 1.

    Returns:
        In the metric's unit; None where no margin is enough.

    Raises:
        ConfigError: a level or power that is none.
    """
    _checked("non_inferiority", 0.0, level, power)

    def short(margin: float) -> float:
        return design.power(rows, improvement=improvement, beyond=-margin, level=level) - power

    return _crossing(short, max(0.0, -improvement), 1.0 if design.largest <= 1 else np.inf)


def _checked(claim: Claim, margin: float, level: float, power: float) -> float:
    share(level, "level")
    share(power, "power")
    return threshold(claim, margin)


def _crossing(short: Callable[[float], float], least: float, largest: float) -> float | None:
    """Where a growing function of `least` to `largest` comes above 0."""
    if short(least) >= 0:
        return least
    step, most = 1.0, largest
    if np.isinf(largest):
        while short(most := least + step) < 0:
            if (step := 2 * step) > _FARTHEST:
                return None
    elif short(largest) < 0:
        return None
    # The upper end, on the side where the power is reached: it may go up in steps.
    while most - least > _CLOSE * (abs(most) + abs(least)):
        middle = (least + most) / 2
        least, most = (least, middle) if short(middle) >= 0 else (middle, most)
    return most
