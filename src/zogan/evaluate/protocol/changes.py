"""What changed between a frozen protocol and the one at hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zogan.evaluate.protocol.protocol import Protocol
from zogan.evaluate.protocol.sample import Sample
from zogan.patch.meta import canonical

if TYPE_CHECKING:
    from zogan.evaluate.protocol.lock import Lock

_ABSENT = "absent"
_DIGESTS = ("base", "patch")


@dataclass(frozen=True)
class KeyChange:
    """A key of the protocol: its JSON value then and now; None where it was or is not there."""

    key: str
    then: Any
    now: Any

    def __str__(self) -> str:
        return f"{self.key} was {_shown(self.key, self.then)}, is {_shown(self.key, self.now)}"


@dataclass(frozen=True)
class Changes:
    """All that changed. False where nothing did.

    Attributes:
        keys: of the protocol, in order.
        added: test rows that were not there.
        removed: test rows that are no longer there.
        reordered: the same test rows, in another order.
        slices: of which other rows are members, although the test rows are the same.
    """

    keys: tuple[KeyChange, ...] = ()
    added: int = 0
    removed: int = 0
    reordered: bool = False
    slices: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.lines())

    def lines(self) -> list[str]:
        """Each change as a phrase."""
        found = [str(change) for change in self.keys]
        if self.added or self.removed:
            found.append(f"test rows: {self.added:,} added, {self.removed:,} removed")
        if self.reordered:
            found.append("the test rows stand in another order")
        return found + [f"other test rows belong to slice {name!r}" for name in self.slices]

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "keys": [{"key": one.key, "then": one.then, "now": one.now} for one in self.keys],
            "test": {"added": self.added, "removed": self.removed, "reordered": self.reordered},
            "slices": list(self.slices),
        }


def changes(lock: Lock, protocol: Protocol, test: Sample) -> Changes:
    """What is otherwise than when it was frozen; a verdict under these changes is exploratory.

    Args:
        lock: what was frozen.
        protocol: at hand, in full.
        test: the rows at hand.
    """
    then, now = (one.model_dump(mode="json") for one in (lock.protocol, protocol))
    keys = tuple(_differences(then, now))
    before, after = Counter(lock.test.keys), Counter(test.keys)
    added, removed = (after - before).total(), (before - after).total()
    both = lock.test.slices.keys() & test.slices.keys() if lock.test.keys == test.keys else set()
    return Changes(
        keys=keys,
        added=added,
        removed=removed,
        reordered=not added and not removed and lock.test.sha256 != test.sha256,
        slices=tuple(name for name in sorted(both) if lock.test.slices[name] != test.slices[name]),
    )


def _differences(then: Any, now: Any, key: str = "") -> Iterator[KeyChange]:
    """Key by key; what stands on one side alone is one change, whole."""
    then, now = (_numbered(one) for one in (then, now))
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        for name in sorted(then.keys() | now.keys()):
            yield from _differences(then.get(name), now.get(name), f"{key}.{name}" if key else name)
    elif then != now:
        yield KeyChange(key, then, now)


def _numbered(value: Any) -> Any:
    """A list of mappings as a mapping by number, from 1; so is an empty list, which has nothing to tell."""
    if isinstance(value, list) and all(isinstance(item, Mapping) for item in value):
        return {str(number): item for number, item in enumerate(value, 1)}
    return value


def _shown(key: str, value: Any) -> str:
    if value is None:
        return _ABSENT
    if isinstance(value, Mapping):
        value = {name: item for name, item in value.items() if item is not None}
    return str(value)[:12] if key in _DIGESTS else canonical(value)
