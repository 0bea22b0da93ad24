"""Figures, intervals, tests and counts of two sides, against what they are made of."""

from __future__ import annotations

import numpy as np
import pytest

from made_sides import LABELS, SETTINGS, classifier, compared, dialogues, texts, writer
from zogan.config import EvaluateConfig
from zogan.data.rows import TextRow
from zogan.errors import DataError
from zogan.evaluate.compare import compare
from zogan.evaluate.comparison.result import Comparison
from zogan.evaluate.statistics import Matched, holm, mcnemar, score_interval

ROWS = texts(60)
TRUTH = [row.target for row in ROWS]


def wrong(choices: list[str], places: range) -> list[str]:
    """The same with other labels at some places."""
    return [LABELS[(LABELS.index(one) + 1) % 3] if n in places else one for n, one in enumerate(choices)]


A = classifier("A", ROWS, wrong(TRUTH, range(12)))
B = classifier("B", ROWS, wrong(wrong(TRUTH, range(4)), range(58, 60)))
MATCHED = Matched(60, gained=8, lost=2)


def test_rows_that_are_right_or_wrong_have_the_score_interval_and_mcnemar() -> None:
    found = compared(A, B, ROWS)
    accuracy, macro = found.metrics
    assert (accuracy.metric, macro.metric) == ("accuracy", "macro_f1")
    assert (accuracy.a, accuracy.b) == pytest.approx((48 / 60, 54 / 60))
    interval = score_interval(MATCHED, level=0.95)
    assert (accuracy.difference.low, accuracy.difference.high) == (interval.low, interval.high)
    assert (accuracy.difference.method, accuracy.test, accuracy.p_value) == ("score", "mcnemar", mcnemar(MATCHED))
    assert accuracy.difference.better is None
    (counts,) = found.counts
    assert (counts.both_right, counts.a_alone, counts.b_alone, counts.both_wrong) == (46, 2, 8, 4)
    assert found.churn is not None
    assert (found.churn.changed, found.churn.share) == (10, 10 / 60)
    assert found.notes == ()


def test_other_metrics_have_what_the_evaluation_says_of_before_and_after() -> None:
    found = compared(A, B, ROWS).metrics[1]
    evaluation = compare(
        ROWS,
        A.system.predictions,
        B.system.predictions,
        before_is="base",
        split="test",
        settings=SETTINGS,
        seed=0,
    )
    assert evaluation.difference is not None
    assert evaluation.after is not None
    assert found.difference.model_dump() == pytest.approx(evaluation.difference["macro_f1"].model_dump())
    assert (found.a, found.b) == (evaluation.before["macro_f1"].value, evaluation.after["macro_f1"].value)
    assert found.test == "sign_flip"
    assert 0 < found.p_value < 1


def test_sides_change_places() -> None:
    there, back = compared(A, B, ROWS), compared(B, A, ROWS)
    for one, other in zip(there.metrics, back.metrics, strict=True):
        assert one.difference.value == pytest.approx(-other.difference.value)
        assert one.p_value == pytest.approx(other.p_value, abs=0.05)
    assert there.counts[0].a_alone == back.counts[0].b_alone
    assert there.churn == back.churn
    assert [one.key for one in there.differences] == [one.key for one in back.differences]


def test_better_is_said_in_the_direction_of_the_metric() -> None:
    rows = dialogues(40)
    worse = writer("A", rows, np.linspace(1.1, 1.2, 40))
    better = writer("B", rows, np.linspace(0.9, 1.1, 40))
    found = {one.metric: one for one in compared(worse, better, rows).metrics}
    assert found.keys() == {"loss", "perplexity"}
    assert found["loss"].difference.better is True
    assert found["loss"].difference.high < 0
    assert found["loss"].p_value < 0.01


def test_a_side_against_itself_differs_nowhere() -> None:
    found = compared(A, A, ROWS)
    assert (found.differing, found.differences) == (0, ())
    for one in found.metrics:
        assert (one.difference.value, one.p_value, one.difference.better) == (0, 1, None)
    assert found.metrics[0].difference.low < 0 < found.metrics[0].difference.high


