"""Slides: ten at most, native charts and tables, nothing over the edge, in one language, the same bytes each time."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sample_run import Outcome, Task, class_example, text_example, write_run
from zogan.report.record import read
from zogan.report.slides import deck, fit, theme
from zogan.report.words import Language

POINT = 12700
ASKED: dict[str, Any] = {
    "slices": [{"name": "支払いに関する問い合わせ payments", "matches": "pay", "floor": 0.5}],
    "limits": {"latency_ms": 20, "patch_bytes": "5MB", "density": 0.001},
    "rollback": [{"watch": "error_rate", "above": 0.02, "window_minutes": 30, "tell": ["ops@example.com"]}],
}
KNOWN = {"chrF", "ROUGE", "zogan", "minilm", "smollm", "llm", "all", "positive", "negative", "neutral", "EUR", "Linux"}


def opened(run: Path, language: Language = "en") -> Any:
    pptx = pytest.importorskip("pptx")
    path = run / f"{language}.pptx"
    deck(read(run), language, path)
    return pptx.Presentation(str(path))


def texts(slides: Any) -> list[str]:
    found = []
    for slide in slides.slides:
        for shape in slide.shapes:
            if shape.has_text_frame:
                found.append(shape.text_frame.text)
            if shape.has_table:
                found += [cell.text for row in shape.table.rows for cell in row.cells]
            if shape.has_chart:
                found += [*shape.chart.plots[0].categories, *(one.name for one in shape.chart.plots[0].series)]
        found.append(slide.notes_slide.notes_text_frame.text)
    return [text for text in found if text]


@pytest.mark.parametrize("task", ["classification", "generation"])
@pytest.mark.parametrize("language", ["en", "ja"])
def test_slides_are_native_and_within_their_edges(tmp_path: Path, task: Task, language: Language) -> None:
    slides = opened(write_run(tmp_path / "run", task, asked=ASKED if task == "classification" else None), language)
    assert 8 <= len(slides.slides) <= 10
    charts = tables = 0
    for slide in slides.slides:
        assert slide.shapes.title.text
        assert len(slide.notes_slide.notes_text_frame.text) > 20
        for shape in slide.shapes:
            assert shape.shape_type is None or shape.shape_type != 13, "a picture"
            assert shape.left >= 0
            assert shape.top >= 0
            assert shape.left + shape.width <= theme.WIDTH * POINT
            assert shape.top + shape.height <= theme.HEIGHT * POINT
            charts, tables = charts + shape.has_chart, tables + shape.has_table
            if shape.has_chart or shape.has_table:
                assert shape._element.nvGraphicFramePr.cNvPr.get("descr")
    assert charts >= 3
    assert tables >= 4


def test_no_english_is_left_on_the_japanese_slides(tmp_path: Path) -> None:
    examples = {"better": [class_example("返品したい", "positive", "negative")], "worse": []}
    run = write_run(tmp_path / "run", asked={"limits": ASKED["limits"]}, examples=examples)
    shown = [text for text in texts(opened(run, "ja")) if not text.startswith("zogan patch")]
    found = {word for text in shown for word in re.findall(r"[A-Za-z]{3,}", text) if "zogan patch" not in text}
    assert found <= KNOWN | {"output", "dense", "intermediate", "attention", "value", "query"}


def test_japanese_has_its_typeface(tmp_path: Path) -> None:
    slides = opened(write_run(tmp_path / "run"), "ja")
    runs = [run for slide in slides.slides for run in slide.shapes.title.text_frame.paragraphs[0].runs]
    for run in runs:
        assert run.font._element.find("{http://schemas.openxmlformats.org/drawingml/2006/main}ea") is not None
        assert run.font._element.get("lang") == "ja-JP"
    with zipfile.ZipFile(tmp_path / "run/ja.pptx") as package:
        assert b'<a:ea typeface="Noto Sans CJK JP"' in package.read("ppt/theme/theme1.xml")


@pytest.mark.parametrize("outcome", ["worse", "unproven"])
def test_what_is_not_good_enough_is_said_first(tmp_path: Path, outcome: Outcome) -> None:
    shown = texts(opened(write_run(tmp_path / "run", outcome=outcome)))
    assert {"worse": "Rejected (Exploratory)", "unproven": "Undecided (Exploratory)"}[outcome] in shown


def test_the_cost_is_held_against_full_fine_tuning_and_in_money(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    with (run / "zogan.yaml").open("a") as stream:
        stream.write("cost: {per_hour: 36, currency: EUR}\n")
    shown = texts(opened(run))
    assert "By estimate, choosing and training take 55 % of full fine-tuning's time and 50 % of its memory." in shown
    assert {"1.50 EUR", "1.43 EUR", "2.60 EUR"} <= set(shown)


def test_the_way_back_has_its_commands_and_its_limits(tmp_path: Path) -> None:
    shown = texts(opened(write_run(tmp_path / "run", asked=ASKED)))
    assert "zogan patch revert patch.safetensors tuned -o restored" in shown
    assert any("Take it back when error_rate lies above 0.02 over 30 minutes" in text for text in shown)


def test_long_texts_and_many_clauses_stay_on_their_slide(tmp_path: Path) -> None:
    slices = [{"name": f"{number} {'顧客' * 30} {'word ' * 20}", "matches": ".", "floor": 0.5} for number in range(9)]
    examples = {"better": [class_example("言葉" * 400, "x" * 300, "y " * 300)] * 5, "worse": []}
    run = write_run(tmp_path / "run", asked={"slices": slices}, examples=examples)
    for slide in opened(run).slides:
        for shape in slide.shapes:
            assert shape.top + shape.height <= theme.HEIGHT * POINT
            if shape.has_table:
                assert sum(row.height for row in shape.table.rows) <= 400 * POINT


def test_the_same_run_gives_the_same_slides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = write_run(tmp_path / "run", "generation")
    deck(read(run), "ja", tmp_path / "one.pptx")
    monkeypatch.setattr("time.time", lambda: 2e9)
    deck(read(run), "ja", tmp_path / "two.pptx")
    assert (tmp_path / "one.pptx").read_bytes() == (tmp_path / "two.pptx").read_bytes()


def test_an_answer_that_was_not_asked_for_shows_its_loss(tmp_path: Path) -> None:
    examples = {"better": [text_example("a prompt", "right", None, None)], "worse": []}
    assert "(loss 2.500)" in texts(opened(write_run(tmp_path / "run", "generation", examples=examples)))


@given(
    st.lists(st.text("ab wi漢かー。- \n", max_size=200), min_size=1, max_size=5), st.floats(60, 600), st.floats(40, 300)
)
def test_what_is_fitted_fits(paragraphs: list[str], room: float, most: float) -> None:
    found, size = fit.fitted(paragraphs, room, most, sizes=(20, 14, 10), gap=0.4)
    assert fit.height(found, size, room, gap=0.4) <= most
    assert size in (20, 14, 10)


def test_full_width_letters_are_square() -> None:
    assert fit.width("漢字", 10) == 20
    assert fit.lines("漢字" * 10, 10, 110) == 2
    assert fit.lines("one two", 10, 10_000) == 1
