"""The page itself: a run's record and one language's words, through the template, into one file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

import zogan
from zogan.report import charts
from zogan.report.comparison import compare
from zogan.report.evidence import told
from zogan.report.facts import change, classes, commands, examples, excerpt, mixed_up, model_name, most
from zogan.report.metrics import Metric
from zogan.report.record import Record
from zogan.report.second import second_stage
from zogan.report.spoken import Speaker
from zogan.report.words import Language, Words


def page(record: Record, language: Language, path: Path) -> None:
    """Write the page.

    Args:
        record: the run.
        language: of all words on it.
        path: the file.
    """
    path.write_text(render(record, language), encoding="utf-8")


def evidence(record: Record, language: Language, path: Path) -> None:
    """Write which evidence of the run answers what reviewers ask for; see `page`."""
    words = Words(language, unbroken=True)
    html = _filled(
        "evidence.html",
        words,
        model=model_name(record),
        speaker=Speaker(record.verdict, words, _say(words), verbatim),
        **told(record, words),
    )
    path.write_text(html, encoding="utf-8")


def render(record: Record, language: Language) -> str:
    """One page.

    Args:
        record: the run.
        language: of all words on it; texts of the data, names of models and files stay as they are.
    """
    words = Words(language, unbroken=True)
    comparisons = compare(record)
    return _filled(
        "page.html",
        words,
        record=record,
        model=model_name(record),
        change=change(record, words),
        comparisons=comparisons,
        verdict=record.verdict,
        speaker=Speaker(record.verdict, words, _say(words), verbatim),
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
    )


def _filled(template: str, words: Words, **found: Any) -> str:
    environment = Environment(
        loader=PackageLoader("zogan.report", "template"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"verbatim": verbatim, "excerpt": excerpt}
    say = _say(words)
    return environment.get_template(template).render(words=words, say=say, version=zogan.__version__, **found)


def _say(words: Words) -> Callable[..., Markup]:
    """The catalogue's texts with markup in their places."""

    def say(key: str, **values: object) -> Markup:
        return Markup(escape(words(key))).format(**values)

    return say


def verbatim(text: object) -> Markup:
    """Text that is the user's, or a name: neither translated nor taken for markup."""
    return Markup('<span translate="no">{}</span>').format(text)


def _stage_name(name: str, words: Words) -> str:
    stage, _, seed = name.partition(":")
    shown = words.name("stage", stage)
    return words("stage.seed", stage=shown, seed=seed) if seed else shown
