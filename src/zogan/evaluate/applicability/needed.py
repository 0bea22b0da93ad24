"""How many test rows it takes to show what lies within reach."""

from __future__ import annotations

from collections.abc import Sequence

from zogan.config import Config
from zogan.data.rows import Row
from zogan.errors import ConfigError
from zogan.evaluate.protocol.plan import Plan, Spread, plan
from zogan.evaluate.statistics import Mean, RightOrWrong


def planned(config: Config, test: Sequence[Row], improvement: float, design: RightOrWrong | Mean) -> Plan | None:
    """The protocol's plan at an improvement that tuning may bring.

    Of the test rows their number counts, and nothing in them is read: slices are clauses of the error level alone.

    Args:
        config: with the protocol.
        test: the rows at hand.
        improvement: in the figure's unit, above 0.
        design: how rows would differ.

    Returns:
        None where there is no test row, or where the protocol's figure has another unit.
    """
    given = config.protocol
    clauses = 1 + len(given.slices)
    alone = given.model_copy(update={"slices": (), "alpha": given.alpha / clauses})
    try:
        spread = Spread(design, "measured")
        found = plan(config.model_copy(update={"protocol": alone}), test, difference=improvement, spread=spread)
    except ConfigError:
        return None
    return found if found.rows else None
