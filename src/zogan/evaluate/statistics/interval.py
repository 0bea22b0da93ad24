"""A figure and how far chance alone could move it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from zogan.errors import ConfigError

Method = Literal["bca", "percentile", "basic", "score", "exact", "seeds", "none"]


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and its confidence interval.

    Args:
        value: the figure over all rows.
        low: lower end.
        high: upper end.
        method: bca; percentile where BCa is not defined or too dear; basic for a figure that chance raises; score where
            two systems are right or wrong; exact where one is; seeds where several seeds are chance too; none where
            there are fewer than two rows.
    """

    value: float
    low: float
    high: float
    method: Method


def share(value: float, name: str) -> float:
    """The value, which must lie between 0 and 1 and be neither.

    Raises:
        ConfigError: it does not.
    """
    if not 0 < value < 1:
        raise ConfigError(f"{value!r} is not between 0 and 1", where=name, todo="Give a share, such as 0.95")
    return value
