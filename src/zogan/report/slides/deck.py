"""Which slides there are, what stands on each, and what to say beside it."""

from __future__ import annotations

from pathlib import Path

import zogan
from zogan.report.board import questions
from zogan.report.charts import smoothed
from zogan.report.comparison import compare
from zogan.report.costs import Spent, beside_full, cost_sentences, money, of_this_run
from zogan.report.curve import sentence as more_labels
from zogan.report.explanation import in_short
from zogan.report.facts import change, classes, commands, examples, excerpt, model_name, most, of_seed, rows_said
from zogan.report.metrics import Metric
from zogan.report.overfitting import overfitting
from zogan.report.record import Record
from zogan.report.registered import said
from zogan.report.risks import gravest, risks, weakest
from zogan.report.rollback import criteria
from zogan.report.slides import theme
from zogan.report.slides.canvas import BODY, Box, Canvas, Column
from zogan.report.spoken import Speaker
from zogan.report.words import Language, Words

_CLASSES = 8
_RISKS = 6
_LINES = 40.0
"""Points of height that a clause's sentence takes, about."""
_WAIVER, _WAIVERS = 38.0, 120.0
"""Points of height that a waiver's sentence takes, and all of them at most."""
_ROW = 21.0
"""And a row of their table at its smallest."""
_POINTS = 120
"""Of a curve, at most."""

SLIDES = 10
"""At most."""


def deck(record: Record, language: Language, path: Path) -> None:
    """Write the slides of a run.

    Args:
        record: the run.
        language: of the words.
        path: the file.
    """
    words = Words(language)
    model = excerpt(model_name(record), 60)
    canvas = Canvas(words, words("slides.foot", model=model, version=zogan.__version__))
    canvas.about(words("page.title", model=model), words(f"verdict.{record.verdict.outcome}"))
    for page in (_answer, _clauses, _figures, _where_it_holds, _cost, _learning, _examples, _risks, _questions, _back):
        page(canvas, record, words)
    canvas.save(path)


def _answer(canvas: Canvas, record: Record, words: Words) -> None:
    verdict, speaker = record.verdict, Speaker(record.verdict, words)
    asked = words(
        f"question.{record.config.task}",
        model=model_name(record),
        labels=words.number(len(record.data.get("labels", ()))),
        change=change(record, words),
    )
    notes = [
        asked,
        rows_said(record, words),
        speaker.lead,
        words(f"advice.{verdict.outcome}"),
        *speaker.standing(),
    ]
    page = canvas.page(asked, notes=notes)
    badge = words(f"verdict.{verdict.outcome}")
    if verdict.exploratory:
        badge = words("slides.badge", outcome=badge, exploratory=words("verdict.exploratory"))
    colour = theme.OUTCOMES[verdict.outcome]
    page.text([badge], Box(BODY.left, 132, BODY.width, 46), sizes=(32,), colour=colour, bold=True)
    page.text(
        [speaker.clause(speaker.deciding), words(f"advice.{verdict.outcome}")],
        Box(BODY.left, 186, BODY.width, 178),
        sizes=(24, 22, 20, 18, 16),
    )
    facts = [rows_said(record, words), *speaker.standing()]
    page.text(facts, Box(BODY.left, 376, BODY.width, 118), sizes=(16, 15, 14, 13), colour=theme.SOFT, sheet=theme.SHEET)


