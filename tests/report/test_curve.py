"""The section on the learning curve: what twice the labels would bring, or why that cannot be told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import get_args
from xml.etree import ElementTree

import pytest

from sample_run import write_run
from zogan.evaluate.curve import Curve
from zogan.evaluate.evaluation import Figure
from zogan.evaluate.statistics import WhyNoGain
from zogan.report.curve import curve, sentence
from zogan.report.html import render
from zogan.report.record import read
from zogan.report.words import Language, Words


def made(metric: str = "accuracy", *, why: WhyNoGain | None = None) -> Curve:
    points = [Figure(value=v, low=v - 0.02, high=v + 0.02, method="percentile") for v in (0.8, 0.84, 0.86)]
    gain = Figure(value=0.012, low=0.002, high=0.02, method="percentile")
    return Curve(
        metric=metric,
        higher_is_better=metric != "loss",
        level=0.95,
        sizes=(100, 200, 400),
        runs=3,
        points=(points[0], points[1], points[2]),
        gain=None if why else gain,
        why=why,
        patch="a" * 64,
    )


def test_the_gain_is_said_in_the_figures_unit() -> None:
    assert sentence(made(), Words("en")) == (
        "Doubling the labels would bring about 1.2 points of Accuracy (95 % interval +0.2 to +2.0 points)."
    )
    assert "0.012 of Loss on answers (95 % interval +0.002 to +0.020)" in sentence(made("loss"), Words("en"))
    assert "約1.2ポイント良くなる見込みです（95%信頼区間 +0.2～+2.0ポイント）" in sentence(made(), Words("ja"))


@pytest.mark.parametrize("why", get_args(WhyNoGain))
def test_a_gain_that_cannot_be_told_has_its_reason(why: WhyNoGain) -> None:
    for language in ("en", "ja"):
        words = Words(language)
        assert words(f"curve.reason.{why}") in sentence(made(why=why), words)


@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_page_has_the_section_where_there_is_a_curve(tmp_path: Path, language: Language) -> None:
    record = read(write_run(tmp_path / "run"))
    title = Words(language)("curve.title")
    assert title not in render(record, language)
    assert title in render(replace(record, curve=made()), language)
    for one in (made(), made(why="early")):
        shown = curve(one, Words(language))
        assert shown is not None
        assert ElementTree.fromstring(shown.picture).tag.endswith("svg")
