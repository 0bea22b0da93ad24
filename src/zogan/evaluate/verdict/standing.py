"""Whether a verdict confirms, or only explores: the protocol at hand against the one that was frozen."""

from __future__ import annotations

from zogan.evaluate.protocol.changes import Changes
from zogan.evaluate.protocol.late import understood
from zogan.evaluate.protocol.lock import Lock
from zogan.evaluate.verdict.verdict import Reason, Standing
from zogan.patch.meta import canonical


def standing(frozen: Lock | None, changes: Changes | None, *, looks: int, counted: bool) -> Standing:
    """How a verdict stands.

    Args:
        frozen: the freeze in force; None without one, as are `changes`.
        changes: of the protocol and the test rows since.
        looks: how often a patch was measured on the test rows since.
        counted: whether that of the patch at hand is among them: what was measured before the freeze is not.
    """
    if frozen is None or changes is None:
        return Standing(exploratory=(Reason(kind="never_frozen"),), frozen_at=None, looks=looks)
    reasons = [Reason(kind=kind, values=values) for kind, values in map(understood, frozen.exploratory)]
    if not counted and not reasons:
        reasons.append(Reason(kind="uncounted"))
    reasons += [
        Reason(kind="key", values={"option": one.key, "then": canonical(one.then), "now": canonical(one.now)})
        for one in changes.keys
    ]
    if changes.added or changes.removed:
        reasons.append(Reason(kind="rows", values={"added": changes.added, "removed": changes.removed}))
    if changes.reordered:
        reasons.append(Reason(kind="order"))
    reasons += [Reason(kind="slice", values={"name": name}) for name in changes.slices]
    return Standing(exploratory=tuple(reasons), frozen_at=frozen.frozen_at, looks=looks)
