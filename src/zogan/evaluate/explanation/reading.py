"""A row as it is explained: what the model reads, the padding that it is held against, and the pieces of its text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int64
from torch import Tensor

from zogan.data.rows import dialogue
from zogan.evaluate.explanation.attribution import Asked
from zogan.evaluate.explanation.pieces import pieces
from zogan.evaluate.explanation.wanted import Wanted
from zogan.tasks.classification import Classification
from zogan.tasks.generation import Generation
from zogan.tasks.job import Job
from zogan.tasks.task import IGNORED, Example

ANSWER_TOKENS = 32
"""Of an answer that is generated or given, the first so many are explained."""


@dataclass(frozen=True, eq=False)
class Reading:
    """A row as it is explained.

    Attributes:
        asked: of the models.
        answer: that is explained.
        pieces: of the text, each with the span [start, stop) of its tokens.
        cut: tokens beyond the length limit.
    """

    asked: Asked
    answer: str
    pieces: tuple[tuple[str, int, int], ...]
    cut: int


def reading(job: Job, one: Wanted, answer: str) -> Reading:
    """Read a row.

    Args:
        job: whose task it is for.
        one: the row.
        answer: the tuned model's.
    """
    task, row = job.task, one.row
    if isinstance(task, Generation):
        if one.number is None:  # what the model generates is explained
            row = dialogue(row.input, answer, row.place)
        (example,) = task.encode([row])
        return _of_dialogue(task, example)
    assert isinstance(task, Classification)
    (example,) = task.encode([row])
    label = torch.tensor([task.labels.index(answer)])
    return _read(task, example, len(example.ids), label, answer)


def _of_dialogue(task: Generation, example: Example) -> Reading:
    """The last answer alone, up to its first tokens; what follows is left out."""
    labelled = [place for place, label in enumerate(example.labels) if label != IGNORED]
    start = next(place for place in reversed(labelled) if place - 1 not in labelled)
    stop = min(start + ANSWER_TOKENS, labelled[-1] + 1)
    kept = Example(example.ids[:stop], example.labels[:stop], example.cut, example.row)
    labels = torch.tensor([[IGNORED] * start + list(example.labels[start:stop])])  # (1, time)
    text = task.tokenizer.decode(list(example.ids[start:stop]), skip_special_tokens=True).strip()
    return _read(task, kept, start, labels, text + ("…" if stop <= labelled[-1] else ""))


def _read(
    task: Classification | Generation, example: Example, until: int, labels: Int64[Tensor, "1 ..."], answer: str
) -> Reading:
    """Padding stands in the place of the text; special tokens, and an answer's, are the same in both."""
    tokenizer = task.tokenizer
    special = set(tokenizer.all_special_ids)
    pad = next((one for one in (tokenizer.pad_token_id, tokenizer.eos_token_id) if one is not None), 0)
    ids = list(example.ids)
    text = [place for place, token in enumerate(ids[:until]) if token not in special]
    baseline = [pad if place in set(text) else token for place, token in enumerate(ids)]
    shown: list[tuple[str, int, int]] = []
    for start, stop in _runs(text):
        for piece, span in pieces(tokenizer, ids[start:stop]):
            shown.append((piece, start + span.start, start + span.stop))
    return Reading(Asked(torch.tensor([ids]), torch.tensor([baseline]), labels), answer, tuple(shown), example.cut)


def _runs(places: Sequence[int]) -> list[tuple[int, int]]:
    """Neighbouring places as [start, stop)."""
    found: list[tuple[int, int]] = []
    for place in places:
        if found and found[-1][1] == place:
            found[-1] = (found[-1][0], place + 1)
        else:
            found.append((place, place + 1))
    return found
