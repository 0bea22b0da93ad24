"""Figures equal those of the libraries that everyone knows."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import Any

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu import sentence_chrf

from zogan.errors import ConfigError
from zogan.evaluate import metrics as module
from zogan.evaluate.metrics import Metric, metric, metrics
from zogan.evaluate.statistics import intervals
from zogan.tasks.task import ClassPredictions, TextPredictions


def classes(truth: list[int], choice: list[int], labels: int) -> ClassPredictions:
    probabilities = np.full((len(truth), labels), 0.1 / labels)
    probabilities[np.arange(len(truth)), choice] += 0.9
    names = tuple(f"label {index}" for index in range(labels))
    return ClassPredictions(names, np.array(truth, dtype=np.int64), probabilities, np.zeros(len(truth)))


def texts(answers: list[str], references: list[str]) -> TextPredictions:
    rows = len(answers)
    return TextPredictions(np.ones(rows), np.ones(rows, dtype=np.int64), tuple(answers), tuple(references))


def value(name: str, predictions: Any) -> float:
    found = (metrics("classification") | metrics("generation"))[name]
    return float(found.figure(found.rows(predictions).sum(axis=0, keepdims=True))[0])


def test_names_and_directions() -> None:
    known = metrics("classification") | metrics("generation")
    assert {name: found.higher_is_better for name, found in known.items()} == {
        "accuracy": True,
        "macro_f1": True,
        "loss": False,
        "perplexity": False,
        "chrf": True,
        "rouge_l": True,
        "exact_match": True,
    }


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=30))
def test_classification_is_as_sklearn_has_it(pairs: list[tuple[int, int]]) -> None:
    truth, choice = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    predictions = classes(truth, choice, 5)
    assert value("accuracy", predictions) == pytest.approx(sklearn.metrics.accuracy_score(truth, choice))
    peer = sklearn.metrics.f1_score(truth, choice, average="macro", zero_division=0)
    assert value("macro_f1", predictions) == pytest.approx(peer)


def test_loss_is_a_mean_over_tokens() -> None:
    predictions = TextPredictions(np.array([6.0, 1.0]), np.array([3, 4]), (), ())
    assert value("loss", predictions) == pytest.approx(1.0)
    assert value("perplexity", predictions) == pytest.approx(np.e)


def test_chrf_is_as_sacrebleu_has_it() -> None:
    answers, references = ["the cat sat", "カードを再発行します"], ["the cat sits down", "カードを送ります"]
    peer = np.mean([sentence_chrf(a, [r]).score for a, r in zip(answers, references, strict=True)])
    assert value("chrf", texts(answers, references)) == pytest.approx(peer)


def test_rouge_is_the_librarys_for_english() -> None:
    answers, references = ["the cat sat on mats", "no"], ["the cat was on the mat", "yes it is"]
    scorer = RougeScorer(["rougeL"])
    peer = np.mean([scorer.score(r, a)["rougeL"].fmeasure for a, r in zip(answers, references, strict=True)])
    assert value("rouge_l", texts(answers, references)) == pytest.approx(peer)


def test_rouge_sees_japanese() -> None:
    assert value("rouge_l", texts(["再発行します"], ["再発行しました"])) == pytest.approx(2 * 5 / (6 + 7))


def test_exact_match_folds_white_space() -> None:
    assert value("exact_match", texts([" a  b\n", "A b"], ["a b", "a b"])) == 0.5


def test_macro_f1_of_many_labels_has_an_interval() -> None:
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 77, size=3000)
    choice = np.where(generator.random(3000) < 0.8, truth, generator.integers(0, 77, size=3000))
    found = metrics("classification")["macro_f1"]
    rows = found.rows(classes(truth.tolist(), choice.tolist(), 77))
    (interval,) = intervals(
        lambda counts: found.figure(counts @ rows)[:, None], 3000, level=0.95, resamples=2000, seed=0
    )
    assert interval.low < interval.value < interval.high
    assert interval.high - interval.low < 0.06


def test_others_add_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TABLE", dict(module._TABLE))

    def load(_: EntryPoint) -> Metric:
        @metric("generation", higher_is_better=False)
        def length(predictions: TextPredictions) -> np.ndarray[Any, Any]:
            lengths = np.array([float(len(answer)) for answer in predictions.answers])
            return np.stack([lengths, np.ones_like(lengths)], axis=1)

        return length

    point = EntryPoint("length", "somewhere:length", "zogan.metrics")
    monkeypatch.setattr(module, "entry_points", lambda group: [point] if group == "zogan.metrics" else [])
    monkeypatch.setattr(EntryPoint, "load", load)
    found = metrics("generation")["length"]
    assert found.figure(found.rows(texts(["ab", "abcd"], ["", ""])).sum(axis=0, keepdims=True))[0] == 3.0


def test_a_name_is_taken_once() -> None:
    def accuracy(predictions: ClassPredictions) -> np.ndarray[Any, Any]:
        return np.zeros((len(predictions.truth), 2))

    with pytest.raises(ConfigError, match="metric 'accuracy' is known already"):
        metric("classification", higher_is_better=True)(accuracy)