def test_parts_of_the_rows_are_adjusted_for_how_many_there_are() -> None:
    slices = {"first": range(12), "last": range(50, 60), "none of it right": range(4)}
    found = compared(A, B, ROWS, slices=slices)
    assert [(part.name, part.rows) for part in found.slices] == [
        ("first", 12),
        ("last", 10),
        ("none of it right", 4),
    ]
    first, last, _ = (part.metrics[0] for part in found.slices)
    assert (first.a, first.b) == pytest.approx((0, 8 / 12))
    assert (last.a, last.b) == pytest.approx((1, 0.8))
    assert first.p_value == mcnemar(Matched(12, 8, 0))
    each = {part.name: part.metrics[0].p_value for part in found.slices}
    assert {part.name: part.metrics[0].p_adjusted for part in found.slices} == holm(each)
    assert {one.metric for one in found.slices[0].metrics} == {"accuracy", "macro_f1"}
    assert [(part.name, part.rows) for part in found.labels] == [(label, 20) for label in LABELS]
    assert all([one.metric for one in part.metrics] == ["accuracy"] for part in found.labels)
    whole = sum(part.metrics[0].difference.value for part in found.labels) / 3
    assert whole == pytest.approx(found.metrics[0].difference.value)


def test_a_label_that_no_row_has_is_left_out() -> None:
    rows = [row for row in ROWS if row.target != "fine"]
    right = classifier("A", rows, [row.target for row in rows])
    assert [part.name for part in compared(right, right, rows).labels] == ["bad", "good"]


def test_answers_are_compared_where_both_gave_some() -> None:
    rows = dialogues(30)
    a = writer("A", rows, 1.0, ["answer 0", "no", "no"])
    b = writer("B", rows, 1.0, ["answer  0", "answer 1"])
    found = compared(a, b, rows)
    metrics = {one.metric: one for one in found.metrics}
    assert {name: one.rows for name, one in metrics.items()} == {
        "loss": 30,
        "perplexity": 30,
        "chrf": 2,
        "rouge_l": 2,
        "exact_match": 2,
    }
    assert (metrics["exact_match"].a, metrics["exact_match"].b) == (0.5, 1)
    assert found.churn is not None
    assert (found.churn.rows, found.churn.changed) == (2, 1)
    assert found.notes == ("A answered 3 rows, B 2: those that both answered, 2, are compared",)
    silent = compared(a, writer("B", rows, 1.0), rows)
    assert (silent.churn, silent.counts) == (None, ())


def test_what_is_not_like_for_like_is_said() -> None:
    rows = dialogues(4)
    a = writer("A", rows, 1.0, ["x"], max_new_tokens=8)
    b = writer("B", rows, 1.0, ["x"], max_new_tokens=16, tokens=5, task={"prompt_format": "chat", "max_length": 32})
    assert compared(a, b, rows).notes == (
        "prompt_format is 'plain' in A and 'chat' in B",
        "max_length is 64 in A and 32 in B",
        "A and B count the responses' tokens otherwise: loss and perplexity are not like for like",
        "answers end at 8 tokens in A, at 16 in B",
    )


def test_one_row_is_enough_and_none_is_not() -> None:
    (row,) = texts(1)
    found = compared(classifier("A", [row], ["fine"]), classifier("B", [row], ["bad"]))
    assert [one.difference.value for one in found.metrics] == [1, 1]
    assert found.metrics[1].difference.method == "none"
    with pytest.raises(DataError, match="A: no rows to compare"):
        compared(classifier("A", [], []), classifier("B", [], []))


def test_level_and_resamples_are_the_settings() -> None:
    found = compared(A, B, ROWS, settings=EvaluateConfig(level=0.5001, resamples=111))
    assert (found.level, found.resamples) == (0.5001, 111)
    wide = compared(A, B, ROWS).metrics[0].difference
    assert found.metrics[0].difference.low > wide.low
    assert Comparison.model_validate_json(found.model_dump_json()) == found


def test_a_text_that_is_not_at_hand_is_none() -> None:
    without = compared(A, B)
    assert {one.text for one in without.differences if hasattr(one, "text")} == {None}
    texts_shown = [one.text for one in compared(A, B, ROWS).differences if hasattr(one, "text")]
    assert set(texts_shown) <= {row.text for row in ROWS if isinstance(row, TextRow)}
    assert len(texts_shown) == without.differing == 10
