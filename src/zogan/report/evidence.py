"""Which evidence of a run answers what reviewers ask for, as both of its pages tell it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zogan.report.pieces import PIECES, answers
from zogan.report.record import Record
from zogan.report.required import Requirement
from zogan.report.words import Words


def told(record: Record, words: Words) -> dict[str, Any]:
    """What the templates of the evidence need: the answers by framework, and how to say them.

    Args:
        record: the run.
        words: of the language.
    """

    def clause(framework: str, requirement: Requirement) -> str:
        title = words(f"{framework}.{requirement.clause}")
        number = {"guidelines": "", "measure": f"MEASURE {requirement.clause}"}.get(framework, requirement.clause)
        return words("evidence.clause", number=number, title=title) if number else title

    def found(pieces: Sequence[str]) -> str:
        return words("list").join(
            words("evidence.piece", piece=words(f"piece.{name}"), file=PIECES[name].file) for name in pieces
        )

    def lacking(pieces: Sequence[str]) -> str:
        return words("list").join(words(f"piece.{name}") for name in pieces)

    return {"answers": answers(record), "clause": clause, "found": found, "lacking": lacking}
