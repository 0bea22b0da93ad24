"""The section on rows from elsewhere, in both languages."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sample_run import write_run
from zogan.evaluate.evaluation import Difference, Drops, Evaluation, ExternalEvaluation
from zogan.report.external import external
from zogan.report.html import render
from zogan.report.record import read
from zogan.report.risks import gravest, risks
from zogan.report.words import Language, Words


def with_external(evaluation: Evaluation, *, drop: float, half: float) -> Evaluation:
    """The run's figures again as those of a set, with a drop."""
    told = Difference(value=drop, low=drop - half, high=drop + half, method="score", better=None)
    if abs(drop) > half:
        told = told.model_copy(update={"better": drop < 0})
    drops = {info.name: told for info in evaluation.metrics}
    one = ExternalEvaluation(
        name="<Osaka>",
        note="2025",
        rows=120,
        left_out=3,
        metrics=evaluation.metrics,
        before=evaluation.before,
        after=evaluation.after,
        difference=evaluation.difference,
        drop=Drops(before=drops, after=drops),
    )
    return evaluation.model_copy(update={"external": (one,)})


@pytest.mark.parametrize(
    ("drop", "half", "language", "said"),
    [
        (0.05, 0.02, "en", "On <Osaka>, Accuracy of the tuned model is 5.0 points worse than on the run's own test"),
        (-0.05, 0.02, "en", "On <Osaka>, Accuracy of the tuned model is 5.0 points better"),
        (0.01, 0.02, "en", "(drop −1.0 to +3.0 points)"),
        (0.05, 0.02, "ja", "手元の評価データより5.0ポイント悪くなっています（+3.0～+7.0ポイント）"),
    ],
)
def test_the_drop_is_said(tmp_path: Path, drop: float, half: float, language: Language, said: str) -> None:
    evaluation = with_external(read(write_run(tmp_path / "run")).evaluation, drop=drop, half=half)
    words = Words(language)
    (shown,) = external(evaluation, words, words)
    assert said in shown.sentence.replace("\N{NO-BREAK SPACE}", " ")
    assert shown.lines[0].after.value.startswith("78.3")


def test_a_drop_is_a_risk(tmp_path: Path) -> None:
    record = read(write_run(tmp_path / "run"))
    for half, told in ((0.02, True), (0.07, False)):
        away = replace(record, evaluation=with_external(record.evaluation, drop=0.05, half=half))
        assert any(line.startswith("On <Osaka>, Accuracy") for line in risks(away, Words("en"))) == told


@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_page_has_the_section_where_there_is_a_set(tmp_path: Path, language: Language) -> None:
    record = read(write_run(tmp_path / "run"))
    title = Words(language)("external.title")
    assert title not in render(record, language)
    page = render(replace(record, evaluation=with_external(record.evaluation, drop=0.05, half=0.02)), language)
    assert title in page
    assert '<span translate="no">&lt;Osaka&gt;</span>' in page
    assert "2025" in page


def test_of_few_risks_that_are_shown_each_kind_has_one(tmp_path: Path) -> None:
    asked = {"limits": {"latency_ms": 1, "density": 0.0001, "patch_bytes": 10}}
    record = read(write_run(tmp_path / "run", asked=asked))
    away = replace(record, evaluation=with_external(record.evaluation, drop=0.05, half=0.02))
    shown, whole = gravest(away, Words("en"), 5), risks(away, Words("en"))
    assert shown == [line for line in whole if line in shown]
    assert len(shown) == 5
    assert any(line.startswith("On <Osaka>") for line in shown)
    assert not any(line.startswith("On <Osaka>") for line in whole[:4])
