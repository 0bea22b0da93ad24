"""A refusal, and what every rule asks first."""

from __future__ import annotations

from zogan.errors import ZoganError
from zogan.registry.event import Event
from zogan.registry.policy import Verb
from zogan.registry.state import PatchState, Person, View


class RefusedError(ZoganError):
    """The policy does not permit it; the reason is said, and nothing was written."""

    exit_code = 3


def permitted(event: Event, verb: Verb, view: View) -> Person:
    """Who signs, if his roles permit it.

    Raises:
        RefusedError: he is not known here, no longer, or has none of the roles.
    """
    person = view.people().get(event.by)
    if person is None:
        raise RefusedError(
            f"the key {event.by[:12]} is not enrolled",
            todo="An owner enrols its public key with `zogan registry identity enrol`",
        )
    if person.revoked is not None:
        raise RefusedError(f"the key of {person.name} is revoked since event {person.revoked:,}")
    roles = view.policy().may[verb]
    if not set(person.roles) & set(roles):
        has, needs = ", ".join(person.roles), " or ".join(roles)
        raise RefusedError(f"{person.name} ({has}) may not {_VERBS.get(verb, verb)}", todo=f"It takes the role {needs}")
    return person


def patch_of(digest: str, view: View) -> PatchState:
    """A patch that is in the registry.

    Raises:
        RefusedError: it is not, or it is retired.
    """
    found = view.patch(digest)
    if found is None:
        raise RefusedError(f"the patch {digest[:12]} is not in the registry", todo="Add it with `zogan registry add`")
    if found.retired is not None:
        raise RefusedError(f"the patch {digest[:12]} is retired since event {found.retired:,}")
    return found


_VERBS: dict[Verb, str] = {
    "people": "enrol or revoke people",
    "policy": "change the policy",
    "rollback": "roll back",
}
