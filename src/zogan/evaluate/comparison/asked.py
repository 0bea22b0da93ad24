"""What a side of a comparison is asked, and a refusal where two are not asked the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zogan.data.rows import Place
from zogan.errors import DataError, ZoganError
from zogan.evaluate.comparison.result import Kind

_SHOWN = 5


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A side, its task and its test rows.

    Args:
        name: as it was given.
        kind: what it is.
        base: fingerprint.
        task: as `Task.describe` has it.
        max_new_tokens: of answers; None for classification.
        keys: of the test rows.
        places: where each stands.
    """

    name: str
    kind: Kind
    base: str
    task: Mapping[str, Any]
    max_new_tokens: int | None
    keys: tuple[str, ...]
    places: tuple[Place, ...]


def check_same(a: Asked, b: Asked) -> None:
    """Refuse sides that cannot be compared.

    Raises:
        ZoganError: other tasks or labels.
        DataError: other rows; says how many each has alone.
    """
    if a.task["task"] != b.task["task"]:
        raise ZoganError(
            f"{a.name} is of {a.task['task']}, {b.name} of {b.task['task']}", todo="Compare two of the same task"
        )
    labels = {side.name: set(side.task.get("labels", ())) for side in (a, b)}
    if labels[a.name] != labels[b.name]:
        alone = {a.name: labels[a.name] - labels[b.name], b.name: labels[b.name] - labels[a.name]}
        told = "; ".join(f"{name} alone has {_listed(sorted(only))}" for name, only in alone.items() if only)
        raise ZoganError(f"other labels: {told}", todo="Compare two that were tuned for the same labels")
    first, second = Counter(a.keys), Counter(b.keys)
    if first != second:
        raise DataError(
            f"other test rows: {(first - second).total():,} are in {a.name} alone, {(second - first).total():,} in "
            f"{b.name} alone, {(first & second).total():,} in both",
            todo="Compare two on the same rows: with the same data.test, or data.seed where the test is cut from train",
        )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(map(repr, names[:_SHOWN])) + more
