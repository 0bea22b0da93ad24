"""What people ask an assistant, and its answers: the generation demo."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import yaml

from zogan.data.finding import Finding, finding
from zogan.data.rows import DialogueRow, Place, dialogue
from zogan.demo.wheel import Wheel

SOURCE = Wheel("chatterbot-corpus")
FOLDER = "chatterbot_corpus/data/english"

# What an assistant in a company is asked. Left out: gossip, humor, politics; trivia, whose facts no other
# row teaches; health, of which there is one conversation.
TOPICS = (
    *("ai", "botprofile", "coding", "computers", "conversations", "emotion", "food", "greetings", "history"),
    *("literature", "money", "movies", "psychology", "science", "sports", "tech_support"),
)
_TURNS = frozenset({"conversations"})
"""Topics whose utterances follow one another; elsewhere all are answers to the first."""

_LONGEST_ANSWER_WORDS = 60
_ALIKE = 0.8
"""Share of words in common from which two prompts, or two answers, count as nearly the same."""


def read() -> list[DialogueRow]:
    """Every prompt of these topics with each of its answers. A place's line counts conversations."""
    return [row for topic in TOPICS for row in _read_topic(topic)]


def clean(rows: Sequence[DialogueRow]) -> tuple[list[DialogueRow], list[Finding]]:
    """Keep each prompt and answer once, blank and long answers out.

    Returns:
        The rows left, and a finding for each reason to drop some.
    """
    seen: set[tuple[tuple[str, ...], tuple[str, ...]]] = set()
    kept: list[DialogueRow] = []
    blank: list[DialogueRow] = []
    long: list[DialogueRow] = []
    copies: list[DialogueRow] = []
    for row in rows:
        pair = (_words(row.input), _words(row.target))
        if not all(pair):
            blank.append(row)
        elif pair in seen:
            copies.append(row)
        elif len(row.target.split()) > _LONGEST_ANSWER_WORDS:
            long.append(row)
        else:
            kept.append(row)
        seen.add(pair)
    reasons = [
        ("blank", "dialogues with a side that has no words", blank),
        ("duplicate", "dialogues that stand in the corpus before", copies),
        ("long", f"answers of more than {_LONGEST_ANSWER_WORDS} words", long),
    ]
    return kept, [finding(name, "info", what, gone, "dropped") for name, what, gone in reasons if gone]


def cut(rows: Sequence[DialogueRow], sizes: Sequence[int], seed: int) -> list[list[DialogueRow]]:
    """Cut rows at random so that no prompt and no answer of one part, nor nearly the same one, is in another.

    Args:
        rows: distinct.
        sizes: rows in each part.
        seed: of the choice.

    Returns:
        The parts, smaller where the rows do not suffice.
    """
    groups = alike(rows)
    order = [groups[index] for index in np.random.default_rng(seed).permutation(len(groups))]
    parts: list[list[DialogueRow]] = [[] for _ in sizes]
    # The smallest part is filled first, and by small groups, so that it holds many different prompts.
    filling = sorted(range(len(sizes)), key=lambda part: (sizes[part], part))
    for group in order:
        for part in filling:
            room = sizes[part] - len(parts[part])
            if len(group) <= min(room, max(1, sizes[part] // 15)):
                parts[part] += [rows[index] for index in group]
                break
    return parts


def alike(rows: Sequence[DialogueRow]) -> list[list[int]]:
    """Group rows that share a prompt or an answer, or nearly: indices, each group in order."""
    group = list(range(len(rows)))
    members = [[index] for index in range(len(rows))]

    def join(one: int, other: int) -> None:
        small, large = sorted((group[one], group[other]), key=lambda name: len(members[name]))
        if small != large:
            for index in members[small]:
                group[index] = large
            members[large] += members[small]
            members[small] = []

    for words in ([set(_words(row.input)) for row in rows], [set(_words(row.target)) for row in rows]):
        for (one, here), (other, there) in combinations(enumerate(words), 2):
            if len(here & there) >= _ALIKE * len(here | there):
                join(one, other)
    return sorted(sorted(indices) for indices in members if indices)


def _words(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"\w+", text.lower()))


def _read_topic(topic: str) -> Iterator[DialogueRow]:
    # The C loader is ten times as fast, and not everywhere.
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    path = SOURCE.path(f"{FOLDER}/{topic}.yml")
    tree = yaml.load(path.read_text(encoding="utf-8"), Loader=loader)
    for number, utterances in enumerate(tree["conversations"], 1):
        said = [str(utterance).strip() for utterance in utterances]
        pairs = (
            zip(said[::2], said[1::2], strict=False) if topic in _TURNS else ((said[0], answer) for answer in said[1:])
        )
        for prompt, answer in pairs:
            yield dialogue(prompt, answer, Place(path.name, number))
