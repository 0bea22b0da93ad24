"""What the registry says of a run's patch: who approved it, and which clauses are set aside."""

from __future__ import annotations

from dataclasses import dataclass

from zogan.config import RegistryConfig
from zogan.evaluate.verdict.verdict import Clause, Verdict
from zogan.report.spoken import Speaker
from zogan.report.words import Words


@dataclass(frozen=True)
class WaivedClause:
    """A clause that is set aside: until when, why, and the name of who answers for it."""

    clause: str
    until: str
    reason: str
    owner: str


@dataclass(frozen=True)
class Registered:
    """A patch that the registry knows.

    Args:
        approvals: names of who approved it on its last evidence.
        waivers: clauses that are set aside for it.
    """

    approvals: tuple[str, ...] = ()
    waivers: tuple[WaivedClause, ...] = ()


def registered(given: RegistryConfig, patch: str) -> Registered | None:
    """None where there is no registry, it cannot be reached, or it does not know the patch.

    Args:
        given: where the registry lies.
        patch: the patch's digest.
    """
    if given.url is None:
        return None
    from zogan.registry.database import RegistryError
    from zogan.registry.registry import Registry

    try:
        registry = Registry(given.url, given.blobs)
    except RegistryError:
        return None
    with registry:
        if not registry.knows(patch):
            return None
        people = {one.keyid: one.name for one in registry.people()}
        found = registry.find(patch)
    waivers = (WaivedClause(one.clause, one.until, one.reason, people[one.owner]) for one in found.waivers)
    return Registered(tuple(people[one.by] for one in found.approvals), tuple(waivers))


def named(clause: Clause) -> str:
    """As the registry names it: claim, slice:NAME, limit:NAME, …"""
    return "claim" if clause.kind == "claim" else f"{clause.kind}:{clause.name}"


def unwaived(found: Registered, verdict: Verdict) -> list[Clause]:
    """Clauses that are not met, and that no waiver sets aside."""
    aside = {one.clause for one in found.waivers}
    return [one for one in verdict.clauses if one.outcome != "accepted" and named(one) not in aside]


def said(found: Registered | None, speaker: Speaker, words: Words) -> list[str]:
    """A sentence a waiver.

    Args:
        found: in the registry.
        speaker: of the verdict, which names the clauses.
        words: of the language.
    """
    clauses = {named(one): speaker.name(one) for one in speaker.verdict.clauses}
    return [
        speaker.say(
            "waived",
            clause=clauses.get(one.clause, speaker.mark(one.clause)),
            until=one.until[:10],
            reason=speaker.mark(one.reason),
            owner=speaker.mark(one.owner),
        )
        for one in (found.waivers if found is not None else ())
    ]
