"""Who is known, and by which policy."""

from __future__ import annotations

from zogan.registry.event import Begun, Enrolled, Event, Revoked, Ruled
from zogan.registry.identity import keyid_of
from zogan.registry.rules.refused import RefusedError, permitted
from zogan.registry.state import Person, View


def begin(event: Event, body: Begun, view: View) -> None:
    """The first event, signed by the key that it names as the owner's."""
    if event.number != 1:
        raise RefusedError("a registry begins once")
    keyid = keyid_of(bytes.fromhex(body.public))
    if keyid != event.by:
        raise RefusedError("the first event is not signed by the owner that it names")
    view.put_policy(1, body.policy)
    view.put_person(Person(keyid=keyid, public=body.public, name=body.name, roles=("owner",), number=1))


def enrol(event: Event, body: Enrolled, view: View) -> None:
    """Add a person, or give other roles to one who is known."""
    permitted(event, "people", view)
    keyid, people = keyid_of(bytes.fromhex(body.public)), view.people()
    known = people.get(keyid)
    if known is not None and known.revoked is not None:
        raise RefusedError(f"that key is revoked since event {known.revoked:,}", todo="Make another")
    if known is not None and known.name != body.name:
        raise RefusedError(f"that key is enrolled as {known.name!r}")
    if any(one.name == body.name and one.keyid != keyid and one.revoked is None for one in people.values()):
        raise RefusedError(
            f"another key is enrolled as {body.name!r}", todo="Revoke that one first, or take another name"
        )
    if known is not None and "owner" in known.roles and "owner" not in body.roles:
        _another_owner(known, view)
    view.put_person(
        Person(
            keyid=keyid, public=body.public, name=body.name, roles=tuple(sorted(set(body.roles))), number=event.number
        )
    )


def revoke(event: Event, body: Revoked, view: View) -> None:
    """Take a key out of use."""
    permitted(event, "people", view)
    known = view.people().get(body.person)
    if known is None or known.revoked is not None:
        raise RefusedError(f"the key {body.person[:12]} is not enrolled")
    if "owner" in known.roles:
        _another_owner(known, view)
    view.put_person(known.model_copy(update={"revoked": event.number}))


def rule(event: Event, body: Ruled, view: View) -> None:
    """Put another policy in force."""
    permitted(event, "policy", view)
    view.put_policy(event.number, body.policy)


def _another_owner(person: Person, view: View) -> None:
    others = [one for one in view.people().values() if one.keyid != person.keyid and one.revoked is None]
    if not any("owner" in one.roles for one in others):
        raise RefusedError(f"{person.name} is the only owner", todo="Enrol another owner first")
