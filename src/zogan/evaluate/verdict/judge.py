"""From a protocol and what was measured to a verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields

from zogan.errors import RunError
from zogan.evaluate.evaluation import Estimate, Evaluation, Evidence, SliceEvidence
from zogan.evaluate.evidence import digest_of_measured
from zogan.evaluate.probes.limits import answers, limited
from zogan.evaluate.probes.reading import Probes, Reading
from zogan.evaluate.protocol.protocol import Protocol
from zogan.evaluate.statistics import holm
from zogan.evaluate.statistics.decide import threshold
from zogan.evaluate.verdict.tested import IntervalTest, MatchedTest, ShareTest, Tested
from zogan.evaluate.verdict.verdict import Clause, Outcome, Standing, Verdict, Why


@dataclass(frozen=True)
class Costs:
    """What limits are held against; None where it was not measured.

    Attributes:
        latency_ms: time to predict a row.
        peak_bytes: peak of memory while rows are predicted.
        patch_bytes: size of the patch's file.
        density: changed weights as a share of all of the base's, 0 to 1.
    """

    latency_ms: float | None = None
    peak_bytes: float | None = None
    patch_bytes: float | None = None
    density: float | None = None


@dataclass(frozen=True)
class _Statistical:
    """A clause that chance has a part in; `tested` is None where its rows give no figure."""

    clause: Clause
    tested: Tested | None


def judge(
    protocol: Protocol,
    evaluation: Evaluation,
    costs: Costs,
    standing: Standing,
    *,
    patch: str,
    test: str,
    probes: Probes | None = None,
) -> Verdict:
    """Judge a patch.

    The claim and each floor, of a slice or an external set, are tested on both sides, and each side is corrected by
    itself (Holm, 1979): a clause is accepted where the corrected one-sided p-value that it holds is at most half of
    alpha, and rejected where that it does not hold is. Limits are measured, and compared; a probe's limit is held
    against its whole interval.

    Args:
        protocol: in full.
        evaluation: with evidence for it.
        costs: what was measured of the limits.
        standing: whether it confirms.
        patch: digest of the patch.
        test: SHA-256 of the test rows.
        probes: what they found in the patch; None where none was run.

    Raises:
        RunError: the evaluation has no evidence, or that of another protocol.
    """
    found = evaluation.evidence
    if found is None or found.of != digest_of_measured(protocol):
        what = "no figures for a protocol" if found is None else "the figures of another protocol"
        raise RunError(f"the evaluation holds {what}", todo="Run `zogan pilot` with the protocol's configuration")
    statistical = [_claim(protocol, found), *_floors(protocol, found)]
    clauses = (*_decided(statistical, protocol.alpha), *_limits(protocol, costs), *_probes(protocol, probes))
    outcome = _together(clauses)
    return Verdict(
        outcome=outcome,
        exploratory=bool(standing.exploratory),
        metric=found.metric,
        higher_is_better=found.higher_is_better,
        against=protocol.against,
        seeds=protocol.seeds,
        claim=protocol.claim,
        margin=protocol.margin,
        alpha=protocol.alpha,
        level=found.level,
        rival=found.rival,
        after=found.after,
        clauses=clauses,
        more_rows=_more_in_all(clauses, evaluation) if outcome == "undecided" else None,
        standing=standing,
        protocol=protocol.digest,
        patch=patch,
        test=test,
    )


def _claim(protocol: Protocol, found: Evidence) -> _Statistical:
    beyond = threshold(protocol.claim, protocol.margin)  # of an improvement
    sign = 1 if found.higher_is_better else -1
    tested: Tested | None = None
    if found.matched is not None:
        matched = found.matched
        if sign < 0:
            matched = matched.model_copy(update={"gained": matched.lost, "lost": matched.gained})
        tested = MatchedTest(matched, beyond)
    elif found.difference is not None:
        tested = IntervalTest(found.difference, sign * beyond, sign, found.level)
    return _Statistical(_clause("claim", found.metric, found.difference, sign * beyond, found.rows), tested)


def _floors(protocol: Protocol, found: Evidence) -> list[_Statistical]:
    given = [("slice", name, one.floor, found.slices[name]) for name, one in protocol.slices.items()]
    given += [("external", name, one.floor, found.external[name]) for name, one in protocol.external.items()]
    return [
        _Statistical(_clause(kind, name, one.after, floor, one.rows), _floor(one, floor, found))
        for kind, name, floor, one in given
    ]


def _floor(one: SliceEvidence, floor: float, found: Evidence) -> Tested | None:
    if one.right is not None and one.rows:
        if found.higher_is_better:
            return ShareTest(one.right, one.rows, floor)
        return ShareTest(one.rows - one.right, one.rows, 1 - floor)
    sign = 1 if found.higher_is_better else -1
    return None if one.after is None else IntervalTest(one.after, floor, sign, found.level)


def _clause(kind: str, name: str, estimate: Estimate | None, beyond: float, rows: int) -> Clause:
    taken = {} if estimate is None else estimate.model_dump(include={"value", "low", "high", "method"})
    return Clause.model_validate(
        {"kind": kind, "name": name, "outcome": "undecided", "value": None, "threshold": beyond, "rows": rows, **taken}
    )


def _decided(parts: list[_Statistical], alpha: float) -> list[Clause]:
    """Each with its corrected p-values; what has no figure counts as one that shows nothing."""
    keys = [f"{one.clause.kind} {one.clause.name}" for one in parts]
    holds = {key: one.tested.holds if one.tested else 1.0 for key, one in zip(keys, parts, strict=True)}
    fails = {key: one.tested.fails if one.tested else 1.0 for key, one in zip(keys, parts, strict=True)}
    for_it, against = holm(holds), holm(fails)
    clauses = []
    for key, one in zip(keys, parts, strict=True):
        outcome: Outcome = "undecided"
        if for_it[key] <= alpha / 2:
            outcome = "accepted"
        elif against[key] <= alpha / 2:
            outcome = "rejected"
        p_values: Mapping[str, object] = {}
        if one.tested is not None:
            p_values = {
                "p_value": holds[key],
                "p_adjusted": for_it[key],
                "p_against": fails[key],
                "p_against_adjusted": against[key],
            }
        more = _more(one, 1 - alpha / len(parts)) if outcome == "undecided" else {}
        clauses.append(one.clause.model_copy(update={"outcome": outcome, **p_values, **more}))
    return clauses


def _more(one: _Statistical, level: float) -> dict[str, int | Why]:
    """Rows beyond those at hand that would decide, at the level of the strictest clause."""
    needed: int | Why = "no_figure" if one.tested is None else one.tested.needed(level)
    if isinstance(needed, str):
        return {"why": needed}
    assert one.clause.rows is not None  # a statistical clause has rows
    return {"more_rows": max(needed - one.clause.rows, 1)}


def _limits(protocol: Protocol, costs: Costs) -> list[Clause]:
    clauses = []
    for one in fields(costs):
        allowed, value = getattr(protocol.limits, one.name), getattr(costs, one.name)
        if allowed is None:
            continue
        outcome: Outcome = "undecided" if value is None else "accepted" if value <= allowed else "rejected"
        why: Why | None = "not_measured" if value is None else None
        clauses.append(Clause(kind="limit", name=one.name, outcome=outcome, value=value, threshold=allowed, why=why))
    return clauses


def _probes(protocol: Protocol, probes: Probes | None) -> list[Clause]:
    """Of each limit one for each reading that it holds for; a limit without any was not measured."""
    there = probes.readings if probes is not None and probes.limits == protocol.probes else ()
    clauses = []
    for name, limit in limited(protocol.probes).items():
        readings = [one for one in there if answers(one.name, name)]
        clauses += [_reading(one.held_to(limit), limit) for one in readings] or [
            Clause(kind="probe", name=name, outcome="undecided", value=None, threshold=limit, why="not_measured")
        ]
    return clauses


def _reading(one: Reading, limit: float) -> Clause:
    outcome: Outcome = "undecided"
    if one.outcome in ("kept", "broken"):
        outcome = "accepted" if one.outcome == "kept" else "rejected"
    return Clause(
        kind="probe",
        name=one.name,
        unit=one.unit,
        outcome=outcome,
        value=one.value.value,
        low=one.value.low,
        high=one.value.high,
        method=one.value.method,
        threshold=limit,
        rows=one.rows,
        why="holds_limit" if outcome == "undecided" else None,
    )


def _together(clauses: tuple[Clause, ...]) -> Outcome:
    outcomes = {one.outcome for one in clauses}
    if "rejected" in outcomes:
        return "rejected"
    return "accepted" if outcomes == {"accepted"} else "undecided"


def _more_in_all(clauses: tuple[Clause, ...], evaluation: Evaluation) -> int | None:
    """Test rows that decide every clause: of more, a slice has the share that it has now, and none is external."""
    most = 0
    for one in clauses:
        if one.outcome != "undecided":
            continue
        if one.more_rows is None or not one.rows or one.kind == "external":
            return None
        most = max(
            most, math.ceil(one.more_rows * evaluation.rows / one.rows) if one.kind == "slice" else one.more_rows
        )
    return most
