"""What stands where: promote and roll back move an alias."""

from __future__ import annotations

from zogan.registry.event import BASE, Event, Promoted, RolledBack
from zogan.registry.rules.refused import RefusedError, patch_of, permitted
from zogan.registry.rules.stages import counted, expired, unproven
from zogan.registry.state import AliasState, PatchState, View


def promote(event: Event, body: Promoted, view: View) -> None:
    """Put an approved patch in a place."""
    permitted(event, "promote", view)
    policy = view.policy()
    frozen = policy.frozen(event.at)
    if frozen is not None:
        raise RefusedError(f"nothing is promoted until {frozen.until}: {frozen.reason}", todo="Rolling back is open")
    patch = patch_of(body.patch, view)
    stage = _stage(body.alias, view)
    _instead(body, view)
    if (now := view.alias(body.alias)) is not None and now.patch == body.patch:
        raise RefusedError(f"{body.alias} stands for {body.patch[:12]} already, since event {now.since:,}")
    if fault := unready(patch, event.at, view):
        raise RefusedError(fault, todo=f"See `zogan registry show {body.patch[:12]}`")
    if fault := too_complex(patch, view):
        raise RefusedError(
            fault,
            todo="Make one patch of the stack with `zogan patch compose`, evaluate it with `zogan pilot --patch`, and "
            "promote that",
        )
    if stage == "production" and policy.pilot_first and not patch.piloted:
        raise RefusedError("the policy asks for a pilot before production, and the patch has stood in none")
    _move(event, body.alias, patch, patch.base, view)


def roll_back(event: Event, body: RolledBack, view: View) -> None:
    """Put back what stood in a place before. It asks for no approval anew, and no freeze stands against it."""
    permitted(event, "rollback", view)
    _stage(body.alias, view)
    _instead(body, view)
    now = view.alias(body.alias)
    if now is None:
        raise RefusedError(f"nothing stands at {body.alias}")
    if now.patch == body.patch:
        raise RefusedError(f"{body.alias} stands for that already, since event {now.since:,}")
    if body.patch is None:
        _move(event, body.alias, None, now.base, view)
        return
    patch = patch_of(body.patch, view)
    if not view.stood(body.alias, body.patch):
        raise RefusedError(
            f"the patch {body.patch[:12]} never stood at {body.alias}", todo="Promote it, which asks for an approval"
        )
    _move(event, body.alias, patch, patch.base, view)


def unready(patch: PatchState, at: str, view: View) -> str | None:
    """Why a patch may not be promoted at a moment; None where it may, but for the place."""
    policy = view.policy()
    if patch.evidence is None:
        return f"the patch {patch.digest[:12]} has no verdict"
    if patch.rejected is not None:
        return f"it was rejected on its evidence by event {patch.rejected:,}"
    if fault := unproven(patch, at):
        return fault
    holding = counted(patch, at, view)
    if len(holding) >= policy.approvals:
        return None
    lost = [one for one in patch.approvals if expired(one, at, policy)]
    why = f"; the approval of event {lost[-1].number:,} expired after {policy.approval_days} days" if lost else ""
    asked = "an approval" if policy.approvals == 1 else f"{policy.approvals:,} approvals"
    return f"the policy asks for {asked}, and {f'{len(holding):,} of them' if holding else 'none'} counts{why}"


def too_complex(patch: PatchState, view: View) -> str | None:
    """Why a patch stands on too much that was never measured as one; None where it does not."""
    policy = view.policy()
    if patch.depth == 1:
        return None
    if policy.stack_depth is not None and patch.depth > policy.stack_depth:
        return f"it is the top of {patch.depth:,} patches on each other, and the policy allows {policy.stack_depth:,}"
    if policy.stack_share is not None and patch.piled > policy.stack_share * patch.weights:
        shares = [f"{100 * share:.3g} %" for share in (patch.piled / max(1, patch.weights), policy.stack_share)]
        what = f"the {patch.depth:,} patches that it is the top of change {shares[0]} of the base's weights"
        return f"{what}, and the policy allows {shares[1]}"
    return None


def _stage(alias: str, view: View) -> str:
    """The stage of an alias's place."""
    place, places = alias.partition("/")[2], view.policy().places
    if place not in places:
        raise RefusedError(f"the policy knows no place {place!r}", todo=f"Places: {', '.join(sorted(places))}")
    return places[place]


def _instead(body: Promoted | RolledBack, view: View) -> None:
    """What the event says stood there must be what did."""
    now = view.alias(body.alias)
    known = None if now is None else now.patch
    if known != body.instead:
        names = [BASE if one is None else one[:12] for one in (known, body.instead)]
        raise RefusedError(f"{body.alias} stands for {names[0]}, not for {names[1]}, as was thought")


def _move(event: Event, name: str, patch: PatchState | None, base: str, view: View) -> None:
    stage = view.policy().places[name.partition("/")[2]]
    now = view.alias(name)
    if now is not None and now.patch is not None:
        before = view.patch(now.patch)
        assert before is not None  # it was put there
        before.places = {one: kind for one, kind in before.places.items() if one != name}
        view.put_patch(before)
    if patch is not None:
        patch.places = {**patch.places, name: stage}
        patch.piloted = patch.piloted or stage == "pilot"
        view.put_patch(patch)
    view.put_alias(AliasState(name=name, patch=None if patch is None else patch.digest, base=base, since=event.number))
    view.put_stood(name, BASE if patch is None else patch.digest, event.number)
