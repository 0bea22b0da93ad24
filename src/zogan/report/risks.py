"""What may go wrong with a patch, as this run's own files say it; the gravest first."""

from __future__ import annotations

from typing import Any

from zogan.report.comparison import compare
from zogan.report.external import drop_sentence
from zogan.report.facts import classes, mixed_up
from zogan.report.metrics import Metric
from zogan.report.readings import reading_name, reading_value
from zogan.report.record import Record
from zogan.report.registered import said
from zogan.report.spoken import Speaker
from zogan.report.words import Words


def risks(record: Record, words: Words) -> list[str]:
    """A sentence a risk.

    Args:
        record: the run.
        words: of the language.
    """
    return [line for lines in _by_kind(record, words) for line in lines]


def gravest(record: Record, words: Words, most: int) -> list[str]:
    """The same, but at most so many: of each kind its gravest before a second of any; in the same order."""
    kinds = _by_kind(record, words)
    rank = {line: (place, kind) for kind, lines in enumerate(kinds) for place, line in enumerate(lines)}
    chosen = sorted(rank, key=lambda line: rank[line])[:most]
    return [line for line in rank if line in chosen]


def _by_kind(record: Record, words: Words) -> list[list[str]]:
    """The gravest kind first."""
    kinds = (_judged, _aside, _probed, _elsewhere, _measured, _unseen)
    return [kind(record, words) for kind in kinds]


def lost(record: Record) -> dict[str, int] | None:
    """Rows that the patch alone has right (`gained`) or wrong (`lost`); None where rows are not right or wrong."""
    evidence = record.evaluation.evidence
    matched = evidence.matched if evidence is not None else None
    return None if matched is None else matched.model_dump()


def weakest(record: Record) -> tuple[str, float, int] | None:
    """The class with the lowest F1 after tuning, that, and its rows; None where there are no classes."""
    found = [after for _, after in classes(record.evaluation) if after.support]
    if not found:
        return None
    worst = min(found, key=lambda one: one.f1)
    return worst.label, worst.f1, worst.support


def _judged(record: Record, words: Words) -> list[str]:
    verdict = record.verdict
    speaker = Speaker(verdict, words)
    open_ones = sorted(verdict.clauses, key=lambda one: one.outcome != "rejected")
    found = [str(speaker.clause(one)) for one in open_ones if one.outcome != "accepted"]
    if verdict.exploratory:
        found.append(words("risk.exploratory", why=speaker.standing()[0]))
    return found


def _aside(record: Record, words: Words) -> list[str]:
    return said(record.registered, Speaker(record.verdict, words), words)


def _probed(record: Record, words: Words) -> list[str]:
    """Limits that do not hold, but for those that the verdict has told already."""
    if record.probes is None:
        return [words("risk.no_probes")]
    told = {one.name for one in record.verdict.clauses if one.kind == "probe"}
    found = []
    for outcome in ("broken", "undecided"):
        shown = [
            words(
                "risk.probe",
                probe=reading_name(one.name, words, words),
                value=reading_value(one.value.value, one.unit, words),
                limit=reading_value(one.limit, one.unit, words),
            )
            for one in record.probes.readings
            if one.outcome == outcome and one.limit is not None and one.name not in told
        ]
        if shown:
            found.append(words(f"risk.probe_{outcome}", probes=words("list").join(shown)))
    return found


def _elsewhere(record: Record, words: Words) -> list[str]:
    """External sets on which the tuned model is worse than on the run's own test rows."""
    found = []
    for one in record.evaluation.external:
        figure = one.metrics[0].name
        if one.drop.after is not None and one.drop.after[figure].better is False:
            found.append(str(drop_sentence(one.name, figure, one.drop.after[figure], words, words)))
    return found


def _measured(record: Record, words: Words) -> list[str]:
    found: list[str] = []
    number = words.number
    if (rows := lost(record)) is not None and rows["lost"]:
        rival = words(f"rival.{record.verdict.against}")
        values = {name: number(count) for name, count in rows.items()}
        found.append(words("risk.lost", rival=rival, **values))
    share = Metric("accuracy")
    worse = [after.label for before, after in classes(record.evaluation) if after.f1 < before.f1]
    if worse:
        found.append(words("risk.classes_worse", count=number(len(worse)), names=words("list").join(worse[:3])))
    if (weak := weakest(record)) is not None:
        label, f1, support = weak
        found.append(words("risk.weakest", label=label, f1=share.value(f1, words), rows=number(support)))
    for truth, given, count in mixed_up(record.evaluation)[:1]:
        found.append(words("risk.mixed", truth=truth, said=given, count=number(count)))
    for item in compare(record):
        if record.evaluation.difference and record.evaluation.difference[item.metric.name].better is False:
            name = words.name("metric", item.metric.name)
            found.append(words("risk.figure_worse", figure=name, **_values(item.metric, item.difference, words)))
    return found


def _values(metric: Metric, difference: tuple[float, float, float], words: Words) -> dict[str, Any]:
    value, low, high = difference
    return {"difference": metric.difference(value, words), "span": metric.span(low, high, words)}


def _unseen(record: Record, words: Words) -> list[str]:
    found = [words("risk.drift", rows=words.number(record.evaluation.rows))]
    if record.given:
        found += [] if record.same_rows else [words("risk.unknown_rows")]
    elif len(record.verdict.seeds) == 1:
        found.append(words("risk.one_seed", seed=record.verdict.seeds[0]))
    protocol = record.protocol
    if protocol is None or not protocol.slices:
        found.append(words("risk.no_slices"))
    if protocol is None or not protocol.rollback:
        found.append(words("risk.no_rollback"))
    return found
