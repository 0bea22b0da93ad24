"""A protocol in words, as `zogan protocol show` prints it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zogan.evaluate.metrics import Metric
    from zogan.evaluate.protocol.protocol import Protocol
    from zogan.evaluate.protocol.sample import Sample
    from zogan.evaluate.protocol.state import State


def terms(protocol: Protocol, test: Sample, metric: Metric) -> list[tuple[str, str]]:
    """The protocol in words."""
    from zogan.report.metrics import Metric as Shown
    from zogan.report.words import Words

    words, shown = Words("en"), Shown(protocol.metric)
    name = words.name("metric", protocol.metric)
    rival = {"base": "the base", "head_only": "a head alone", "full": "full fine-tuning"}.get(
        protocol.against, f"the patch in use, {(protocol.patch or '')[:12]}"
    )
    margin = shown.difference(protocol.margin, words).lstrip("+")
    claim = {
        "superiority": f"better than {rival}" + (f" by more than {margin}" if protocol.margin else ""),
        "non_inferiority": f"not worse than {rival} by {margin}",
    }[protocol.claim]
    direction = "at least" if metric.higher_is_better else "at most"
    clauses = 1 + len(protocol.slices) + len(protocol.external)
    over = f", over {clauses} clauses by Holm's correction" if clauses > 1 else ""
    found = [
        ("claim", f"{name} {claim}"),
        ("error level", f"{words.small_percent(protocol.alpha)}, two-sided{over}"),
        ("test rows", f"{test.rows:,}"),
        ("seeds", ", ".join(map(str, protocol.seeds))),
    ]
    for key, one in protocol.slices.items():
        which = f"text matches {one.matches}" if one.matches is not None else f"{one.column} = {one.value}"
        rows = test.slices[key].rows
        found.append((f"slice {key}", f"{rows:,} rows ({which}): {direction} {shown.value(one.floor, words)}"))
    for key, terms_there in protocol.external.items():
        floor = shown.value(terms_there.floor, words)
        found.append((f"external {key}", f"{terms_there.rows:,} rows: {direction} {floor}"))
    for limit, value in protocol.limits.model_dump().items():
        if value is not None:
            said = words.size(value) if limit.endswith("_bytes") else f"{value:g}"
            found.append((f"limit {limit}", f"at most {said}"))
    for watched in protocol.rollback:
        threshold = f"above {watched.above:g}" if watched.above is not None else f"below {watched.below:g}"
        told = ", ".join(watched.tell)
        found.append(("rollback", f"{watched.watch} {threshold} over {watched.window_minutes:g} min; tell {told}"))
    return [*found, ("base", protocol.base[:12]), ("sha256", protocol.digest)]


def standing(found: State) -> list[tuple[str, str]]:
    """Whether it is frozen, what changed since, and how often was looked."""
    if found.frozen is None or found.changes is None:
        return [("frozen", "not yet: zogan protocol freeze")]
    lines = [("frozen", f"{found.frozen.frozen_at} ({found.path})")]
    lines += [("exploratory", reason) for reason in found.frozen.exploratory]
    lines += [("changed since", line) for line in found.changes.lines()]
    return [*lines, ("looks", f"{found.looks:,} at these test rows")]
