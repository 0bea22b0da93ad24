"""A patch's way from candidate to approved, and out of use."""

from __future__ import annotations

from datetime import datetime, timedelta

from zogan.registry.event import Added, Approved, Evaluated, Event, Rejected, Retired, Waived
from zogan.registry.policy import Policy
from zogan.registry.rules.refused import RefusedError, patch_of, permitted
from zogan.registry.state import Approval, Evidence, PatchState, View, Waiver


def add(event: Event, body: Added, view: View) -> None:
    """A new candidate."""
    permitted(event, "add", view)
    known = view.patch(body.patch)
    if known is not None:
        raise RefusedError(f"the patch {body.patch[:12]} is in the registry since event {known.number:,}")
    if not {"patch", "tensors"} <= body.blobs.keys():
        raise RefusedError("a patch is added with its file and the list of its tensors")
    depth, piled = _below(body, view)
    view.put_patch(
        PatchState(
            digest=body.patch,
            number=event.number,
            at=event.at,
            author=event.by,
            base=body.base,
            parent=body.parent,
            task=body.task,
            labels=body.labels,
            changed=body.changed,
            weights=body.weights,
            bytes=body.bytes,
            new=body.new,
            note=body.note,
            file=body.blobs["patch"],
            tensors=body.blobs["tensors"],
            depth=depth + 1,
            piled=piled + body.changed,
        )
    )


def evaluate(event: Event, body: Evaluated, view: View) -> None:
    """Evidence, which takes the place of what was there; what was approved on that is void."""
    permitted(event, "evaluate", view)
    patch = patch_of(body.patch, view)
    if patch.base != body.base:
        raise RefusedError(f"the evidence is of another base, {body.base[:12]}; the patch's is {patch.base[:12]}")
    if not {"report", "verdict", "evaluation"} <= body.blobs.keys():
        raise RefusedError("evidence holds the report, the verdict and the evaluation")
    patch.evidence = Evidence(
        number=event.number,
        protocol=body.protocol,
        report=body.blobs["report"],
        outcome=body.outcome,
        exploratory=body.exploratory,
        frozen_at=body.frozen_at,
        unmet=tuple((one.kind, one.named()) for one in body.clauses if one.outcome != "accepted"),
        metric=body.metric,
        rival=body.rival,
        after=body.after,
        rows=body.rows,
        at=event.at,
    )
    patch.approvals, patch.approved, patch.rejected = (), False, None
    view.put_patch(patch)


def approve(event: Event, body: Approved, view: View) -> None:
    """A word for a patch, on the evidence that counts."""
    person = permitted(event, "approve", view)
    patch, policy = patch_of(body.patch, view), view.policy()
    if patch.author == event.by:
        raise RefusedError(f"{person.name} added the patch {patch.digest[:12]}, and an author does not approve his own")
    evidence = _evidence(patch)
    for what, given, known in (
        ("base", body.base, patch.base),
        ("report", body.report, evidence.report),
        ("protocol", body.protocol, evidence.protocol),
        ("evaluation", str(body.evaluation), str(evidence.number)),
    ):
        if given != known:
            raise RefusedError(f"the {what} that is approved is {given[:12]}, and the patch's is {known[:12]}")
    if patch.rejected is not None:
        raise RefusedError(
            f"it was rejected on this evidence by event {patch.rejected:,}", todo="Evaluate it anew first"
        )
    if fault := unproven(patch, event.at):
        raise RefusedError(fault)
    if any(one.by == event.by and not expired(one, event.at, policy) for one in patch.approvals):
        raise RefusedError(f"{person.name} has approved it already, on this evidence")
    others = tuple(one for one in patch.approvals if one.by != event.by)
    patch.approvals = (*others, Approval(number=event.number, by=event.by, at=event.at))
    patch.approved = len(counted(patch, event.at, view)) >= policy.approvals
    view.put_patch(patch)


