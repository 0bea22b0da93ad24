"""A protocol's plan, as `zogan protocol plan` prints it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zogan.cli.tables import table

if TYPE_CHECKING:
    from rich.table import Table

    from zogan.evaluate.protocol.plan import Plan
    from zogan.report.metrics import Metric
    from zogan.report.words import Words


def planned(found: Plan) -> list[Table | str]:
    """What the claim takes, what the rows at hand show, and what the plan stands on."""
    from zogan.report.metrics import Metric
    from zogan.report.words import Words

    words, metric = Words("en"), Metric(found.metric)

    def told(value: float) -> str:
        return f"{words.signed(value, 3)} deviations" if found.in_deviations else metric.difference(value, words)

    power, name = words.percent(found.power, 0), words.name("metric", found.metric)
    better = {"superiority": "better", "non_inferiority": "not worse"}[found.claim]
    by = f" by {told(found.margin).lstrip('+')}" if found.margin else ""
    claim = f"{better}{by} in {name}, at an error level of {words.small_percent(found.level)}"
    clauses = f" ({words.small_percent(found.alpha)} over {found.clauses} clauses)" if found.clauses > 1 else ""
    at_hand = f"the {found.rows:,} test rows at hand"
    shown: list[Table | str] = [f"to show: {claim}{clauses}, {power} of the time"]
    if found.difference is not None:
        need = f"{found.needed:,} test rows" if found.needed is not None else "no number of test rows is enough"
        shown.append(f"needed:  {need}, where the true difference is {told(found.difference)}")
    smallest = f"a true difference of {told(found.smallest)}" if found.smallest is not None else "no difference"
    shown.append(f"smallest: {at_hand} show {smallest}")
    rows = [(told(one.difference), f"{one.rows:,}" if one.rows is not None else "–") for one in found.table]
    shown.append(table(("true difference", "test rows needed"), rows, numbers=2))
    if found.slices:
        slices = [
            (one.name, metric.value(one.floor, words), _enough(one.enough, metric, words), f"{one.rows:,}")
            for one in found.slices
        ]
        shown.append(table(("slice", "floor", "shown to keep it from", "rows"), slices, numbers=3))
    shown.append(_reckoned(found, words))
    return shown


def _enough(value: float | None, metric: Metric, words: Words) -> str:
    return "–" if value is None else metric.value(value, words)


def _reckoned(found: Plan, words: Words) -> str:
    """What the plan stands on."""
    from zogan.evaluate.statistics import RightOrWrong

    design, source = found.spread.design, found.spread.source
    if found.in_deviations:
        return (
            "a deviation is the standard deviation of a row's difference, which is not known yet: give --deviation, or "
            "--from RUN to take it from an earlier run"
        )
    if isinstance(design, RightOrWrong):
        what = f"the two models disagree on {words.percent(design.discordant)} of the rows"
        more = ": give --discordant, or --from RUN to take it from an earlier run" if source == "assumed" else ""
        return f"{source}: {what}{more}"
    return f"{source}: a row's difference has a standard deviation of {words.number(design.deviation, 4)}"