def _clauses(canvas: Canvas, record: Record, words: Words) -> None:
    verdict, speaker = record.verdict, Speaker(record.verdict, words)
    held = sum(one.outcome == "accepted" for one in verdict.clauses)
    title = words("slides.clauses", held=held, all=len(verdict.clauses))
    told = [speaker.clause(one) for one in verdict.clauses]
    aside = said(record.registered, speaker, words)
    page = canvas.page(title, notes=[title, *told, *aside])
    columns = [
        Column(words("verdict.clause"), 4.2),
        Column(words("verdict.measured"), 2, number=True),
        Column(words("verdict.interval"), 2.8, number=True),
        Column(words("verdict.must"), 1.9, number=True),
        Column(words("verdict.p"), 1.3, number=True),
        Column(words("verdict.outcome"), 1.6, whole=True),
    ]
    # What does not hold is read first.
    clauses = sorted(verdict.clauses, key=lambda one: ("rejected", "undecided", "accepted").index(one.outcome))
    rows = [
        [
            str(speaker.name(one)),
            speaker.measured(one),
            speaker.interval(one) or "–",
            speaker.must(one),
            speaker.p_value(one) or "–",
            words(f"verdict.{one.outcome}"),
        ]
        for one in clauses
    ]
    colours = {(row, 5): theme.OUTCOMES[one.outcome] for row, one in enumerate(clauses)}
    alt = words("slides.clauses.alt")
    below = min(_WAIVER * len(aside), _WAIVERS)
    # What does not fit is the last of those that hold.
    shown = max(1, int((BODY.height - 60 - below) / _ROW) - 1)
    upper, sizes = _upper(60 + below), (16, 15, 14, 13, 12, 11, 10)
    end = page.table(columns, rows[:shown], upper, alt=alt, colours=colours, sizes=sizes)
    if aside:
        page.text(aside, Box(BODY.left, 448 - below, BODY.width, below), bullets=True, sizes=(14, 13, 12, 11), gap=0.2)
    note = words("verdict.caption", level=speaker.level, least=words.small_number(verdict.alpha / 2))
    if len(rows) > shown:
        note = words("slides.clauses.more", count=words.number(len(rows) - shown)) + words("between") + note
    page.text([note], Box(BODY.left, 456, BODY.width, 40), sizes=(13, 12, 11), colour=theme.SOFT)
    room = 448 - below - end - 16
    if room >= _LINES * len(told):
        page.text(told, Box(BODY.left, end + 16, BODY.width, room), bullets=True, sizes=(18, 16, 15, 14, 13, 12))


def _figures(canvas: Canvas, record: Record, words: Words) -> None:
    comparisons = compare(record)
    deciding = next(one for one in comparisons if one.metric.name == record.verdict.metric)
    alike = [one for one in comparisons if one.metric.scale == deciding.metric.scale == "share"] or [deciding]
    told = [
        words(
            "slides.figure.say",
            figure=words.name("metric", one.metric.name),
            before=one.metric.value(one.before[0], words),
            after=one.metric.value(one.after[0], words),
            difference=one.metric.difference(one.difference[0], words),
            span=one.metric.span(one.difference[1], one.difference[2], words),
        )
        for one in comparisons
    ]
    before_is = words(f"before_is.{record.evaluation.before_is}")
    of_one = [one] if (one := of_seed(record, words)) else []
    meaning = f"meaning.{deciding.metric.name}"
    figure = words.name("metric", deciding.metric.name)
    meant = [words("answer.meaning", figure=figure, meaning=words(meaning))] if words.has(meaning) else []
    page = canvas.page(words("figures.title"), notes=[*of_one, *told, *meant, before_is])
    percent = deciding.metric.scale == "share"
    form = '0.0"%"' if percent else f"0.{'0' * deciding.metric.digits}"
    page.bars(
        [words.name("metric", one.metric.name) for one in alike],
        {words(side): [one.metric.shown(getattr(one, side)[0]) for one in alike] for side in ("before", "after")},
        Box(BODY.left, BODY.top, 380, 316),
        alt=words("chart.comparison"),
        form=form,
    )
    columns = [
        Column(words("figures.figure"), 2.2),
        Column(words("figures.before"), 1.5, number=True),
        Column(words("figures.after"), 1.5, number=True),
        Column(words("slides.difference", level=words.percent(record.evaluation.level, 0)), 3.1, number=True),
    ]
    rows = [
        [
            words.name("metric", one.metric.name),
            one.metric.value(one.before[0], words),
            one.metric.value(one.after[0], words),
            words(
                "slides.with_span",
                value=one.metric.difference(one.difference[0], words),
                span=one.metric.span(one.difference[1], one.difference[2], words),
            ),
        ]
        for one in comparisons
    ]
    right = Box(BODY.left + 392, BODY.top + 6, BODY.width - 392, 300)
    end = page.table(columns, rows, right, alt=words("figures.caption", rows=words.number(record.evaluation.rows)))
    if of_one:
        page.text(of_one, Box(right.left, end + 14, right.width, 440 - end - 14), sizes=(16, 15, 14, 13, 12))
    page.text([before_is], Box(BODY.left, 452, BODY.width, 44), sizes=(14, 13, 12), colour=theme.SOFT)


