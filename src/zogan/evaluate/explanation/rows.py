"""Why rows are answered as they are: the tokens that carried the answer, before and after, and training rows alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from zogan.data.rows import Row
from zogan.evaluate.explanation.attribution import Attributed, attribute, require_captum
from zogan.evaluate.explanation.neighbours import nearest
from zogan.evaluate.explanation.reading import Reading, reading
from zogan.evaluate.explanation.result import Neighbour, Piece, RowExplanation, Side
from zogan.evaluate.explanation.wanted import Wanted
from zogan.evaluate.probes.bench import Bench, System
from zogan.evaluate.probes.right import said
from zogan.tasks.job import Job


def explain_rows(bench: Bench, wanted: Sequence[Wanted]) -> tuple[RowExplanation, ...]:
    """Explain rows.

    Args:
        bench: the models, in fp32.
        wanted: the rows.

    Raises:
        ConfigError: captum is not installed.
    """
    require_captum()
    if not wanted:
        return ()
    job, progress, rows = bench.job, bench.progress, [one.row for one in wanted]
    sides: tuple[System, ...] = ("after", "before") if bench.has("before") else ("after",)
    answers, attributed = {"after": _answers(bench, "after", rows)}, dict[System, list[Attributed]]()
    known = nearest(job, bench.model("after"), rows, progress)
    read = [reading(job, one, answer) for one, answer in zip(wanted, answers["after"], strict=True)]
    progress.start("attribute", len(sides) * len(wanted))
    for side in sides:
        if side not in answers:
            answers[side] = _answers(bench, side, rows)
        attributed[side] = []
        for what in read:
            attributed[side].append(attribute(job, bench.model(side), what.asked))
            progress.advance(sum(map(len, attributed.values())))
    found = []
    for place, one in enumerate(wanted):
        own = {side: (answers[side][place], attributed[side][place]) for side in sides}
        found.append(_explanation(one, read[place], own, known[place]))
    return tuple(found)


def in_fp32(job: Job) -> Job:
    """The job with weights and activations in fp32: in half precision attributions do not add up."""
    train = job.config.train.model_copy(update={"precision": "fp32"})
    return job.under(job.config.model_copy(update={"train": train}))


def _explanation(
    one: Wanted, read: Reading, own: Mapping[System, tuple[str, Attributed]], neighbours: tuple[Neighbour, ...]
) -> RowExplanation:
    sides = {side: _side(*given) for side, given in own.items()}
    row = one.row if one.number is not None else None  # of a text no answer is known

    def sum_of(side: System, start: int, stop: int) -> float:
        return float(own[side][1].tokens[start:stop].sum())

    return RowExplanation(
        why=one.why,
        row=one.number,
        place=None if row is None else str(row.place),
        text=one.row.input,
        target=None if row is None else row.target,
        answer=read.answer,
        before=sides.get("before"),
        after=sides["after"],
        pieces=tuple(
            Piece(
                text=text,
                before=sum_of("before", start, stop) if "before" in own else None,
                after=sum_of("after", start, stop),
            )
            for text, start, stop in read.pieces
        ),
        neighbours=neighbours,
        cut=read.cut,
    )


def _answers(bench: Bench, side: System, rows: Sequence[Row]) -> list[str]:
    settings = bench.settings.model_copy(update={"answers": len(rows)})
    return said(bench.job.task.predict(bench.model(side), rows, settings))


def _side(answer: str, found: Attributed) -> Side:
    return Side(
        answer=answer,
        log_probability=found.log_probability,
        baseline=found.baseline,
        delta=found.delta,
        steps=found.steps,
    )
