"""The page itself: a run's record and one language's words, through the template, into one file."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any, get_args

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

import zogan
from zogan.evaluate.evaluation import ClassExample, ClassFigures, Evaluation, TextExample
from zogan.report import charts
from zogan.report.comparison import compare
from zogan.report.curve import curve
from zogan.report.external import external
from zogan.report.metrics import Metric
from zogan.report.overfitting import overfitting
from zogan.report.places import Places
from zogan.report.probes import probes
from zogan.report.record import Record, read
from zogan.report.second import second_stage
from zogan.report.spoken import Speaker
from zogan.report.words import Language, Words

_EXCERPT = 320
_MIXED_UP = 5
_SHOWN_EXAMPLES = 5


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
        comparisons=comparisons,
        verdict=record.verdict,
        speaker=Speaker(record.verdict, words, say, verbatim),
        stage_name=lambda name: _stage_name(name, words),
        comparison_chart=Markup(charts.comparison(comparisons, words)),
        places_chart=Markup(charts.places(record.places, words)) if record.places.cells else None,
        training_chart=Markup(charts.training(record.steps, record.epochs, words)) if record.epochs else None,
        answered=min(metric.rows for metric in record.metrics),
        rows={name: count for name in ("train", "validation", "test") if (count := record.data["rows"][name])},
        most=_most(record.places),
        second=second_stage(record.second, words) if record.second else None,
        best=next((entry["epoch"] for entry in reversed(record.epochs) if entry.get("best")), None),
        classes=_classes(record.evaluation),
        mixed_up=_mixed_up(record.evaluation),
        share=Metric("accuracy"),
        examples=_examples(record.evaluation, words),
        probes=probes(record.probes, words, say, verbatim),
        overfitting=overfitting(record.evaluation, record.epochs, words),
        curve=curve(record.curve, words),
        external=external(record.evaluation, words, say, verbatim),
        commands=_commands(record),
        version=zogan.__version__,
    )


def model_name(record: Record) -> str:
    """How people call the model: the folder's or file's name, or the package."""
    return Path(record.config.model.removeprefix("package:")).name


def verbatim(text: object) -> Markup:
    """Text that is the user's, or a name: neither translated nor taken for markup."""
    return Markup('<span translate="no">{}</span>').format(text)


def excerpt(text: str, length: int = _EXCERPT) -> str:
    """The start of a long text, cut between words where there are any."""
    if len(text) <= length:
        return text
    start = text[: length - 1]
    head, _, tail = start.rpartition(" ")
    return f"{(head if head and len(tail) < length // 4 else start).rstrip()}…"


def _stage_name(name: str, words: Words) -> str:
    stage, _, seed = name.partition(":")
    shown = words.name("stage", stage)
    return words("stage.seed", stage=shown, seed=seed) if seed else shown


def _most(places: Places) -> dict[str, Any] | None:
    """The layer and the kind of matrix with the most changes, and their shares of all changes."""
    if not places.cells:
        return None
    layers, kinds = places.by_layer(), places.by_kind()
    layer, kind = max(layers, key=lambda key: layers[key]), max(kinds, key=lambda key: kinds[key])
    return {
        "share": max(cell.share for cell in places.cells.values()),
        "layer": layer + 1,
        "layer_share": layers[layer] / places.changed,
        "kind": kind,
        "kind_share": kinds[kind] / places.changed,
    }


def _classes(evaluation: Evaluation) -> list[tuple[ClassFigures, ClassFigures]]:
    """Each class's figures before and after."""
    table = evaluation.per_class
    return list(zip(table.before, table.after, strict=True)) if table and table.after else []


def _mixed_up(evaluation: Evaluation) -> list[tuple[str, str, int]]:
    """The most frequent mistakes after tuning: right class, class given, rows."""
    labels, confusion = evaluation.labels, evaluation.confusion
    if labels is None or confusion is None or confusion.after is None:
        return []
    wrong = [
        (labels[truth], labels[said], count)
        for truth, row in enumerate(confusion.after)
        for said, count in enumerate(row)
        if truth != said and count
    ]
    return sorted(wrong, key=lambda entry: -entry[2])[:_MIXED_UP]


def _examples(evaluation: Evaluation, words: Words) -> dict[str, list[dict[str, str]]]:
    """Rows that got better and worse, as the page shows them; where no answer was asked for, the loss stands in."""

    def shown(example: ClassExample | TextExample) -> dict[str, str]:
        if isinstance(example, ClassExample):
            return {
                "input": example.text,
                "expected": example.truth,
                "before": example.before,
                "after": example.after,
            }
        before, after = (
            words("examples.loss", loss=words.number(loss, 3)) if answer is None else answer
            for answer, loss in ((example.before, example.loss_before), (example.after, example.loss_after))
        )
        return {"input": example.prompt, "expected": example.reference, "before": before, "after": after}

    sides = {"better": evaluation.examples.better, "worse": evaluation.examples.worse}
    return {side: [shown(example) for example in examples[:_SHOWN_EXAMPLES]] for side, examples in sides.items()}


def _commands(record: Record) -> dict[str, str]:
    base = shlex.quote(record.config.model)
    return {
        "show": "zogan patch show patch.safetensors",
        "apply": f"zogan patch apply patch.safetensors {base} -o tuned",
        "revert": "zogan patch revert patch.safetensors tuned -o restored",
    }