def _where_it_holds(canvas: Canvas, record: Record, words: Words) -> None:
    found = [one for one in classes(record.evaluation) if one[1].support]
    if not found:
        return
    # Of many classes, those that matter: what got worse, and what is weakest.
    shown = sorted(found, key=lambda pair: pair[1].f1) if len(found) > _CLASSES else found
    label, f1, support = weakest(record) or ("", 0.0, 0)
    share = Metric("accuracy")
    values = {"label": label, "f1": share.value(f1, words), "rows": words.number(support)}
    worse = sum(after.f1 < before.f1 for before, after in found)
    count = {"all": words.number(len(found)), "worse": words.number(worse)}
    title = words("slides.classes", **count)
    if len(found) > _CLASSES:
        title = words("slides.classes_few", **count, shown=words.number(_CLASSES))
    page = canvas.page(title, notes=[title, words("risk.weakest", **values), words("slides.f1")])
    page.bars(
        [after.label for _, after in shown[:_CLASSES]],
        {
            words("before"): [100 * before.f1 for before, _ in shown[:_CLASSES]],
            words("after"): [100 * after.f1 for _, after in shown[:_CLASSES]],
        },
        Box(BODY.left, BODY.top, BODY.width, 336),
        alt=title,
        form='0.0"%"',
        most=100,
    )
    page.text([words("slides.f1")], Box(BODY.left, 470, BODY.width, 26), sizes=(14, 13, 12), colour=theme.SOFT)


def _cost(canvas: Canvas, record: Record, words: Words) -> None:
    said = cost_sentences(record, words)
    if record.given:
        canvas.page(words("slides.cost"), notes=said).text(said, BODY, bullets=True)
        return
    ours, pair = of_this_run(record), beside_full(record)
    page = canvas.page(said[0] if pair is not None else words("slides.cost"), notes=said)
    sides = {words("cost.measured"): ours}
    if pair is not None:
        sides |= {words(f"cost.{pair[0].source}"): pair[0], words(f"cost.full_{pair[1].source}"): pair[1]}
    rows = _cost_rows(record, list(sides.values()), words)
    columns = [Column("", 2), *(Column(name, 2, number=True) for name in sides)]
    alt = words("slides.cost.alt")
    if pair is None:
        end = page.table(columns, rows, _upper(120), alt=alt, sizes=(18, 16, 14))
        page.text(said, Box(BODY.left, end + 20, BODY.width, 494 - end - 20), bullets=True)
        return
    long = max(one.seconds for one in pair) > 300
    shown = {
        words(
            "slides.in_unit", what=words("cost.stage.time"), unit=words("chart.minutes" if long else "chart.seconds")
        ): [one.seconds / (60 if long else 1) for one in pair],
        words("slides.in_unit", what=words("cost.memory"), unit=words("chart.gigabytes")): [
            one.peak_bytes / 1e9 for one in pair
        ],
    }
    names = (words(f"cost.{pair[0].source}"), words(f"cost.full_{pair[1].source}"))
    for index, (name, values) in enumerate(shown.items()):
        page.bars(
            [name],
            {side: [value] for side, value in zip(names, values, strict=True)},
            Box(BODY.left, BODY.top + 176 * index, 360, 172),
            alt=alt,
            form="0.0",
            colours=(theme.AFTER, theme.BEFORE),
        )
    page.table(columns, rows, Box(BODY.left + 376, BODY.top + 8, BODY.width - 376, 290), alt=alt)
    note = words("slides.cost.whole", time=words.duration(sum(one["wall_seconds"] for one in record.stages.values())))
    page.text([note], Box(BODY.left + 376, 448, BODY.width - 376, 48), sizes=(13, 12), colour=theme.SOFT)


def _cost_rows(record: Record, sides: list[Spent], words: Words) -> list[list[str]]:
    rows = [
        [words("cost.stage.time"), *(words.duration(one.seconds) for one in sides)],
        [words("cost.memory"), *(words.size(one.peak_bytes) if one.peak_bytes else "–" for one in sides)],
        [words("cost.trained"), *(words.number(one.trainable) for one in sides)],
        [words("cost.file"), *(words.size(one.file_bytes) for one in sides)],
    ]
    if all(one.price is not None for one in sides):
        rows.append([words("cost.money"), *(money(record, one, words) for one in sides)])
    return rows


