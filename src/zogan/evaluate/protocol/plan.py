"""Before training: how many test rows the protocol's claim takes, and what those at hand can show."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any, Literal

import numpy as np

from zogan.config import Config
from zogan.data.rows import Row
from zogan.errors import ConfigError
from zogan.evaluate.evaluation import Evaluation
from zogan.evaluate.metrics import Metric
from zogan.evaluate.protocol.protocol import deciding
from zogan.evaluate.protocol.slices import members
from zogan.evaluate.statistics import Claim, Mean, RightOrWrong, Share, rows_needed, smallest_improvement
from zogan.evaluate.statistics.decide import threshold
from zogan.tasks.task import TextPredictions

Source = Literal["given", "measured", "assumed"]

ASSUMED_DISCORDANT = 0.2
"""Share of rows on which one model is right and the other wrong, where nothing is known of it."""

_BEYOND_OF_SHARE = (0.005, 0.01, 0.02, 0.03, 0.05, 0.1)
_BEYOND_OF_DEVIATION = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
"""How far beyond the margin the table's differences lie: in the figure's unit, or in deviations."""

_CLOSE = 1e-6


@dataclass(frozen=True)
class Spread:
    """How two models differ from row to row.

    Attributes:
        design: discordant share or standard deviation.
        source: given; measured in an earlier evaluation; or assumed.
        known_unit: whether the deviation is in the figure's unit; else everything is told in deviations.
    """

    design: RightOrWrong | Mean
    source: Source
    known_unit: bool = True


@dataclass(frozen=True)
class Planned:
    """Rows that show a true difference."""

    difference: float
    rows: int | None


@dataclass(frozen=True)
class SlicePlan:
    """What a slice's rows can show.

    Attributes:
        name: of the slice.
        rows: that it has.
        floor: in the protocol.
        enough: a true figure this good would be shown to keep the floor; None where none would, or where it is not
            known how rows differ.
    """

    name: str
    rows: int
    floor: float
    enough: float | None


@dataclass(frozen=True)
class Plan:
    """Differences are improvements, in the figure's unit or, where `in_deviations`, in standard deviations of a row's.

    Attributes:
        metric: that decides.
        claim: superiority or non_inferiority.
        margin: of the claim, in the figure's unit.
        alpha: error level over all clauses, two-sided.
        clauses: the claim and the floors of slices and external sets.
        level: of the strictest clause: what Holm's correction asks of the smallest p value.
        power: chance to show what is true.
        rows: at hand, on which the figure is taken.
        spread: how rows differ.
        smallest: the smallest true difference that the rows at hand show; None where they show none, or where the
            margin cannot be told in deviations.
        difference: true difference that the claim is planned for; None where there is none to plan for.
        needed: rows that show the claim at that difference; None where no number does.
        table: rows for a few differences.
        slices: what their rows can show.
    """

    metric: str
    claim: Claim
    margin: float
    alpha: float
    clauses: int
    level: float
    power: float
    rows: int
    spread: Spread
    smallest: float | None
    difference: float | None
    needed: int | None
    table: tuple[Planned, ...]
    slices: tuple[SlicePlan, ...]

    @property
    def in_deviations(self) -> bool:
        """Whether the figure's unit is not known to the plan."""
        return not self.spread.known_unit

    @property
    def to_exceed(self) -> float:
        """What the difference must be shown to exceed: the margin, below 0 for non-inferiority."""
        return threshold(self.claim, self.margin)

    def rows_at(self, difference: float, design: RightOrWrong | Mean | None = None) -> int | None:
        """Rows that show a true difference; with another design than the plan's where given."""
        return _needed(difference, design or self.spread.design, self.claim, self.margin, self.level, self.power)

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        design = self.spread.design
        kind = "discordant" if isinstance(design, RightOrWrong) else "deviation"
        tree = asdict(self)
        tree["spread"] = {
            "kind": kind,
            "value": getattr(design, kind) if self.spread.known_unit else None,
            "source": self.spread.source,
        }
        return {**tree, "unit": "deviations" if self.in_deviations else "figure"}


def plan(
    config: Config,
    test: Sequence[Row],
    *,
    power: float = 0.8,
    difference: float | None = None,
    spread: Spread | None = None,
) -> Plan:
    """Plan a protocol's test.

    Args:
        config: with the protocol.
        test: the rows at hand, with the slices' columns.
        power: chance to show what is true, above 0 and below 1.
        difference: true difference to plan for, as an improvement in the figure's unit. Where absent 0 for
            non-inferiority, twice the margin for superiority by a margin, and none for superiority by any.
        spread: how rows differ; assumed where absent.

    Raises:
        ConfigError: a power or difference that cannot be, a margin in a unit that the plan does not know, or no such
            metric.
        DataError: a slice has no row.
    """
    if not 0 < power < 1:
        raise ConfigError(f"{power:g} is no chance between 0 and 1", where="--power", todo="For example 0.8")
    metric, given = deciding(config), config.protocol
    spread = spread or assumed(metric)
    rows = len(test) if not _answered(config, metric) else min(len(test), config.evaluate.answers)
    if difference is not None and not abs(difference) <= metric.most:
        raise ConfigError(
            f"{difference:g} is more than {metric.name} can change, {metric.most:g}", where="--difference"
        )
    clauses = 1 + len(given.slices) + len(given.external)
    level, exceed = given.alpha / clauses, threshold(given.claim, given.margin)
    if not spread.known_unit and (difference is not None or given.margin):
        key = "protocol.margin" if given.margin else "--difference"
        raise ConfigError(
            f"{metric.name} has a unit of its own, and nothing says how much it differs from row to row",
            where=key,
            todo="Give --deviation, or --from RUN to take it from an earlier run's evaluation",
        )
    if difference is None and (given.claim == "non_inferiority" or given.margin):
        difference = 0.0 if given.claim == "non_inferiority" else min(2 * given.margin, metric.most)
    most = metric.most if spread.known_unit else math.inf
    beyond: tuple[float, ...] = _BEYOND_OF_SHARE
    if isinstance(spread.design, Mean):
        beyond = tuple(part * spread.design.deviation for part in _BEYOND_OF_DEVIATION)
    differences = {min(exceed + part, most) for part in beyond}
    differences |= {difference} if difference is not None else set()

    def needed(difference: float) -> int | None:
        return _needed(difference, spread.design, given.claim, given.margin, level, power)

    return Plan(
        metric=metric.name,
        claim=given.claim,
        margin=given.margin,
        alpha=given.alpha,
        clauses=clauses,
        level=level,
        power=power,
        rows=rows,
        spread=spread,
        smallest=_smallest(rows, spread.design, given.claim, given.margin, level, power),
        difference=difference,
        needed=None if difference is None else needed(difference),
        table=tuple(Planned(one, needed(one)) for one in sorted(differences)),
        slices=_slices(config, metric, test[:rows], level, power),
    )


