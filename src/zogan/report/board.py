"""What a board would ask of a patch, with the answers that this run's files give."""

from __future__ import annotations

from zogan.report.costs import cost_sentences
from zogan.report.facts import rows_said
from zogan.report.record import Record
from zogan.report.risks import risks
from zogan.report.rollback import criteria
from zogan.report.spoken import Speaker
from zogan.report.words import Words


def questions(record: Record, words: Words) -> list[tuple[str, str]]:
    """Each question with its answer."""
    verdict, speaker = record.verdict, Speaker(record.verdict, words)
    between = words("between")
    rules = criteria(record, words)
    answers = {
        "better": between.join(str(speaker.clause(one)) for one in verdict.clauses if one.kind == "claim"),
        "trust": between.join([rows_said(record, words), *map(str, speaker.standing()[:1])]),
        "cost": between.join(cost_sentences(record, words)[:3]),
        "wrong": between.join(risks(record, words)[:2]),
        "back": between.join([words("board.back"), *rules[:1]]),
        "data": words(
            "board.data", cores=record.environment.get("cores", "–"), platform=record.environment.get("platform", "–")
        ),
        "next": words(f"advice.{verdict.outcome}") + between + words(f"board.next.{verdict.outcome}"),
    }
    return [(words(f"board.{name}.question"), answer) for name, answer in answers.items()]
