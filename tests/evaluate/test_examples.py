"""Rows that got better and worse."""

from __future__ import annotations

import numpy as np

from zogan.data.rows import DialogueRow, Place, TextRow, dialogue
from zogan.evaluate.evaluation import ClassExample, TextExample
from zogan.evaluate.examples import SHOWN, class_examples, text_examples
from zogan.tasks.task import ClassPredictions, TextPredictions

LABELS = ("no", "yes")


def classes(yes: list[float], truth: list[int]) -> ClassPredictions:
    probabilities = np.stack([1 - np.array(yes), np.array(yes)], axis=1)
    return ClassPredictions(LABELS, np.array(truth), probabilities, np.zeros(len(truth)))


def text_rows(truth: list[int]) -> list[TextRow]:
    return [TextRow(f"text {index}", LABELS[one], Place("t", index)) for index, one in enumerate(truth)]


def dialogues(count: int) -> list[DialogueRow]:
    return [dialogue(f"prompt {index}", f"answer {index}", Place("t", index)) for index in range(count)]


def test_classes_that_changed_sides_surest_first() -> None:
    truth = [1, 1, 1, 0, 0]
    before = classes([0.1, 0.2, 0.9, 0.2, 0.8], truth)
    after = classes([0.6, 0.9, 0.8, 0.7, 0.9], truth)
    found = class_examples(text_rows(truth), before, after)
    assert found.better == (
        ClassExample(place="t:1", text="text 1", truth="yes", before="no", after="yes", probability=0.9),
        ClassExample(place="t:0", text="text 0", truth="yes", before="no", after="yes", probability=0.6),
    )
    assert [example.place for example in found.worse] == ["t:3"]


def test_no_more_than_a_few() -> None:
    truth = [1] * 30
    found = class_examples(text_rows(truth), classes([0.1] * 30, truth), classes([0.9] * 30, truth))
    assert len(found.better) == SHOWN
    assert found.worse == ()


def test_texts_by_how_far_the_mean_loss_moved() -> None:
    tokens = np.array([2, 2, 4, 1])
    answers, references = ("a", "b", "c"), ("x", "y", "z")
    before = TextPredictions(np.array([4.0, 4.0, 4.0, 9.0]), tokens, answers, references)
    after = TextPredictions(np.array([2.0, 6.0, 3.6, 0.0]), tokens, ("A", "B", "C"), references)
    found = text_examples(dialogues(4), before, after)
    assert [example.place for example in found.better] == ["t:0", "t:2"]
    assert found.worse == (
        TextExample(
            place="t:1",
            prompt="prompt 1",
            reference="answer 1",
            before="b",
            after="B",
            loss_before=2.0,
            loss_after=3.0,
        ),
    )


def test_texts_without_answers_are_shown_all_the_same() -> None:
    tokens = np.array([1, 1])
    before = TextPredictions(np.array([4.0, 4.0]), tokens, (), ())
    found = text_examples(dialogues(2), before, TextPredictions(np.array([4.0, 3.0]), tokens, (), ()))
    (example,) = found.better
    assert isinstance(example, TextExample)
    assert (example.place, example.before, example.after) == ("t:1", None, None)
    assert found.worse == ()
