"""From predictions to an evaluation."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import sklearn.metrics

from zogan.config import EvaluateConfig
from zogan.data.rows import Place, TextRow, dialogue
from zogan.errors import DataError, ZoganError
from zogan.evaluate import compare as module
from zogan.evaluate.compare import compare
from zogan.evaluate.evaluation import Evaluation
from zogan.evaluate.metrics import Metric, ratio
from zogan.tasks.task import ClassPredictions, TextPredictions

LABELS = ("bad", "fine", "good")
SETTINGS = EvaluateConfig(resamples=300)
ROWS = 120
DIALOGUES = [dialogue(f"p{index}", f"the answer {index}", Place("t", index)) for index in range(40)]


def classes(right: float, seed: int) -> ClassPredictions:
    generator = np.random.default_rng(seed)
    truth = np.arange(ROWS) % 3
    choice = np.where(generator.random(ROWS) < right, truth, (truth + 1) % 3)
    probabilities = np.full((ROWS, 3), 0.1)
    probabilities[np.arange(ROWS), choice] = 0.8
    return ClassPredictions(LABELS, truth, probabilities, -np.log(probabilities[np.arange(ROWS), truth]))


def class_rows() -> list[TextRow]:
    return [TextRow(f"text {index}", LABELS[index % 3], Place("t", index)) for index in range(ROWS)]


def answers(words: str, loss: float, answered: int = 10) -> TextPredictions:
    tokens = np.arange(1, 41)
    references = tuple(row.target for row in DIALOGUES[:answered])
    return TextPredictions(loss * tokens + 0.1 * np.arange(40), tokens, (words,) * answered, references)


def evaluated(before: Any, after: Any, rows: Any, **changed: Any) -> Evaluation:
    named: dict[str, Any] = {"before_is": "base", "split": "test", "settings": SETTINGS, "seed": 0} | changed
    return compare(rows, before, after, **named)


def test_classification() -> None:
    before, after = classes(0.6, 0), classes(0.9, 1)
    found = evaluated(before, after, class_rows(), before_is="head_only")
    assert (found.task, found.before_is, found.rows, found.labels) == ("classification", "head_only", ROWS, LABELS)
    assert [(info.name, info.rows) for info in found.metrics] == [("accuracy", ROWS), ("macro_f1", ROWS)]
    assert found.after is not None
    assert found.difference is not None
    assert found.after["accuracy"].value == pytest.approx(sklearn.metrics.accuracy_score(after.truth, after.choice))
    for name, gain in found.difference.items():
        assert gain.value == pytest.approx(found.after[name].value - found.before[name].value)
        assert gain.low < gain.value < gain.high
        assert gain.better is True
        assert gain.method == ("score" if name == "accuracy" else "bca")
    assert found.confusion is not None
    assert found.confusion.before == tuple(
        tuple(row) for row in sklearn.metrics.confusion_matrix(before.truth, before.choice).tolist()
    )
    assert found.per_class is not None
    assert found.per_class.after is not None
    report = sklearn.metrics.classification_report(
        after.truth, after.choice, target_names=list(LABELS), output_dict=True
    )
    for row in found.per_class.after:
        assert report[row.label] == pytest.approx(
            {"precision": row.precision, "recall": row.recall, "f1-score": row.f1, "support": row.support}
        )
    assert len(found.examples.better) == 10


def test_worse_is_told_and_equal_is_neither() -> None:
    worse = evaluated(classes(0.9, 0), classes(0.5, 1), class_rows())
    same = evaluated(classes(0.7, 0), classes(0.7, 0), class_rows())
    assert worse.difference is not None
    assert same.difference is not None
    assert worse.difference["accuracy"].better is False
    equal = same.difference["accuracy"]
    assert (equal.value, equal.better, equal.method) == (0, None, "score")
    assert equal.low == pytest.approx(-equal.high)
    assert equal.low < 0, "models that agree on all of these rows may differ on others"
    shown = same.difference["macro_f1"]
    assert (shown.value, shown.low, shown.high, shown.better, shown.method) == (0, 0, 0, None, "percentile")


def test_generation() -> None:
    found = evaluated(answers("nothing", 2.0), answers("the answer 3", 1.0), DIALOGUES)
    assert {info.name: info.rows for info in found.metrics} == {
        "loss": 40,
        "perplexity": 40,
        "chrf": 10,
        "rouge_l": 10,
        "exact_match": 10,
    }
    assert found.difference is not None
    assert found.difference["loss"].value == pytest.approx(-1.0)
    assert {name: gain.better for name, gain in found.difference.items()} == {
        "loss": True,
        "perplexity": True,
        "chrf": True,
        "rouge_l": True,
        "exact_match": None,
    }
    assert found.labels is None
    assert found.per_class is None


def test_without_answers_there_are_losses_alone() -> None:
    found = evaluated(answers("", 2.0, 0), answers("", 1.0, 0), DIALOGUES)
    assert list(found.before) == ["loss", "perplexity"]


def test_before_alone() -> None:
    found = evaluated(classes(0.6, 0), None, class_rows())
    assert found.after is None
    assert found.difference is None
    assert list(found.before) == ["accuracy", "macro_f1"]
    assert found.per_class is not None
    assert found.per_class.after is None
    texts = evaluated(answers("a", 2.0), None, DIALOGUES)
    assert texts.examples.better == ()


def test_one_row_has_figures_and_no_verdict() -> None:
    def one(choice: int) -> ClassPredictions:
        return ClassPredictions(LABELS, np.array([0]), np.eye(3)[[choice]], np.zeros(1))

    found = evaluated(one(1), one(0), class_rows()[:1])
    assert found.difference is not None
    gain = found.difference["accuracy"]
    assert (gain.value, gain.better, gain.method) == (1.0, None, "none")


def test_it_is_strict_json() -> None:
    found = evaluated(answers("x", 2.0), answers("y", 1.0), DIALOGUES)

    def refuse(name: str) -> None:
        raise AssertionError(name)

    tree = json.loads(found.dumps(), parse_constant=refuse)
    assert tree["before"]["loss"]["value"] == found.before["loss"].value


def test_no_rows_and_no_figures_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="test: no rows to evaluate"):
        evaluated(classes(0.6, 0), None, [])
    nothing = Metric("nothing", "classification", True, lambda _: np.full((ROWS, 2), np.nan), ratio)
    monkeypatch.setattr(module, "metrics", lambda task: {"nothing": nothing})
    with pytest.raises(ZoganError, match="metric 'nothing': gives no finite figure"):
        evaluated(classes(0.6, 0), None, class_rows())
