"""What a protocol's claim takes, from what is known of how rows differ."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from data import dialogue_rows, make_config, text_rows
from zogan.errors import ConfigError, DataError
from zogan.evaluate.evaluation import Difference, Evaluation, Figure, MetricInfo
from zogan.evaluate.metrics import metrics
from zogan.evaluate.protocol.plan import ASSUMED_DISCORDANT, Plan, Spread, measured, plan
from zogan.evaluate.statistics import Mean, RightOrWrong, rows_needed

BAD = {"name": "bad", "matches": "late|lost|broken|rude", "floor": 0.5}


def planned(folder: Path, task: str = "classification", rows: int = 300, **options: Any) -> Plan:
    protocol = options.pop("protocol", {})
    make = text_rows if task == "classification" else dialogue_rows
    return plan(make_config(folder, task, protocol=protocol), make(rows), **options)


def test_superiority_by_any_margin_has_a_table_and_a_smallest_difference(tmp_path: Path) -> None:
    found = planned(tmp_path)
    assert (found.difference, found.needed, found.rows, found.clauses) == (None, None, 300, 1)
    assert found.spread == Spread(RightOrWrong(ASSUMED_DISCORDANT), "assumed")
    rows = [one.rows for one in found.table if one.rows is not None]
    assert len(rows) == len(found.table)
    assert rows == sorted(rows, reverse=True)
    assert found.smallest is not None
    assert found.rows_at(found.smallest) in (300, 301)


def test_superiority_by_a_margin_is_planned_for_twice_of_it(tmp_path: Path) -> None:
    found = planned(tmp_path, protocol={"margin": 0.03})
    assert found.difference == 0.06
    assert found.needed == rows_needed(
        RightOrWrong(0.2), improvement=0.06, claim="superiority", margin=0.03, level=0.95, power=0.8
    )
    assert planned(tmp_path, protocol={"margin": 0.03}, difference=0.02).needed is None


def test_non_inferiority_is_planned_for_no_difference(tmp_path: Path) -> None:
    found = planned(tmp_path, protocol={"claim": "non_inferiority", "margin": 0.03})
    assert (found.difference, found.to_exceed) == (0.0, -0.03)
    assert found.needed == rows_needed(
        RightOrWrong(0.2), improvement=0.0, claim="non_inferiority", margin=0.03, level=0.95, power=0.8
    )


def test_more_power_and_more_clauses_take_more_rows(tmp_path: Path) -> None:
    plain = planned(tmp_path, difference=0.05)
    sure = planned(tmp_path, difference=0.05, power=0.95)
    sliced = planned(tmp_path, difference=0.05, protocol={"slices": [BAD]})
    assert plain.needed is not None
    assert sure.needed is not None
    assert sliced.needed is not None
    assert sure.needed > plain.needed
    assert sliced.needed > plain.needed
    assert (sliced.clauses, sliced.level) == (2, 0.025)


def test_a_slice_says_from_where_its_floor_is_shown(tmp_path: Path) -> None:
    (one,) = planned(tmp_path, protocol={"slices": [BAD]}).slices
    assert (one.rows, one.floor) == (100, 0.5)
    assert one.enough is not None
    assert 0.5 < one.enough < 0.75
    (few,) = planned(tmp_path, rows=6, protocol={"slices": [{**BAD, "floor": 0.9}]}).slices
    assert (few.rows, few.enough) == (2, None)
    with pytest.raises(DataError, match="slice 'bad': none of the 300 test rows"):
        planned(tmp_path, protocol={"slices": [{**BAD, "matches": "nowhere"}]})


def test_what_has_a_unit_of_its_own_is_told_in_deviations(tmp_path: Path) -> None:
    found = planned(tmp_path, "generation")
    assert found.in_deviations
    assert found.as_json()["spread"] == {"kind": "deviation", "value": None, "source": "assumed"}
    assert found.as_json()["unit"] == "deviations"
    for options in ({"difference": 0.1}, {"protocol": {"margin": 0.1}}):
        with pytest.raises(ConfigError, match=r"loss has a unit of its own.*Give --deviation, or --from RUN"):
            planned(tmp_path, "generation", **options)
    known = planned(tmp_path, "generation", spread=Spread(Mean(0.4), "given"), protocol={"margin": 0.1})
    assert not known.in_deviations
    assert known.needed == rows_needed(
        Mean(0.4), improvement=0.2, claim="superiority", margin=0.1, level=0.95, power=0.8
    )


@pytest.mark.parametrize(
    ("metric", "rows"), [("loss", 300), ("perplexity", 300), ("chrf", 200), ("rouge_l", 200), ("exact_match", 200)]
)
def test_answers_are_counted_where_the_figure_is_of_answers(tmp_path: Path, metric: str, rows: int) -> None:
    assert planned(tmp_path, "generation", protocol={"metric": metric}).rows == rows


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"power": 1.0}, "--power: 1 is no chance between 0 and 1"),
        ({"difference": 3.0}, "--difference: 3 is more than accuracy can change, 1"),
        ({"difference": float("nan")}, "--difference: nan"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        planned(tmp_path, **options)


def test_a_margin_near_the_top_leaves_a_table(tmp_path: Path) -> None:
    found = planned(tmp_path, protocol={"margin": 0.999})
    assert next(one.difference for one in found.table) == 1.0


def evaluation(value: float, half: float, rows: int, method: Any = "bca") -> Evaluation:
    """An earlier evaluation whose difference in accuracy has this interval."""
    figure = Figure(value=0.8, low=0.7, high=0.9, method="bca")
    difference = Difference(value=value, low=value - half, high=value + half, method=method, better=None)
    return Evaluation(
        task="classification",
        split="test",
        rows=rows,
        before_is="base",
        level=0.95,
        resamples=100,
        metrics=(MetricInfo(name="accuracy", higher_is_better=True, rows=rows),),
        before={"accuracy": figure},
        after={"accuracy": figure},
        difference={"accuracy": difference},
    )


def test_the_discordant_share_comes_back_from_an_interval() -> None:
    discordant, value, rows = 0.15, 0.04, 400
    half = 1.959963985 * ((discordant - value**2) / rows) ** 0.5
    found = measured(evaluation(value, half, rows), metrics("classification")["accuracy"])
    assert isinstance(found.design, RightOrWrong)
    assert found.design.discordant == pytest.approx(discordant)
    assert found.source == "measured"
    other = replace(metrics("classification")["accuracy"], proportion=False)
    means = measured(evaluation(value, half, rows), other).design
    assert isinstance(means, Mean)
    assert means.deviation == pytest.approx((discordant - value**2) ** 0.5)


def test_an_evaluation_that_says_nothing_is_refused() -> None:
    accuracy, macro = metrics("classification").values()
    with pytest.raises(ConfigError, match="holds no difference in macro_f1"):
        measured(evaluation(0.1, 0.1, 9), macro)
    with pytest.raises(ConfigError, match="holds no difference in accuracy"):
        measured(evaluation(0.1, 0.1, 1, "none"), accuracy)
    with pytest.raises(ConfigError, match="its two models do not differ in accuracy"):
        measured(evaluation(0.0, 0.0, 9), accuracy)


def test_the_plan_is_json(tmp_path: Path) -> None:
    tree = json.loads(json.dumps(planned(tmp_path, protocol={"slices": [BAD]}).as_json(), allow_nan=False))
    assert tree["spread"] == {"kind": "discordant", "value": 0.2, "source": "assumed"}
    assert tree["unit"] == "figure"
    assert tree["slices"][0]["name"] == "bad"