def _needed(
    difference: float, design: RightOrWrong | Mean, claim: Claim, margin: float, level: float, power: float
) -> int | None:
    """Rows that show a true difference; None where it does not exceed the margin, or no number of rows is enough.

    No fewer rows can differ than the difference asks for.
    """
    if difference <= threshold(claim, margin):
        return None
    if isinstance(design, RightOrWrong):
        design = RightOrWrong(max(design.discordant, min(abs(difference), 1.0)))
    return rows_needed(design, improvement=difference, claim=claim, margin=margin, level=1 - level, power=power)


def _smallest(
    rows: int, design: RightOrWrong | Mean, claim: Claim, margin: float, level: float, power: float
) -> float | None:
    """The smallest true difference that the rows show: above the discordant share, all rows that differ are gained."""
    found, beyond = None, threshold(claim, margin)
    if design.largest > beyond:
        found = smallest_improvement(design, rows, claim=claim, margin=margin, level=1 - level, power=power)
    if found is None and isinstance(design, RightOrWrong):
        found = _all_gained(rows, design, beyond, level, power)
    return found


def _all_gained(rows: int, design: RightOrWrong, beyond: float, level: float, power: float) -> float | None:
    """The smallest difference above the discordant share that is shown, where no row is lost."""

    def shown(difference: float) -> bool:
        wider = RightOrWrong(difference)
        return wider.power(rows, improvement=difference, beyond=beyond, level=1 - level) >= power

    low, high = max(design.discordant, beyond), 1.0
    if not shown(high):
        return None
    while high - low > _CLOSE:
        middle = (low + high) / 2
        low, high = (low, middle) if shown(middle) else (middle, high)
    return high


def assumed(metric: Metric) -> Spread:
    """What is reckoned with where nothing is known."""
    if metric.proportion:
        return Spread(RightOrWrong(ASSUMED_DISCORDANT), "assumed")
    return Spread(Mean(1.0), "assumed", known_unit=False)


def measured(evaluation: Evaluation, metric: Metric) -> Spread:
    """How two models differed from row to row in an earlier evaluation: from the rows that it counted, or the interval.

    Raises:
        ConfigError: the evaluation has no such difference, or its two models did not differ at all.
    """
    found = (evaluation.difference or {}).get(metric.name)
    rows = next((info.rows for info in evaluation.metrics if info.name == metric.name), 0)
    if found is None or found.method == "none":
        raise ConfigError(f"holds no difference in {metric.name}", where="--from", todo="Name a run that is evaluated")
    counted = evaluation.evidence.matched if evaluation.evidence is not None else None
    if counted is not None and evaluation.evidence is not None and evaluation.evidence.metric == metric.name:
        if not counted.gained + counted.lost:
            raise ConfigError(f"its two models do not differ in {metric.name}", where="--from", todo="Name another run")
        return Spread(RightOrWrong((counted.gained + counted.lost) / counted.rows), "measured")
    half = NormalDist().inv_cdf((1 + evaluation.level) / 2)
    deviation = (found.high - found.low) / (2 * half) * math.sqrt(rows)
    if not deviation:
        raise ConfigError(f"its two models do not differ in {metric.name}", where="--from", todo="Name another run")
    if metric.proportion:
        return Spread(RightOrWrong(min(deviation**2 + found.value**2, 1.0)), "measured")
    return Spread(Mean(deviation), "measured")


def _answered(config: Config, metric: Metric) -> bool:
    """Whether the figure is taken on answers, which the first rows alone have: of two rows, one of them answered."""
    if config.task == "classification":
        return False
    two = TextPredictions(losses=np.ones(2), tokens=np.ones(2, dtype=np.int64), answers=("a",), references=("a",))
    return len(metric.rows(two)) == 1


def _slices(config: Config, metric: Metric, test: Sequence[Row], level: float, power: float) -> tuple[SlicePlan, ...]:
    found = members(test, config.protocol.slices)
    plans = []
    for one in config.protocol.slices:
        rows, lead = len(found[one.name]), None
        if metric.proportion and 0 <= one.floor < metric.most:
            lead = smallest_improvement(Share(one.floor), rows, claim="superiority", level=1 - level, power=power)
        plans.append(SlicePlan(one.name, rows, one.floor, None if lead is None else one.floor + lead))
    return tuple(plans)
