"""The waivers of a patch, for reports."""

from __future__ import annotations

from dataclasses import dataclass

from zogan.config import RegistryConfig
from zogan.registry.database import RegistryError
from zogan.registry.registry import Registry


@dataclass(frozen=True)
class WaivedClause:
    """A clause that is set aside: until when, why, and the name of who answers for it."""

    clause: str
    until: str
    reason: str
    owner: str


def waived(given: RegistryConfig, patch: str) -> tuple[WaivedClause, ...]:
    """The waivers of a patch; none where there is no registry, or the patch is not in it.

    Args:
        given: where the registry lies.
        patch: the patch's digest.
    """
    if given.url is None:
        return ()
    try:
        registry = Registry(given.url, given.blobs)
    except RegistryError:
        return ()
    with registry:
        if not registry.knows(patch):
            return ()
        people = {one.keyid: one.name for one in registry.people()}
        return tuple(
            WaivedClause(one.clause, one.until, one.reason, people[one.owner]) for one in registry.find(patch).waivers
        )
