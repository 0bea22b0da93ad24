"""zogan registry approve, reject, waive: a word for a patch, or against it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zogan.cli.console import Console
from zogan.cli.looks import now
from zogan.cli.registry.patches import Patch, Reason
from zogan.cli.registry.shown import names, written
from zogan.cli.registry.verb import Place, verb


def register(group: typer.Typer) -> None:
    """Add the commands."""
    group.command("approve", epilog="Example: zogan registry approve 3fa94b01 --report report.html")(approve)
    group.command("reject", epilog="Example: zogan registry reject 3fa94b01 --reason 'worse on refunds'")(reject)
    group.command(
        "waive",
        epilog="Example: zogan registry waive 3fa94b01 limit:latency_ms --owner Ann --until 2026-06-30 --reason hurry",
    )(waive)


@verb
def approve(
    place: Place,
    console: Console,
    patch: Patch,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report",
            metavar="FILE",
            help="The report that you have read: refused unless it is the one of the evidence, byte for byte.",
            show_default=False,
        ),
    ] = None,
    note: Annotated[str | None, typer.Option("--note", help="What you would have known.", show_default=False)] = None,
) -> None:
    """Approve a patch on its evidence. A change of patch, base, report or protocol voids it."""
    from zogan.registry.asked import same_report

    with place.open() as registry:
        found = registry.find(patch)
        if report is not None:
            same_report(found, report)
        event = registry.approve(found, note=note, identity=place.identity(), at=now())
        tree, said = written(event, names(registry))
        after = registry.find(found.digest)
        asked = registry.policy().approvals
        console.result(
            {**tree, "stage": after.stage, "approvals": len(after.approvals), "asked": asked},
            said,
            f"stage: {after.stage}, with {len(after.approvals)} of {asked} approval(s)",
        )


@verb
def reject(place: Place, console: Console, patch: Patch, reason: Reason) -> None:
    """Reject a patch on its evidence: approvals on it are void."""
    with place.open() as registry:
        event = registry.reject(registry.find(patch), reason, identity=place.identity(), at=now())
        tree, said = written(event, names(registry))
        console.result(tree, said)


@verb
def waive(
    place: Place,
    console: Console,
    patch: Patch,
    clause: Annotated[
        str, typer.Argument(metavar="CLAUSE", help="claim, or slice:NAME, external:NAME, limit:NAME, probe:NAME.")
    ],
    reason: Reason,
    owner: Annotated[str, typer.Option("--owner", help="Name of who answers for it.")],
    until: Annotated[str, typer.Option("--until", metavar="DATE", help="Its last day, UTC, as 2026-06-30.")],
) -> None:
    """Set aside a clause of the protocol that a patch does not meet, for a time. Takes an owner."""
    from zogan.registry.asked import end_of_day

    end = end_of_day(until)
    with place.open() as registry:
        event = registry.waive(
            registry.find(patch), clause, owner=owner, reason=reason, until=end, identity=place.identity(), at=now()
        )
        tree, said = written(event, names(registry))
        console.result(tree, said)
