"""The verdict is right where the truth is known, and says why it is open where it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from tiny_protocol import protocol
from zogan.config import EvaluateConfig
from zogan.data.rows import Place, Row, TextRow, dialogue
from zogan.errors import RunError
from zogan.evaluate import evidence as module
from zogan.evaluate.compare import compare
from zogan.evaluate.evaluation import Evaluation, Figure
from zogan.evaluate.evidence import evidence
from zogan.evaluate.metrics import metrics
from zogan.evaluate.probes.reading import Probes, Reading
from zogan.evaluate.protocol.protocol import ExternalTerms, Protocol
from zogan.evaluate.statistics import RightOrWrong, Share, rows_needed
from zogan.evaluate.verdict import tested
from zogan.evaluate.verdict.judge import Costs, judge
from zogan.evaluate.verdict.verdict import Clause, Standing, Verdict
from zogan.tasks.task import ClassPredictions, Predictions, TextPredictions

PAIRS = 400
ERROR = 3 * (0.05 * 0.95 / PAIRS) ** 0.5
"""Three standard errors of a share of 5 % over so many pairs."""
STANDING = Standing(exploratory=(), frozen_at="2026-01-02T03:04:05+00:00", looks=1)
MARGIN, DISCORDANT = 0.06, 0.15
UNMEASURED = Costs()
NOT_WORSE: dict[str, Any] = {"claim": "non_inferiority", "margin": MARGIN}


def classes(right: np.ndarray) -> ClassPredictions:
    """A classifier that is right on these rows."""
    right = np.asarray(right, dtype=bool)
    probabilities = np.where(right[:, None], [0.9, 0.1], [0.1, 0.9])
    return ClassPredictions(("a", "b"), np.zeros(len(right), dtype=np.int64), probabilities, np.zeros(len(right)))


@cache
def class_rows(number: int) -> tuple[Row, ...]:
    """Rows of which every other one has the word `odd`."""
    return tuple(TextRow("odd" if index % 2 else "even", "a", Place("t", index)) for index in range(number))


def judged(terms: Protocol, before: Any, after: Any, costs: Costs = UNMEASURED) -> Verdict:
    """The verdict on predictions, or on lists of one for each seed."""
    befores, afters = (one if isinstance(one, list) else [one] for one in (before, after))
    return judge(terms, evaluated(terms, befores, afters), costs, STANDING, patch="a" * 64, test="b" * 64)


def evaluated(terms: Protocol, befores: list[Predictions], afters: list[Predictions]) -> Evaluation:
    first = afters[0]
    rows: Sequence[Row]
    if isinstance(first, ClassPredictions):
        rows = class_rows(len(first.truth))
    else:
        rows = [dialogue("p", "r", Place("t", index)) for index in range(len(first.losses))]
    settings = EvaluateConfig(resamples=100)
    whole = compare(rows, befores[0], first, before_is="base", split="test", settings=settings, seed=0)
    found = evidence(rows, befores, afters, protocol=terms, resamples=200, seed=0)
    return whole.model_copy(update={"evidence": found})


@pytest.fixture
def _no_rows_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """How many more rows would decide takes far longer than the verdict, and is not asked for here."""
    for test in (tested.MatchedTest, tested.ShareTest, tested.IntervalTest):
        monkeypatch.setattr(test, "needed", lambda self, level: "out_of_reach")


@pytest.fixture(autouse=True)
def _metrics_are_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking for other packages' metrics takes ten times as long as the rest."""
    monkeypatch.setattr(module, "metrics", cache(metrics))


def outcomes(terms: Protocol, pair: Callable[[np.random.Generator], tuple[Any, Any]]) -> dict[str, float]:
    """Shares of the outcomes over simulated pairs of models."""
    generator = np.random.default_rng(1)
    found = []
    for _ in range(PAIRS):
        before, after = pair(generator)
        rows = class_rows(len(before))
        measured = evidence(rows, [classes(before)], [classes(after)], protocol=terms, resamples=50, seed=0)
        whole = BLANK.model_copy(update={"evidence": measured, "rows": len(rows)})
        found.append(judge(terms, whole, Costs(), STANDING, patch="a" * 64, test="b" * 64).outcome)
    return {name: found.count(name) / PAIRS for name in ("accepted", "rejected", "undecided")}


