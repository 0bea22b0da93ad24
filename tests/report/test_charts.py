"""Pictures are plain elements that take the page's colours."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from sample_run import write_run
from zogan.patch.places import locate
from zogan.report import charts
from zogan.report.comparison import compare
from zogan.report.record import Record, read
from zogan.report.words import Language, Words


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Record:
    return read(write_run(tmp_path_factory.mktemp("runs") / "first", "generation", layers=20))


def pictures(record: Record, language: Language) -> dict[str, str]:
    words = Words(language)
    return {
        "comparison": charts.comparison(compare(record), words),
        "places": charts.places(record.places, words),
        "training": charts.training(record.steps, record.epochs, words),
    }


@pytest.mark.parametrize("language", ["en", "ja"])
def test_pictures_are_whole_and_say_what_they_show(record: Record, language: Language) -> None:
    for name, svg in pictures(record, language).items():
        root = ET.fromstring(svg)
        assert root.attrib["role"] == "img"
        assert root.attrib["aria-label"] == Words(language)(f"chart.{name}")


def test_pictures_take_the_colours_of_the_page(record: Record) -> None:
    for svg in pictures(record, "en").values():
        assert not re.search(r"#[0-9a-f]{6}\b", svg)
        assert "var(--ink)" in svg or "var(--soft)" in svg


def test_pictures_fetch_nothing_and_name_no_font(record: Record) -> None:
    for svg in pictures(record, "en").values():
        assert "http" not in svg
        assert "DejaVu" not in svg


def test_pictures_share_no_id(record: Record) -> None:
    ids = [name for svg in pictures(record, "en").values() for name in re.findall(r'\bid="([^"]+)"', svg)]
    assert len(ids) == len(set(ids))
    links = [name for svg in pictures(record, "en").values() for name in re.findall(r'(?:href="|url\()#([^")]+)', svg)]
    assert set(links) <= set(ids)


def test_text_stays_text(record: Record) -> None:
    picture = pictures(record, "ja")["training"]
    assert ">検証<" in picture


def test_the_same_record_gives_the_same_bytes(record: Record) -> None:
    assert pictures(record, "en") == pictures(record, "en")


def test_narrow_models_get_numbers_in_their_cells() -> None:
    words = Words("en")
    few = charts.places(locate({"layer.0.q.weight": (1, (10, 10)), "layer.1.q.weight": (3, (10, 10))}), words)
    assert ">3.00<" in few


def test_names_with_markup_are_escaped() -> None:
    svg = charts.places(locate({"layer.0.<script>$x$.weight": (1, (2, 2))}), Words("en"))
    assert "<script" not in svg
    assert "&lt;script&gt;$x$" in svg


def test_training_without_steps_or_with_one_epoch(tmp_path: Path) -> None:
    epochs = [{"epoch": 1, "validation_loss": 0.5, "best": True}]
    ET.fromstring(charts.training([], epochs, Words("en")))
    ET.fromstring(charts.training([{"step": 1, "epoch": 1, "loss": 0.7}], epochs, Words("en")))
