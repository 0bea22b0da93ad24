"""The section on probes: what was read, held against its limit, with its curves and its worst rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from sample_run import write_run
from zogan.evaluate.evaluation import Figure
from zogan.evaluate.probes.reading import Example, Probes, Reading, Table
from zogan.report.html import render
from zogan.report.probes import coverage, probes, reliability
from zogan.report.record import read
from zogan.report.risks import risks
from zogan.report.words import Language, Words

RELIABILITY = Table(
    title="reliability", columns=("rows", "sure", "right"), rows=((50, 0.5, 0.4), (50, 0.7, 0.75), (50, 0.95, 0.9))
)
COVERAGE = Table(
    title="risk", columns=("coverage", "sure", "right"), rows=((0.5, 0.9, 1.0), (0.8, 0.7, 0.9), (1.0, 0.3, 0.8))
)


def found() -> Probes:
    figure = Figure(value=0.031, low=0.02, high=0.045, method="score")
    calibration = Reading(
        name="calibration",
        figure="expected calibration error",
        unit="share",
        rows=150,
        value=figure,
        before=figure,
        tables=(RELIABILITY,),
        examples=(Example(place="test.jsonl:7", text="<b>late</b>", what="91% sure of 'good', is 'bad'"),),
    )
    others = [
        Reading(name="abstention", figure="area", unit="share", rows=150, value=figure, tables=(COVERAGE,)),
        Reading(name="groups.region", figure="gap", unit="plain", rows=150, value=figure),
        Reading(name="shouting", figure="answers in capitals", unit="share", rows=150, value=figure),
    ]
    return Probes(
        task="classification",
        patch="a" * 64,
        before_is="head_only",
        rows=150,
        level=0.95,
        seed=0,
        readings=(calibration.held_to(0.05), *others),
        skipped={"leakage": "for generation"},
    )


def test_each_reading_is_said_in_its_unit() -> None:
    words = Words("en")
    lines = probes(found(), words, words)
    assert [line.name for line in lines] == [
        "Error of calibration",
        "Risk where the least sure rows are left to people",
        "Gap between groups of region",
        "shouting",
    ]
    assert (lines[0].value, lines[0].interval, lines[0].limit, lines[0].outcome) == (
        "3.1 %",
        "2.0 to 4.5 %",
        "5.0 %",
        "kept",
    )
    assert (lines[2].value, lines[2].limit, lines[2].outcome) == ("0.031", "–", None)
    assert [line.picture is not None for line in lines] == [True, True, False, False]
    assert probes(None, words, words) == []


def test_examples_are_said_in_the_language() -> None:
    known = Example(
        place="test.jsonl:7",
        text="late again",
        what="typing: 'good' becomes 'bad'",
        kind="slipped",
        values={"slip": "typing", "before": "good", "after": "bad"},
    )
    own = Example(place="test.jsonl:8", text="late", what="loud", kind="shouted")
    reading = found().readings[0].model_copy(update={"examples": (known, own)})
    said = ((Words("en"), "typing slip: good becomes bad"), (Words("ja"), "打ち間違い：good から bad に変化"))
    for words, told in said:
        (line,) = probes(found().model_copy(update={"readings": (reading,)}), words, words)
        assert [one.what for one in line.examples] == [told, "loud"]


def test_a_broken_limit_is_a_risk(tmp_path: Path) -> None:
    record = read(write_run(tmp_path / "run"))
    probed = replace(record, probes=found().model_copy(update={"readings": (found().readings[0].held_to(0.01),)}))
    told = risks(probed, Words("en"))
    assert "Probes that break their limit: Error of calibration (3.1 %; limit 1.0 %)." in told
    assert "上限を超えた点検項目：確信度のずれ（3.1%、上限1.0%）" in risks(probed, Words("ja"))


@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_curves_are_svg_with_a_description(language: Language) -> None:
    words = Words(language)
    for drawn, name in ((reliability(RELIABILITY, words), "reliability"), (coverage(COVERAGE, words), "coverage")):
        assert words(f"chart.{name}") in drawn
        assert ElementTree.fromstring(drawn).tag.endswith("svg")


@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_page_has_the_section(tmp_path: Path, language: Language) -> None:
    record = read(write_run(tmp_path / "run"))
    words = Words(language)
    assert words("probes.title") not in render(record, language)
    page = render(replace(record, probes=found()), language)
    for key in ("probes.title", "reading.calibration", "probes.kept", "reading.leakage"):
        assert words(key) in page
    assert "&lt;b&gt;late&lt;/b&gt;" in page


def test_probes_of_another_patch_are_no_part_of_the_run(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    (run / "probes.json").write_text(found().dumps(), encoding="utf-8")
    record = read(run)
    assert record.probes is None
