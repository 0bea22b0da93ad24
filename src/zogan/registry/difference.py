"""What changes for users when something else comes to stand at an alias."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection

from zogan.registry.event import BASE
from zogan.registry.lineage import NAMED, touched
from zogan.registry.state import PatchState


@dataclass(frozen=True)
class Difference:
    """From what stands there to what would.

    Attributes:
        alias: its name.
        now, then: digests; `base` for the bare base, None where nothing stands there.
        changed_now, changed_then: weights of the base that each changes.
        only_now, only_then, both: tensors that one or both touch.
        lines: what users will see, in sentences.
    """

    alias: str
    now: str | None
    then: str
    changed_now: int
    changed_then: int
    only_now: int
    only_then: int
    both: int
    lines: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return asdict(self)


def difference(
    connection: Connection, alias: str, now: PatchState | None, then: PatchState | None, *, empty: bool = False
) -> Difference:
    """Compare two patches by what the registry knows of them.

    Args:
        connection: to the tables.
        alias: where one takes the other's place.
        now: that stands there; None for the bare base.
        then: that would; None for the bare base.
        empty: nothing stands there yet.
    """
    mine, others = (frozenset[str]() if one is None else touched(connection, one.tensors) for one in (now, then))
    return Difference(
        alias=alias,
        now=None if empty else BASE if now is None else now.digest,
        then=BASE if then is None else then.digest,
        changed_now=0 if now is None else now.changed,
        changed_then=0 if then is None else then.changed,
        only_now=len(mine - others),
        only_then=len(others - mine),
        both=len(mine & others),
        lines=tuple(_seen(alias, now, then, empty)),
    )


def _seen(alias: str, now: PatchState | None, then: PatchState | None, empty: bool) -> list[str]:
    lead = f"{alias} will answer with {_named(then)}"
    lines = [lead if empty else f"{lead} in place of {_named(now)}"]
    if now is not None and then is not None and now.base != then.base:
        lines.append(f"the base changes too: {then.base[:NAMED]} in place of {now.base[:NAMED]}")
    if then is None and now is not None and now.new:
        lines.append("the base alone has no head for this task: users get no classes until a patch stands here again")
    lines += [f"{which}: {_figure(one)}" for which, one in (("now", now), ("then", then)) if one is not None]
    if now is not None and then is not None:
        gone, come = (sorted(set(a) - set(b)) for a, b in ((now.labels, then.labels), (then.labels, now.labels)))
        lines += [f"classes that users no longer get: {', '.join(gone)}"] if gone else []
        lines += [f"classes that users get besides: {', '.join(come)}"] if come else []
    if then is not None and then.waivers:
        lines.append(f"waived for it: {', '.join(f'{one.clause} until {one.until}' for one in then.waivers)}")
    return lines


def _named(patch: PatchState | None) -> str:
    return "the bare base" if patch is None else f"patch {patch.digest[:NAMED]}"


def _figure(patch: PatchState) -> str:
    found = patch.evidence
    if found is None:
        return "never evaluated"
    return f"{found.metric} {found.after:.4g} on {found.rows:,} rows ({found.outcome}, {found.at[:10]})"
