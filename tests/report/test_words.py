"""Both languages say the same things."""

from __future__ import annotations

import re
import string

import pytest

from zogan.report.words import CATALOGUES, Language, Words


def test_both_languages_have_the_same_keys() -> None:
    assert CATALOGUES["en"].keys() == CATALOGUES["ja"].keys()


@pytest.mark.parametrize("key", sorted(CATALOGUES["en"]))
def test_both_languages_fill_the_same_places(key: str) -> None:
    def places(text: str) -> set[str | None]:
        return {name for _, name, _, _ in string.Formatter().parse(text)} - {None}

    english, japanese = places(CATALOGUES["en"][key]), places(CATALOGUES["ja"][key])
    assert english == japanese


def test_the_japanese_catalogue_is_japanese() -> None:
    kept = {"chrF", "ROUGE", "zogan"}
    for key, text in CATALOGUES["ja"].items():
        words = re.findall(r"[A-Za-z]{3,}", re.sub(r"\{\w+\}", "", text))
        assert set(words) <= kept, key


@pytest.mark.parametrize(
    ("share", "english", "japanese"),
    [(0.005, "0.5 %", "0.5%"), (0.00216, "0.22 %", "0.22%"), (0.43, "43 %", "43%"), (1.0, "100 %", "100%")],
)
def test_small_shares_keep_the_digits_that_count(share: float, english: str, japanese: str) -> None:
    assert Words("en").small_percent(share) == english
    assert Words("ja").small_percent(share) == japanese


@pytest.mark.parametrize(
    ("language", "seconds", "text"),
    [
        ("en", 1.42, "1.4 s"),
        ("en", 59.4, "59 s"),
        ("en", 200.2, "3 min 20 s"),
        ("ja", 200.2, "3分20秒"),
        ("ja", 7260, "2時間1分"),
    ],
)
def test_durations(language: Language, seconds: float, text: str) -> None:
    assert Words(language).duration(seconds) == text


@pytest.mark.parametrize(("count", "text"), [(12, "12 B"), (1_234, "1.2 KB"), (910e6, "910 MB"), (5_400e9, "5,400 GB")])
def test_sizes(count: float, text: str) -> None:
    assert Words("en").size(count) == text


def test_halves_are_rounded_away_from_0_as_the_charts_of_slides_do() -> None:
    words = Words("en")
    assert [words.number(84.25, 1), words.number(84.35, 1), words.number(-0.25, 1)] == ["84.3", "84.4", "−0.3"]
    assert (words.signed(0.25, 1), words.percent(0.8425), words.number(84.2499, 1)) == ("+0.3", "84.3 %", "84.2")


def test_numbers_carry_a_true_minus_sign() -> None:
    assert Words("en").signed(-1.5, 1) == "−1.5"
    assert Words("en").signed(1.5, 1) == "+1.5"
    assert Words("en").signed(-0.04, 1) == Words("en").signed(0.04, 1) == Words("en").number(-0.04, 1) == "0.0"


def test_a_name_that_no_catalogue_has_stays() -> None:
    assert Words("ja").name("metric", "own_metric") == "own_metric"
    assert Words("ja").name("metric", "accuracy") == "正解率"


def test_a_page_breaks_no_line_before_a_unit() -> None:
    assert Words("en", unbroken=True).percent(0.5, 0) == "50\N{NO-BREAK SPACE}%"
    assert Words("en").percent(0.5, 0) == "50 %"
