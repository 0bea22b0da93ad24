"""Labels in doubt: rows that were labelled wrong are told with their places, and no data is touched."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import data
import zogan
from tiny import tiny_decoder, tiny_encoder
from zogan.data.rows import Place, TextRow
from zogan.errors import ConfigError, DataError
from zogan.tasks import open_job
from zogan.tasks.job import Job
from zogan.train import labels

WRONG = (3, 17, 40)
START = 99
"""Behind the rows of the other splits."""


def rows(count: int = 60) -> list[TextRow]:
    """Rows told apart by their words, of which some are labelled wrong."""
    found = data.text_rows(count, start=START)
    others = {"bad": "good", "good": "bad", "fine": "bad"}
    return [
        TextRow(row.text, others[row.label], row.place) if index in WRONG else row for index, row in enumerate(found)
    ]


def open_with(folder: Path, found: list[TextRow], *, own: tuple[str, ...] = ()) -> Job:
    if not (folder / "base").exists():
        tiny_encoder(folder / "base", labels=own, width=64)
    splits = data.write_splits(folder, "classification", train=3, validation=6, test=6)
    data.write_rows(folder / "train.jsonl", found)
    return open_job(data.make_config(folder, data=splits), cache=folder / "cache")


@pytest.mark.parametrize("own", [(), data.LABELS], ids=["new head", "own head"])
def test_wrong_labels_are_told_with_their_rows(tmp_path: Path, own: tuple[str, ...]) -> None:
    job = open_with(tmp_path, rows(), own=own)
    before = (tmp_path / "train.jsonl").read_bytes()
    found = zogan.check_labels(job)
    assert found.judged == 60
    assert found.accuracy > 0.8
    told = {one.line - 1: one for one in found.doubts}
    assert set(told) >= set(WRONG)
    assert len(told) < 12
    assert 0 < found.expected_share < 0.2
    for index in WRONG:
        one, right = told[index], data.text_rows(60, start=START)[index]
        assert (one.file, one.text, one.label) == ("train.jsonl", right.text, rows()[index].label)
        assert one.suggested == right.label
        assert one.probability < one.suggested_probability
    assert found == zogan.check_labels(job.config)
    assert (tmp_path / "train.jsonl").read_bytes() == before


def test_a_class_too_rare_to_hold_out_is_not_judged(tmp_path: Path) -> None:
    found = zogan.check_labels(open_with(tmp_path, [*rows(30), TextRow("what is this", "rare", Place("x", 1))]))
    assert found.judged == 30
    assert found.unjudged == {"rare": 1}
    assert all("rare" not in (one.label, one.suggested) for one in found.doubts)


def test_one_class_alone_cannot_be_judged(tmp_path: Path) -> None:
    several = [TextRow(f"late {index}", "bad", Place("x", index)) for index in range(8)]
    lone = [TextRow("thanks", "good", Place("x", 20)), TextRow("seat", "fine", Place("x", 21))]
    with pytest.raises(DataError, match="fewer than two classes have rows enough"):
        zogan.check_labels(open_with(tmp_path, [*several, *lone]))


def test_generation_has_none(tmp_path: Path) -> None:
    tiny_decoder(tmp_path / "base")
    splits = data.write_splits(tmp_path, "generation", train=6, validation=3, test=3)
    config = data.make_config(tmp_path, "generation", data=splits)
    with pytest.raises(ConfigError, match="task: labels are of classification"):
        zogan.check_labels(open_job(config, cache=tmp_path / "cache"))


def test_no_row_is_judged_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labels, "STRENGTHS", (0.1,))
    draw = np.random.default_rng(0)
    features, given = draw.normal(size=(60, 200)), draw.integers(0, 2, 60)
    parts = [tuple(range(start, 60, 3)) for start in range(3)]
    found = labels.held_out_probabilities(features, given, parts)
    assert np.allclose(found.sum(axis=1), 1.0)
    changed, first = given.copy(), list(parts[0])
    changed[first] = 1 - changed[first]
    other = labels.held_out_probabilities(features, changed, parts)
    assert np.array_equal(found[first], other[first])
    assert not np.allclose(found[list(parts[1])], other[list(parts[1])])


def test_the_strength_with_the_least_loss_on_held_out_rows_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(0)
    # Labels by lot: what 200 features fit by heart is sure, and wrong on what it has not seen.
    features, given = draw.normal(size=(60, 200)), draw.integers(0, 2, 60)
    parts = [tuple(range(start, 60, 3)) for start in range(3)]
    found = labels.held_out_probabilities(features, given, parts)
    losses = {}
    for strength in labels.STRENGTHS:
        monkeypatch.setattr(labels, "STRENGTHS", (strength,))
        alone = labels.held_out_probabilities(features, given, parts)
        losses[strength] = (-np.log(alone[np.arange(60), given]).mean(), np.array_equal(alone, found))
    assert [same for _, same in sorted(losses.values(), key=lambda one: one[0])] == [True, False, False, False]