BLANK = Evaluation(
    task="classification",
    split="test",
    rows=1,
    before_is="base",
    level=0.95,
    resamples=50,
    metrics=(),
    before={},
)


def matched_pair(rows: int, improvement: float) -> Callable[[np.random.Generator], tuple[Any, Any]]:
    """Two models of which the second is so much better in truth."""
    gained, lost = (DISCORDANT + improvement) / 2, (DISCORDANT - improvement) / 2

    def draw(generator: np.random.Generator) -> tuple[Any, Any]:
        kind = generator.choice(4, size=rows, p=[gained, lost, 0.7, 1 - gained - lost - 0.7])
        return (kind == 1) | (kind == 2), (kind == 0) | (kind == 2)

    return draw


@pytest.mark.usefixtures("_no_rows_asked")
@pytest.mark.parametrize("improvement", [0.0, MARGIN, -MARGIN, -2 * MARGIN])
def test_not_worse_is_said_as_often_as_was_planned_and_no_more(improvement: float) -> None:
    design = RightOrWrong(DISCORDANT)
    rows = rows_needed(design, improvement=0.0, claim="non_inferiority", margin=MARGIN, level=0.95, power=0.8)
    assert rows is not None
    found = outcomes(protocol(**NOT_WORSE), matched_pair(rows, improvement))
    planned = design.power(rows, improvement=improvement, beyond=-MARGIN, level=0.95)
    assert found["accepted"] == pytest.approx(planned, abs=0.05)
    against = design.power(rows, improvement=-improvement, beyond=MARGIN, level=0.95)
    assert found["rejected"] == pytest.approx(against, abs=0.05)
    if improvement <= -MARGIN:
        assert found["accepted"] <= 0.05 + ERROR
    else:
        assert found["rejected"] <= 0.05 + ERROR


@pytest.mark.usefixtures("_no_rows_asked")
@pytest.mark.parametrize("improvement", [0.0, MARGIN, -2 * MARGIN])
def test_better_is_said_as_often_as_was_planned_and_no_more(improvement: float) -> None:
    design = RightOrWrong(DISCORDANT)
    rows = rows_needed(design, improvement=MARGIN, claim="superiority", level=0.95, power=0.8)
    assert rows is not None
    found = outcomes(protocol(), matched_pair(rows, improvement))
    assert found["accepted"] == pytest.approx(
        design.power(rows, improvement=improvement, beyond=0.0, level=0.95), abs=0.05
    )
    if improvement <= 0:
        assert found["accepted"] <= 0.05 + ERROR


ODD = {"name": "odd", "matches": "odd", "floor": 0.8}