def _learning(canvas: Canvas, record: Record, words: Words) -> None:
    series: dict[str, list[tuple[float, float]]] = {}
    last = max([1, *(step["epoch"] for step in record.steps), *(entry["epoch"] for entry in record.epochs)])
    per_epoch = max(1.0, max((step["step"] for step in record.steps), default=1) / last)
    if record.steps:
        every = max(1, len(record.steps) // _POINTS)
        smooth = smoothed([step["loss"] for step in record.steps])
        points = [(step["step"] / per_epoch, loss) for step, loss in zip(record.steps, smooth, strict=True)]
        series[words("chart.train")] = points[::every]
    if record.epochs:
        series[words("chart.validation")] = [(entry["epoch"], entry["validation_loss"]) for entry in record.epochs]
    changed = words(
        "slides.changed",
        share=words.small_percent(record.density),
        changed=words.number(record.places.changed),
        all=words.number(record.base_weights),
    )
    where = most(record.places)
    lines = [changed]
    if where is not None:
        lines.append(
            words(
                "places.most",
                layer=where["layer"],
                layers=len(record.places.layers),
                layer_share=words.percent(where["layer_share"], 0),
                kind=where["kind"],
                kind_share=words.percent(where["kind_share"], 0),
            )
        )
    lines.append(words("slides.file", file=words.size(record.patch_bytes), base=words.size(record.costs["base_bytes"])))
    if (gap := overfitting(record.evaluation, (), words)) is not None:
        lines.append(gap.sentence)
    if record.curve is not None:
        lines.append(more_labels(record.curve, words))
    lines += in_short(record, words)
    page = canvas.page(changed, notes=[*lines, words("chart.training")] if series else lines)
    if series:
        box = Box(BODY.left, BODY.top, 440, BODY.height)
        page.curves(series, box, alt=words("chart.training"), across=words("chart.epoch"), up=words("chart.loss"))
    left = BODY.left + (456 if series else 0)
    box = Box(left, BODY.top + 10, BODY.left + BODY.width - left, BODY.height - 20)
    page.text(lines[1:], box, bullets=True, sizes=(18, 17, 16, 15, 14, 13, 12))


def _examples(canvas: Canvas, record: Record, words: Words) -> None:
    found = examples(record.evaluation, words)
    page = canvas.page(words("slides.examples"), notes=[words("slides.examples.say"), words("slides.cases")])
    columns = [
        Column(words("slides.examples.kind"), 1.8, whole=True),
        Column(words("examples.input"), 4.4),
        *(Column(words(f"examples.{name}"), 2.4) for name in ("expected", "before", "after")),
    ]
    rows: list[list[str]] = []
    colours = {}
    for side, outcome in (("better", "accepted"), ("worse", "rejected")):
        for example in found[side][:3]:
            colours[len(rows), 0] = theme.OUTCOMES[outcome]
            texts = [excerpt(example[name], 130) for name in ("input", "expected", "before", "after")]
            rows.append([words(f"examples.{side}"), *(" ".join(text.split()) for text in texts)])
    if rows:
        page.table(columns, rows, _upper(20), alt=words("slides.examples"), colours=colours, sizes=(14, 13, 12))
    else:
        page.text([words("examples.none")], BODY)


def _risks(canvas: Canvas, record: Record, words: Words) -> None:
    found = risks(record, words)
    page = canvas.page(words("slides.risks"), notes=found)
    page.text(gravest(record, words, _RISKS), BODY, bullets=True, sizes=(20, 18, 17, 16, 15, 14, 13))


def _questions(canvas: Canvas, record: Record, words: Words) -> None:
    found = questions(record, words)
    spoken = [line for question, answer in found for line in (question, answer)]
    page = canvas.page(words("slides.questions"), notes=spoken)
    columns = [Column(words("board.question"), 3), Column(words("board.answer"), 7)]
    page.table(columns, found, _upper(0), alt=words("slides.questions"))


def _back(canvas: Canvas, record: Record, words: Words) -> None:
    lines, told = commands(record), criteria(record, words)
    say = [words("use.safe"), words("use.revert"), lines["revert"], *(told or [words("risk.no_rollback")])]
    page = canvas.page(words("slides.back"), notes=say)
    top = BODY.top
    for name in ("apply", "revert"):
        page.text([words(f"use.{name}")], Box(BODY.left, top, BODY.width, 24), sizes=(16, 15, 14))
        box = Box(BODY.left, top + 26, BODY.width, 42)
        page.text([lines[name]], box, sizes=(14, 13, 12, 11, 10, 9), mono=True, sheet=theme.SHEET)
        top += 78
    page.text([words("use.safe")], Box(BODY.left, top, BODY.width, 46), sizes=(15, 14, 13), colour=theme.SOFT)
    page.text([words("slides.when")], Box(BODY.left, top + 54, BODY.width, 26), sizes=(18,), bold=True)
    box = Box(BODY.left, top + 84, BODY.width, 494 - top - 84)
    page.text(told or [words("risk.no_rollback")], box, bullets=bool(told), sizes=(16, 15, 14, 13, 12))


def _upper(below: float) -> Box:
    """The body, but for so many points at its foot."""
    return Box(BODY.left, BODY.top, BODY.width, BODY.height - below)
