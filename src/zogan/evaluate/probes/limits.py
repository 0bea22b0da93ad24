"""Which key of a probe's options is the limit of which of its readings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_OF_READING = {
    "abstention.out_of_scope": "out_of_scope_limit",
    "groups.swaps": "swap_limit",
    "memorisation.canaries": "canary_limit",
}
"""Those that are not `limit`."""

Options = Mapping[str, Mapping[str, Any]]
"""A probe's name to its options."""


def limited(options: Options) -> dict[str, float]:
    """Readings that must be there for all that is limited: each with its limit, by the name that it has at least."""
    names = {(name.partition(".")[0], key): name for name, key in _OF_READING.items()}
    return {
        names.get((probe, key), probe): float(value)
        for probe, given in options.items()
        for key, value in given.items()
        if key.endswith("limit") and value is not None
    }


def answers(reading: str, asked: str) -> bool:
    """Whether a reading is one of those that `limited` names so: `churn.production` is one of churn's."""
    return reading == asked or (asked not in _OF_READING and reading not in _OF_READING and _probe(reading) == asked)


def _probe(reading: str) -> str:
    return reading.partition(".")[0]
