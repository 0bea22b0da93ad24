"""A finished run as a candidate of the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zogan.run import Run

if TYPE_CHECKING:
    from zogan.registry.event import Event
    from zogan.registry.identity import Identity
    from zogan.registry.registry import Registry

_DECIDES = ("verdict", "evaluation", "terms", "lock")
"""Evidence that is new where one of these is; a report that was only written anew is not."""


def bring(run: Run, registry: Registry, *, identity: Identity, at: str) -> list[Event]:
    """Add a run's patch and its evidence, where the registry has not got them yet.

    Args:
        run: judged, and with its report.
        registry: where it goes.
        identity: of the author.
        at: now, UTC.

    Returns:
        The events that were written.

    Raises:
        RefusedError: the policy does not permit it.
    """
    from zogan.patch import Patch
    from zogan.registry.evidence import evidence

    digest = Patch.load(run.patch).digest
    written = []
    if not registry.knows(digest):
        written.append(registry.add(run.patch, identity=identity, at=at))
    known = registry.evidence(registry.find(digest))
    found = evidence(run.folder, registry.blobs)
    if known is None or any(known.blobs.get(one) != found.blobs.get(one) for one in _DECIDES):
        written.append(registry.evaluate(run.folder, identity=identity, at=at))
    return written
