"""The section on overfitting, in both languages."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from sample_run import write_run
from zogan.evaluate.evaluation import Difference, Evaluation, Learnt, Overfitting
from zogan.report.html import render
from zogan.report.overfitting import overfitting
from zogan.report.record import read
from zogan.report.words import Language, Words


def with_gap(evaluation: Evaluation, gap: float, half: float) -> Evaluation:
    better = None if abs(gap) <= half else gap < 0
    told = Difference(value=gap, low=gap - half, high=gap + half, method="score", better=better)
    learnt = Learnt(training=0.9, held_out=0.9 - gap, gap=told)
    return evaluation.model_copy(
        update={"overfitting": Overfitting(rows=1500, figures={"accuracy": learnt}, loss=learnt)}
    )


@pytest.mark.parametrize(
    ("gap", "language", "said"),
    [
        (0.055, "en", "On 1,500 of its training rows Accuracy is 90.0 %, on the test rows 84.5 %: a gap of 5.5 points"),
        (0.01, "en", "no overfitting is shown (gap 1.0 points, 95 % interval −1.0 to +3.0 points)"),
        (0.055, "ja", "差は5.5ポイントです（95%信頼区間 +3.5～+7.5ポイント）"),
    ],
)
def test_the_gap_is_said(tmp_path: Path, gap: float, language: Language, said: str) -> None:
    record = read(write_run(tmp_path / "run"))
    found = overfitting(with_gap(record.evaluation, gap, 0.02), record.epochs, Words(language))
    assert found is not None
    assert said in found.sentence.replace("\N{NO-BREAK SPACE}", " ")
    assert found.picture is not None
    assert ElementTree.fromstring(found.picture).tag.endswith("svg")
    assert overfitting(record.evaluation, record.epochs, Words(language)) is None


@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_page_has_the_section_where_it_was_measured(tmp_path: Path, language: Language) -> None:
    record = read(write_run(tmp_path / "run"))
    title = Words(language)("overfitting.title")
    assert title not in render(record, language)
    assert title in render(replace(record, evaluation=with_gap(record.evaluation, 0.05, 0.02)), language)
