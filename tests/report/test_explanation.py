"""The explanation's section: whole, safe, readable without colour, and there only for the run's own patch."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from made_explanation import made_explanation
from sample_run import write_run
from zogan.evaluate.explanation.kept import keep
from zogan.report.explanation import in_short, view
from zogan.report.html import render
from zogan.report.record import Record, read
from zogan.report.words import Language, Words


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Record:
    run = write_run(tmp_path_factory.mktemp("runs") / "explained")
    keep(run, made_explanation(read(run).patch))
    return read(run)


def section(html: str) -> str:
    found = re.search(r'<section class="explanation">.*?</section>', html, re.DOTALL)
    assert found is not None
    return found[0]


@pytest.mark.parametrize(
    ("language", "told"),
    [
        (
            "en",
            ["Without layer 1, this is left: layer 2, outside the layers.", "One look at 1,000 test rows confirms it"],
        ),
        (
            "ja",
            ["第1層を取り除くと、残りは第2層、層の外です。", "評価データ1,000件を一度だけ使って確かめ、判定は同じ"],
        ),
    ],
)
def test_the_section_says_all(record: Record, language: Language, told: list[str]) -> None:
    html = section(render(record, language)).replace("\N{NO-BREAK SPACE}", " ")
    for text in told:
        assert text in html
    assert html.count("<tr>") == 4
    assert html.count('<p class="tokens"') == 2
    assert html.count("<svg") == 1


def test_a_smallest_part_that_was_not_sought_has_its_reason(record: Record) -> None:
    assert record.explanation is not None
    for language in ("en", "ja"):
        words = Words(language)
        skipped = record.explanation.model_copy(update={"smallest": None, "skipped": {"smallest": "it is rejected"}})
        assert words("explain.smallest.none") in section(render(replace(record, explanation=skipped), language))


def test_it_is_told_in_short(record: Record) -> None:
    assert record.explanation is not None
    worth, smallest = in_short(record, Words("en"))
    assert "those of layer 2 most" in worth
    assert smallest.startswith("Without layer 1, this is left")
    assert in_short(replace(record, explanation=None), Words("en")) == []


def test_tokens_can_be_told_apart_without_colour(record: Record) -> None:
    html = section(render(record, "en"))
    spans = re.findall(r'<span class="token (\w+)" style="--strength: (\d+)%" title="([^"]+)">([^<]*)</span>', html)
    assert [(speaks, title) for speaks, _, title, _ in spans][4:] == [
        ("for", "+1.86"),
        ("little", "0.00"),
        ("against", "−0.50"),
        ("little", "+0.02"),
    ]
    assert [strength for _, strength, _, _ in spans][4:] == ["100", "0", "27", "1"]
    assert "<sub>+1.86</sub>" in html
    assert "<sub>+0.02</sub>" not in html
    page = render(record, "en")
    assert ".token.for" in page
    assert "dotted" in page


def test_text_of_the_user_is_never_markup(record: Record) -> None:
    html = section(render(record, "en"))
    assert "&lt;b&gt;Love" in html
    assert "Thanks &lt;i&gt;" in html


def test_no_english_is_left_on_the_japanese_page(record: Record) -> None:
    found = view(record, Words("ja"))
    assert found is not None
    told = [found.worth_caption, found.together, *found.smallest, *(line.says for line in found.worth)]
    told += [row.title for row in found.rows] + [side.sentence for row in found.rows for side in row.sides]
    assert not re.findall(r"[A-Za-z]{3,}", " ".join(told))


def test_without_an_explanation_of_this_patch_there_is_no_section(record: Record, tmp_path: Path) -> None:
    other = read(write_run(tmp_path / "other"))
    assert 'class="explanation"' not in render(other, "en")
    keep(other.folder, made_explanation("b" * 64))
    assert view(read(other.folder), Words("en")) is None


def test_parts_that_were_not_looked_at_are_left_out(tmp_path: Path) -> None:
    found = read(write_run(tmp_path / "rows"))
    rows = made_explanation(found.patch).model_copy(update={"worth": None, "smallest": None})
    keep(found.folder, rows)
    html = section(render(read(found.folder), "en"))
    assert "<table" not in html
    assert "Why these answers" in html
    keep(found.folder, made_explanation(found.patch).model_copy(update={"rows": ()}))
    html = section(render(read(found.folder), "en"))
    assert "Why these answers" not in html
    assert "<table" in html


def test_of_a_long_text_the_strongest_part_is_shown(tmp_path: Path) -> None:
    found = read(write_run(tmp_path / "long"))
    made = made_explanation(found.patch)
    piece = made.rows[0].pieces[0]
    pieces = (*(piece.model_copy(update={"text": " w", "after": 0.0}) for _ in range(300)), piece)
    keep(found.folder, made.model_copy(update={"rows": (made.rows[0].model_copy(update={"pieces": pieces}),)}))
    shown = view(read(found.folder), Words("en"))
    assert shown is not None
    tokens = shown.rows[0].sides[1].tokens
    assert len(tokens) == 120
    assert tokens[-1].text == "<b>Love"


def test_the_smallest_may_be_the_whole(record: Record, tmp_path: Path) -> None:
    found = read(write_run(tmp_path / "whole"))
    made = made_explanation(found.patch)
    assert made.smallest is not None
    keep(found.folder, made.model_copy(update={"smallest": made.smallest.model_copy(update={"steps": ()})}))
    shown = view(read(found.folder), Words("en"))
    assert shown is not None
    assert shown.smallest == ("The whole patch: no layer can be left out.",)
