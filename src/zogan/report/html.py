"""The page itself: a run's record and one language's words, through the template, into one file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

import zogan
from zogan.evaluate.evaluation import Evaluation
from zogan.report import charts
from zogan.report.comparison import compare
from zogan.report.costs import cost_sentences
from zogan.report.curve import curve
from zogan.report.documents import documents
from zogan.report.evidence import told
from zogan.report.explanation import view
from zogan.report.external import external
from zogan.report.facts import (
    change,
    classes,
    commands,
    examples,
    excerpt,
    mixed_up,
    model_name,
    most,
    of_seed,
    rows_said,
)
from zogan.report.metrics import Metric
from zogan.report.overfitting import overfitting
from zogan.report.probes import probes
from zogan.report.record import Record
from zogan.report.registered import said
from zogan.report.second import second_stage
from zogan.report.spoken import Speaker
from zogan.report.words import Language, Words

_MATRIX = 12
"""Classes, at most, of which each pair is shown."""


def page(record: Record, language: Language, path: Path) -> None:
    """Write the page.

    Args:
        record: the run.
        language: of all words on it.
        path: the file.
    """
    main = language if f".{language}." not in path.name else next(one for one in get_args(Language) if one != language)
    path.write_text(render(record, language, main), encoding="utf-8")


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


def render(record: Record, language: Language, main: Language | None = None) -> str:
    """One page.

    Args:
        record: the run.
        language: of all words on it; texts of the data, names of models and files stay as they are.
        main: of the documents with plain names, to which it points; `language` where absent.
    """
    words = Words(language, unbroken=True)
    comparisons = compare(record)
    speaker = Speaker(record.verdict, words, _say(words), verbatim)
    return _filled(
        "page.html",
        words,
        record=record,
        model=model_name(record),
        change=change(record, words),
        rows_said=rows_said(record, words),
        comparisons=comparisons,
        of_seed=of_seed(record, words),
        costs=cost_sentences(record, words),
        verdict=record.verdict,
        speaker=speaker,
        waived=said(record.registered, speaker, words),
        stage_name=lambda name: _stage_name(name, words),
        comparison_chart=Markup(charts.comparison(comparisons, words)),
        places_chart=Markup(charts.places(record.places, words)) if record.places.cells else None,
        explanation=view(record, words),
        training_chart=Markup(charts.training(record.steps, record.epochs, words)) if record.epochs else None,
        answered=min(metric.rows for metric in record.metrics),
        rows={name: count for name in ("train", "validation", "test") if (count := record.data["rows"][name])},
        most=most(record.places),
        second=second_stage(record.second, words) if record.second else None,
        best=next((entry["epoch"] for entry in reversed(record.epochs) if entry.get("best")), None),
        classes=classes(record.evaluation),
        mixed_up=mixed_up(record.evaluation),
        matrix=_matrix(record.evaluation),
        beside=_beside(record, language, main or language),
        share=Metric("accuracy"),
        examples=examples(record.evaluation, words),
        skipped=[words.name("reading", name) for name in (record.probes.skipped if record.probes else ())],
        probes=probes(record.probes, words, _say(words), verbatim),
        overfitting=overfitting(record.evaluation, record.epochs, words),
        curve=curve(record.curve, words),
        external=external(record.evaluation, words, _say(words), verbatim),
        commands=commands(record),
    )


def _matrix(evaluation: Evaluation) -> tuple[tuple[int, ...], ...] | None:
    """Rows by right class and class given, after tuning; of few classes alone, for of many nobody can read it."""
    confusion, labels = evaluation.confusion, evaluation.labels or ()
    return confusion.after if confusion is not None and len(labels) <= _MATRIX else None


def _beside(record: Record, language: Language, main: Language) -> dict[str, str]:
    """Names of the other documents in a page's language, by their kind."""
    found = [one for one in documents(record, main) if one.language == language]
    return {one.kind: one.name for one in reversed(found)}  # of two of a kind, the first


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