@pytest.mark.usefixtures("_no_rows_asked")
@pytest.mark.parametrize("right", [0.8, 0.7, 0.9])
def test_a_floor_is_kept_as_often_as_was_planned_and_no_more(right: float) -> None:
    """Beside a claim that is plainly true, so that all hangs on the slice."""
    rows = 240
    terms = protocol(claim="non_inferiority", margin=0.5, slices=[ODD])

    def draw(generator: np.random.Generator) -> tuple[Any, Any]:
        drawn = generator.random(rows) < right
        return drawn, drawn

    found = outcomes(terms, draw)
    # The claim's p-value is far smaller, so that Holm's correction leaves the slice the whole of alpha.
    accepted = Share(0.8).power(rows // 2, improvement=right - 0.8, beyond=0.0, level=0.95)
    assert found["accepted"] == pytest.approx(accepted, abs=0.05)
    if right == 0.8:
        assert found["accepted"] <= 0.05 + ERROR
        assert found["rejected"] <= 0.05 + ERROR


def text(losses: np.ndarray) -> TextPredictions:
    return TextPredictions(losses, np.full(len(losses), 4), (), ())


def generation(**keys: Any) -> Protocol:
    return protocol(**{"metric": "loss", **keys}).model_copy(update={"task": "generation"})


@pytest.mark.usefixtures("_no_rows_asked")
@pytest.mark.parametrize(("worse", "accepted"), [(0.1, (0.0, 0.05 + ERROR)), (0.0, (0.75, 0.9))])
def test_a_loss_is_judged_by_its_bootstrap(worse: float, accepted: tuple[float, float]) -> None:
    generator = np.random.default_rng(3)
    rows, found = 120, 0
    terms = generation(claim="non_inferiority", margin=0.1)
    blank = BLANK.model_copy(update={"task": "generation"})
    dialogues: list[Row] = [dialogue("p", "r", Place("t", index)) for index in range(rows)]
    for _ in range(PAIRS):
        before = generator.gamma(4, 2, size=rows)
        after = before + 4 * generator.normal(worse, 0.39, size=rows)
        measured = evidence(dialogues, [text(before)], [text(after)], protocol=terms, resamples=200, seed=1)
        whole = blank.model_copy(update={"evidence": measured, "rows": rows})
        found += judge(terms, whole, Costs(), STANDING, patch="a" * 64, test="b" * 64).outcome == "accepted"
    assert accepted[0] <= found / PAIRS <= accepted[1]


@pytest.mark.usefixtures("_no_rows_asked")
def test_seeds_are_chance_too() -> None:
    """A gain that one seed alone would show is none where seeds differ as much."""
    terms, rows, accepted = protocol(seeds=[0, 1, 2]), 200, 0
    generator = np.random.default_rng(5)
    for _ in range(PAIRS):
        before = generator.random(rows) < 0.8
        shifts = generator.normal(0, 0.05, size=3)  # each seed's own gain or loss, 0 in the mean
        flips = [generator.random(rows) < abs(shift) / 0.5 for shift in shifts]
        afters = [
            classes(np.where(flip & (generator.random(rows) < 0.5), shift > 0, before))
            for flip, shift in zip(flips, shifts, strict=True)
        ]
        measured = evidence(class_rows(rows), [classes(before)] * 3, afters, protocol=terms, resamples=50, seed=0)
        whole = BLANK.model_copy(update={"evidence": measured, "rows": rows})
        accepted += judge(terms, whole, Costs(), STANDING, patch="a" * 64, test="b" * 64).outcome == "accepted"
    assert accepted / PAIRS <= 0.05 + ERROR


# One verdict at a time


def right(rows: int, *wrong: int) -> np.ndarray:
    found = np.ones(rows, dtype=bool)
    found[list(wrong)] = False
    return found


def only(found: Verdict, kind: str) -> Clause:
    (clause,) = (one for one in found.clauses if one.kind == kind)
    return clause


def test_all_clauses_make_an_acceptance_and_one_a_rejection() -> None:
    same = classes(right(200))
    limits = {"latency_ms": 10, "peak_bytes": 1000, "patch_bytes": 1000, "density": 0.5}
    terms = protocol(**NOT_WORSE, slices=[ODD], limits=limits)
    within = Costs(latency_ms=9.0, peak_bytes=900, patch_bytes=1000, density=0.1)
    found = judged(terms, same, same, within)
    assert (found.outcome, len(found.clauses), found.more_rows) == ("accepted", 6, None)
    assert {one.outcome for one in found.clauses} == {"accepted"}
    slow = judged(terms, same, same, Costs(latency_ms=11.0, peak_bytes=900, patch_bytes=1000, density=0.1))
    assert slow.outcome == "rejected"
    assert [one.name for one in slow.clauses if one.outcome == "rejected"] == ["latency_ms"]


def test_a_limit_that_was_not_measured_is_open_and_no_rows_decide_it() -> None:
    same = classes(right(200))
    found = judged(protocol(**NOT_WORSE, limits={"latency_ms": 10}), same, same)
    clause = only(found, "limit")
    assert (found.outcome, found.more_rows) == ("undecided", None)
    assert (clause.outcome, clause.value, clause.more_rows, clause.why) == ("undecided", None, None, "not_measured")


def test_models_that_agree_on_every_row_are_not_taken_for_sure() -> None:
    few = classes(right(20))
    found = judged(protocol(**NOT_WORSE), few, few)
    claim = only(found, "claim")
    assert found.outcome == "undecided"
    assert claim.low is not None
    assert claim.low < -MARGIN
    assert claim.more_rows is not None
    assert found.more_rows == claim.more_rows > 1
    many = classes(right(20 + claim.more_rows))
    assert judged(protocol(**NOT_WORSE), many, many).outcome == "accepted"


def test_more_rows_of_a_slice_are_more_test_rows_in_all() -> None:
    same = classes(right(60, *range(1, 12, 2)))  # six of the thirty odd rows are wrong
    found = judged(protocol(claim="non_inferiority", margin=0.5, slices=[{**ODD, "floor": 0.7}]), same, same)
    clause = only(found, "slice")
    assert (clause.rows, clause.value, clause.method, clause.outcome) == (30, 0.8, "exact", "undecided")
    assert clause.more_rows is not None
    assert found.more_rows == 2 * clause.more_rows


def test_what_lies_just_on_the_threshold_is_decided_by_no_rows() -> None:
    same = classes(right(40))
    assert only(judged(protocol(), same, same), "claim").why == "on_threshold"
    half = classes(right(40, *range(1, 40, 4)))  # half of the odd rows
    terms = protocol(claim="non_inferiority", margin=0.9, slices=[{**ODD, "floor": 0.5}])
    assert only(judged(terms, half, half), "slice").why == "on_threshold"


def test_losses_that_are_all_alike_decide_nothing() -> None:
    before, after = text(np.full(30, 8.0)), text(np.full(30, 4.0))
    claim = only(judged(generation(), before, after), "claim")
    assert (claim.outcome, claim.value, claim.why) == ("undecided", -1.0, "no_chance")


def test_lower_is_better_where_it_is() -> None:
    generator = np.random.default_rng(0)
    before = generator.gamma(4, 2, size=200)
    lower, higher = text(before - 1 + generator.normal(0, 0.4, 200)), text(before + 1 + generator.normal(0, 0.4, 200))
    slices = [{"name": "all", "matches": ".", "floor": 2.5}]
    assert judged(generation(slices=slices), text(before), lower).outcome == "accepted"
    worse = judged(generation(margin=0.1), text(before), higher)
    assert (worse.outcome, only(worse, "claim").threshold) == ("rejected", -0.1)
    tight = judged(generation(slices=[{**slices[0], "floor": 1.0}]), text(before), lower)
    assert only(tight, "slice").outcome == "rejected"


def test_a_slice_of_which_no_row_is_answered_is_open() -> None:
    losses = np.full(3, 1.0)
    answered = TextPredictions(losses, np.full(3, 4), ("x",), ("x",))
    terms = generation(metric="exact_match", slices=[{"name": "last", "column": "c", "value": "1", "floor": 0.5}])
    rows: list[Row] = [dialogue("p", "r", Place("t", index)) for index in range(3)]
    rows[2] = replace(rows[2], columns=(("c", "1"),))
    found = evidence(rows, [answered], [answered], protocol=terms, resamples=50, seed=0)
    whole = BLANK.model_copy(update={"evidence": found, "rows": 3})
    clause = only(judge(terms, whole, Costs(), STANDING, patch="a" * 64, test="b" * 64), "slice")
    assert (clause.rows, clause.value, clause.why) == (0, None, "no_figure")


def test_chance_that_lies_in_the_seeds_asks_for_seeds() -> None:
    before = classes(right(100, *range(20)))
    afters = [classes(right(100, *range(wrong))) for wrong in (5, 30, 18)]
    found = judged(protocol(seeds=[0, 1, 2]), [before] * 3, afters)
    claim = only(found, "claim")
    assert (claim.method, claim.why, claim.rows) == ("seeds", "seeds", 100)
    steady = [classes(right(100, *range(wrong))) for wrong in (17, 18, 19)]
    more = only(judged(protocol(seeds=[0, 1, 2]), [before] * 3, steady), "claim").more_rows
    assert more is None or more > 0


def test_holm_asks_more_of_several_clauses() -> None:
    before, after = classes(right(400, *range(12))), classes(right(400, *range(4)))
    alone = judged(protocol(), before, after)
    assert alone.outcome == "accepted"
    beside = judged(protocol(slices=[{**ODD, "floor": 0.97}]), before, after)
    claim = only(beside, "claim")
    assert claim.p_value == only(alone, "claim").p_value
    assert claim.p_adjusted is not None
    assert claim.p_value is not None
    assert claim.p_adjusted >= claim.p_value


def test_figures_of_another_protocol_are_refused() -> None:
    same = classes(right(30))
    whole = evaluated(protocol(), [same], [same])
    for terms in (protocol(metric="macro_f1"), protocol(alpha=0.1), protocol(slices=[ODD])):
        with pytest.raises(RunError, match="the evaluation holds the figures of another protocol"):
            judge(terms, whole, Costs(), STANDING, patch="a" * 64, test="b" * 64)
    bare = whole.model_copy(update={"evidence": None})
    with pytest.raises(RunError, match="the evaluation holds no figures for a protocol"):
        judge(protocol(), bare, Costs(), STANDING, patch="a" * 64, test="b" * 64)
    # What is asked of the same figures may change.
    assert judge(protocol(margin=0.1), whole, Costs(), STANDING, patch="a" * 64, test="b" * 64).margin == 0.1


def test_an_external_set_has_its_floor_in_the_verdict() -> None:
    terms = protocol().model_copy(update={"external": {"away": ExternalTerms(floor=0.7, rows=60, sha256="c" * 64)}})
    own = classes(np.arange(200) % 10 > 0)
    rows = class_rows(200)
    for right, outcome in ((58, "accepted"), (20, "rejected"), (43, "undecided")):
        there = classes(np.arange(60) < right)
        found = evidence(
            rows,
            [classes(np.arange(200) % 2 > 0)],
            [own],
            protocol=terms,
            resamples=100,
            seed=0,
            external={"away": ([there], [there])},
        )
        evaluation = evaluated(protocol(), [own], [own]).model_copy(update={"evidence": found})
        verdict = judge(terms, evaluation, UNMEASURED, STANDING, patch="a" * 64, test="b" * 64)
        clause = verdict.clauses[1]
        assert (clause.kind, clause.name, clause.rows, clause.outcome) == ("external", "away", 60, outcome)
        assert clause.value == pytest.approx(right / 60)
        assert verdict.outcome == outcome
    assert verdict.more_rows is None  # more test rows bring none of the set


def reading(name: str, low: float, high: float) -> Reading:
    value = Figure(value=(low + high) / 2, low=low, high=high, method="score")
    return Reading(name=name, figure="harm", unit="share", rows=200, value=value)


def test_each_limit_of_a_probe_is_a_clause() -> None:
    limits = {"churn": {"limit": 0.05}, "groups": {"limit": 0.1, "swap_limit": 0.02}}
    terms = protocol().model_copy(update={"probes": limits})
    good, bad = classes(np.arange(200) % 10 > 0), classes(np.arange(200) % 2 > 0)
    evaluation = evaluated(terms, [bad], [good])
    readings = (
        reading("churn", 0.01, 0.03),
        reading("churn.production", 0.06, 0.1),
        reading("groups.region", 0.05, 0.2),
        reading("leakage", 0.0, 0.5),
    )
    told = {"task": "classification", "patch": "a" * 64, "before_is": "base", "rows": 200, "level": 0.95, "seed": 0}
    found = Probes.model_validate({**told, "readings": readings, "skipped": {}, "limits": limits})

    def clauses(probes: Probes | None) -> dict[str, tuple[str, str | None]]:
        verdict = judge(terms, evaluation, UNMEASURED, STANDING, patch="a" * 64, test="b" * 64, probes=probes)
        return {one.name: (one.outcome, one.why) for one in verdict.clauses if one.kind == "probe"}

    assert clauses(found) == {
        "churn": ("accepted", None),
        "churn.production": ("rejected", None),
        "groups.region": ("undecided", "holds_limit"),
        "groups.swaps": ("undecided", "not_measured"),
    }
    unmeasured = dict.fromkeys(("churn", "groups", "groups.swaps"), ("undecided", "not_measured"))
    assert clauses(None) == unmeasured
    other = found.model_copy(update={"limits": {"churn": {"limit": 0.5}}})
    assert clauses(other) == unmeasured  # it was looked for with other options
