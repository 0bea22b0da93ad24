"""Tweets: each reason to drop one, and even classes."""

from __future__ import annotations

from collections import Counter

import pytest

from data import text_rows
from zogan.data.rows import Place, TextRow
from zogan.demo.tweets import choose, clean, identity


def tweet(text: str, label: str = "negative", confidence: float = 1.0) -> tuple[TextRow, float]:
    return TextRow(text, label, Place("tweets.csv", 1)), confidence


def test_each_reason_is_told() -> None:
    tweets = [
        tweet("@united lost my bag"),
        tweet("RT @someone: @united lost my bag http://t.co/x"),
        tweet("@united lost it all", confidence=0.9),
        tweet("the self-driving car is here"),
        tweet("@apple âll gone"),
        tweet("@apple http://t.co/x"),
        tweet("@delta thanks", "neutral"),
        tweet("@JetBlue Thanks!", "positive"),
    ]
    rows, dropped = clean(tweets)
    assert [row.text for row in rows] == ["@united lost my bag"]
    assert {one.name: one.count for one in dropped} == {
        "low_confidence": 1,
        "other_topic": 1,
        "encoding": 1,
        "no_words": 1,
        "two_labels": 2,
        "duplicate": 1,
    }


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("RT @x: @united you late", "@jetblue You late! https://t.co/abc"),
        ("@united one two three four five six seven eight nine", "one two three four five six seven eight, and more"),
    ],
)
def test_copies_are_one(one: str, other: str) -> None:
    assert identity(one) == identity(other)


def test_classes_are_as_even_as_they_can_be() -> None:
    rows = [row for row in text_rows(90) if row.label != "bad" or row.place.line < 13]
    assert Counter(row.label for row in choose(rows, 54, 0)) == {"bad": 4, "fine": 25, "good": 25}
    assert choose(rows, 54, 0) == choose(rows, 54, 0) != choose(rows, 54, 1)
    assert len(choose(rows, 1000, 0)) == len(rows)