def reject(event: Event, body: Rejected, view: View) -> None:
    """A word against it: of its evidence nothing that was approved holds."""
    permitted(event, "reject", view)
    patch = patch_of(body.patch, view)
    patch.approvals, patch.approved, patch.rejected = (), False, event.number
    view.put_patch(patch)


def waive(event: Event, body: Waived, view: View) -> None:
    """Set a clause aside for a time."""
    permitted(event, "waive", view)
    patch, policy = patch_of(body.patch, view), view.policy()
    owner = view.people().get(body.owner)
    if owner is None or owner.revoked is not None:
        raise RefusedError(f"who answers for it, {body.owner[:12]}, is not enrolled")
    unmet = {name: kind for kind, name in _evidence(patch).unmet}
    if body.clause not in unmet:
        what = ", ".join(unmet) or "none: all are met"
        raise RefusedError(f"{body.clause!r} is no clause that the patch does not meet", todo=f"Unmet: {what}")
    if {body.clause, unmet[body.clause]} & set(policy.never_waived):
        raise RefusedError(f"the policy never lets {body.clause!r} be waived")
    if not event.at < body.until <= _later(event.at, policy.waiver_days):
        raise RefusedError(f"a waiver ends within {policy.waiver_days} days, and {body.until} does not lie there")
    waiver = Waiver(
        number=event.number,
        clause=body.clause,
        owner=body.owner,
        by=event.by,
        reason=body.reason,
        at=event.at,
        until=body.until,
    )
    patch.waivers = (*patch.waivers, waiver)
    view.put_patch(patch)


def retire(event: Event, body: Retired, view: View) -> None:
    """Out of use, for good."""
    permitted(event, "retire", view)
    patch = patch_of(body.patch, view)
    if patch.places:
        raise RefusedError(
            f"the patch {patch.digest[:12]} stands at {', '.join(sorted(patch.places))}",
            todo="Promote another there, or roll back, first",
        )
    patch.retired = event.number
    view.put_patch(patch)


def unproven(patch: PatchState, at: str) -> str | None:
    """Why a patch's evidence does not bear an approval at a moment; None where it does."""
    evidence = _evidence(patch)
    if evidence.frozen_at is None:
        return "its protocol was never frozen, so that the verdict confirms nothing"
    if evidence.exploratory:
        return f"its verdict is exploratory, and confirms nothing: {'; '.join(evidence.exploratory)}"
    for _, name in evidence.unmet:
        waivers = [one for one in patch.waivers if one.clause == name]
        if not waivers:
            return f"its verdict is {evidence.outcome}: the clause {name!r} is not met, and not waived"
        if all(one.until <= at for one in waivers):
            return f"the waiver of {name!r} ended on {max(one.until for one in waivers)}"
    return None


def expired(approval: Approval, at: str, policy: Policy) -> bool:
    """Whether an approval no longer holds."""
    return _later(approval.at, policy.approval_days) <= at


def counted(patch: PatchState, at: str, view: View) -> list[Approval]:
    """The approvals that count at a moment: not expired, and of keys that hold."""
    people, policy = view.people(), view.policy()
    return [
        one
        for one in patch.approvals
        if not expired(one, at, policy) and (person := people.get(one.by)) is not None and person.revoked is None
    ]


def _below(body: Added, view: View) -> tuple[int, int]:
    """Patches that a new one stands on, and the weights that they change."""
    if body.parent is None:
        return 0, 0
    parent = view.patch(body.parent)
    if parent is None:  # there is one at least, of which nothing more is known
        return 1, 0
    if parent.base == body.base:  # made from it, in its place and not on its result
        return parent.depth - 1, parent.piled - parent.changed
    return parent.depth, parent.piled


def _evidence(patch: PatchState) -> Evidence:
    if patch.evidence is None:
        raise RefusedError(
            f"the patch {patch.digest[:12]} has no verdict", todo="Bring its run with `zogan registry evaluate` first"
        )
    return patch.evidence


def _later(at: str, days: int) -> str:
    return (datetime.fromisoformat(at) + timedelta(days=days)).isoformat()
