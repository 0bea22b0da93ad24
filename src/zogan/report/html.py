"""The page itself: a run's record and one language's words, through the template, into one file."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

import zogan
from zogan.report import charts
from zogan.report.comparison import compare
from zogan.report.facts import change, classes, commands, examples, excerpt, mixed_up, model_name, most
from zogan.report.metrics import Metric
from zogan.report.record import Record, read
from zogan.report.second import second_stage
from zogan.report.spoken import Speaker
from zogan.report.words import Language, Words


def write_pages(run: Path, language: Language | None) -> Path:
    """Write report.html and the other language's page beside it; see `zogan.report.write`."""
    record = read(run)
    main: Language = language or record.config.language
    for other in get_args(Language):
        name = "report.html" if other == main else f"report.{other}.html"
        partial = run / f"{name}.partial"
        partial.write_text(render(record, other), encoding="utf-8")
        partial.replace(run / name)
    # Left by an earlier report in the other language, it would be a second page in this one.
    (run / f"report.{main}.html").unlink(missing_ok=True)
    return run / "report.html"


def render(record: Record, language: Language) -> str:
    """One page.

    Args:
        record: the run.
        language: of all words on it; texts of the data, names of models and files stay as they are.
    """
    words = Words(language, unbroken=True)
    environment = Environment(
        loader=PackageLoader("zogan.report", "template"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"verbatim": verbatim, "excerpt": excerpt}
    comparisons = compare(record)

    def say(key: str, **values: object) -> Markup:
        return Markup(escape(words(key))).format(**values)

    return environment.get_template("page.html").render(
        words=words,
        say=say,
        record=record,
        model=model_name(record),
        change=change(record, words),
        comparisons=comparisons,
        verdict=record.verdict,
        speaker=Speaker(record.verdict, words, say, verbatim),
        stage_name=lambda name: _stage_name(name, words),
        comparison_chart=Markup(charts.comparison(comparisons, words)),
        places_chart=Markup(charts.places(record.places, words)) if record.places.cells else None,
        training_chart=Markup(charts.training(record.steps, record.epochs, words)) if record.epochs else None,
        answered=min(metric.rows for metric in record.metrics),
        rows={name: count for name in ("train", "validation", "test") if (count := record.data["rows"][name])},
        most=most(record.places),
        second=second_stage(record.second, words) if record.second else None,
        best=next((entry["epoch"] for entry in reversed(record.epochs) if entry.get("best")), None),
        classes=classes(record.evaluation),
        mixed_up=mixed_up(record.evaluation),
        share=Metric("accuracy"),
        examples=examples(record.evaluation, words),
        commands=commands(record),
        version=zogan.__version__,
    )


def verbatim(text: object) -> Markup:
    """Text that is the user's, or a name: neither translated nor taken for markup."""
    return Markup('<span translate="no">{}</span>').format(text)


def _stage_name(name: str, words: Words) -> str:
    stage, _, seed = name.partition(":")
    shown = words.name("stage", stage)
    return words("stage.seed", stage=shown, seed=seed) if seed else shown
