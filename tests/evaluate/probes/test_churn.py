"""Rows that were right and are wrong are counted, against what was before and what is in use."""

from __future__ import annotations

from pathlib import Path

import pytest

import data
from planted import Planted, Says, planted_job
from zogan.config import ChurnConfig
from zogan.data.rows import Row
from zogan.evaluate.probes.bench import NotProbedError
from zogan.evaluate.probes.churn import churn
from zogan.tasks.job import Job

ROWS = data.text_rows(90)


def right_but(*wrong: str) -> Says:
    return lambda row: (("bad" if row.target != "bad" else "good") if row.target in wrong else row.target, 0.8)


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    return planted_job(tmp_path_factory.mktemp("job"), "classification", test=ROWS)


def test_a_label_that_is_lost(job: Job) -> None:
    bench = Planted(job, {"before": right_but("bad"), "after": right_but("good"), "production": right_but("good")})
    base, in_use = churn.look(bench, ChurnConfig(limit=0.1))
    assert (base.name, base.outcome) == ("churn", "broken")
    assert base.value.value == pytest.approx(1 / 3)
    assert base.also == {"wrong_to_right": pytest.approx(1 / 3), "relative": pytest.approx(1.5)}
    assert [example.what for example in base.examples] == ["was 'good', is 'bad'"] * 10
    assert (in_use.name, in_use.value.value, in_use.outcome) == ("churn.production", 0.0, "kept")
    assert in_use.value.high > 0
    assert in_use.examples == ()


def test_answers_are_compared_word_for_word(tmp_path: Path) -> None:
    job = planted_job(tmp_path, "generation")

    def right(row: Row) -> tuple[str, float]:
        return f" {row.target}\n", 1.0

    (same,) = churn.look(Planted(job, {"before": right, "after": right}), ChurnConfig())
    assert same.value.value == 0
    (lost,) = churn.look(Planted(job, {"before": right, "after": lambda row: ("no", 1.0)}), ChurnConfig())
    assert lost.value.value == 1
    (never,) = churn.look(Planted(job, {"before": lambda row: ("no", 1.0), "after": right}), ChurnConfig())
    assert never.notes == ("no row was right before",)
    assert never.also["relative"] is None


def test_with_nothing_to_compare_it_does_not_run(job: Job) -> None:
    with pytest.raises(NotProbedError, match="no model before"):
        churn.look(Planted(job, {"after": right_but()}), ChurnConfig())
