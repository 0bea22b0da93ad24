"""What several documents tell of a run: its name, its mistakes, its examples, the commands that use it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from zogan.evaluate.evaluation import ClassExample, ClassFigures, Evaluation, TextExample
from zogan.patch.places import Places
from zogan.report.record import Record
from zogan.report.words import Words

_EXCERPT = 320
_MIXED_UP = 5
_MANY = 20
_SHOWN_EXAMPLES = 5


def model_name(record: Record) -> str:
    """How people call the model: the folder's or file's name, or the package."""
    return Path(record.config.model.removeprefix("package:")).name


def of_seed(record: Record, words: Words) -> str:
    """Where the verdict is of several seeds: that the figures are of one. Empty where it is of one as they are."""
    if len(record.verdict.seeds) < 2:
        return ""
    return words("figures.seed", number=len(record.verdict.seeds), seed=record.config.train.seed)


def change(record: Record, words: Words) -> str:
    """What was done to the model, as a part of the question."""
    if record.given:
        key = "question.given_adapters" if record.adapters else "question.given"
        return words(key, density=words.small_percent(record.density))
    adapters = "_adapters" if record.second and record.adapters else ""
    density = words.small_percent(record.config.budget.density)
    return words(f"question.{record.config.method}{adapters}", density=density)


def rows_said(record: Record, words: Words) -> str:
    """From what it learnt, and on what it was measured; of a patch that was given, as far as it says so itself."""
    if not record.given:
        key = "question.rows"
    else:
        key = "question.rows_given" if record.same_rows else "question.rows_unknown"
    return words(key, **{name: words.number(record.data["rows"][name]) for name in ("train", "test")})


def settings(record: Record, words: Words) -> str:
    """How it was trained; of a patch that was given, that these settings are not its own."""
    if record.given:
        return words("settings.given")
    train = record.config.train
    return words("settings.loop", batch=train.batch_size, epochs=train.epochs, rate=f"{record.config.rate:g}")


def excerpt(text: str, length: int = _EXCERPT) -> str:
    """The start of a long text, cut between words where there are any."""
    if len(text) <= length:
        return text
    start = text[: length - 1]
    head, _, tail = start.rpartition(" ")
    return f"{(head if head and len(tail) < length // 4 else start).rstrip()}…"


def most(places: Places) -> dict[str, Any] | None:
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


def classes(evaluation: Evaluation) -> list[tuple[ClassFigures, ClassFigures]]:
    """Each class's figures before and after."""
    table = evaluation.per_class
    return list(zip(table.before, table.after, strict=True)) if table and table.after else []


def mixed_up(evaluation: Evaluation) -> list[tuple[str, str, int]]:
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
    most = _MIXED_UP if len(labels) <= _MANY else 4 * _MIXED_UP
    return sorted(wrong, key=lambda entry: -entry[2])[:most]


def examples(evaluation: Evaluation, words: Words) -> dict[str, list[dict[str, str]]]:
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


def commands(record: Record) -> dict[str, str]:
    base = shlex.quote(record.config.model)
    return {
        "show": "zogan patch show patch.safetensors",
        "apply": f"zogan patch apply patch.safetensors {base} -o tuned",
        "revert": "zogan patch revert patch.safetensors tuned -o restored",
    }
