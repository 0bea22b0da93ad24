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
from zogan.train.labels import held_out_probabilities

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


def open_with(folder: Path, found: list[TextRow], *, labels: tuple[str, ...] = ()) -> Job:
    if not (folder / "base").exists():
        tiny_encoder(folder / "base", labels=labels, width=64)
    splits = data.write_splits(folder, "classification", train=3, validation=6, test=6)
    data.write_rows(folder / "train.jsonl", found)
    return open_job(data.make_config(folder, data=splits), cache=folder / "cache")


@pytest.mark.parametrize("labels", [(), data.LABELS], ids=["new head", "own head"])
def test_wrong_labels_are_told_with_their_rows(tmp_path: Path, labels: tuple[str, ...]) -> None:
    job = open_with(tmp_path, rows(), labels=labels)
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


def test_no_row_is_judged_by_itself() -> None:
    draw = np.random.default_rng(0)
    features, given = draw.normal(size=(60, 200)), draw.integers(0, 2, 60)
    parts = [tuple(range(start, 60, 3)) for start in range(3)]
    found = held_out_probabilities(features, given, parts)
    # Labels by lot: 200 features would learn them by heart, and know nothing of what they have not seen.
    assert abs((found.argmax(axis=1) == given).mean() - 0.5) < 0.2
    assert np.allclose(found.sum(axis=1), 1.0)
    changed = given.copy()
    changed[list(parts[0])] = 1 - changed[list(parts[0])]
    fitted = held_out_probabilities(features, changed, parts)
    same = [np.allclose(found[list(part)], fitted[list(part)]) for part in parts]
    assert same[0] or np.abs(found - fitted).max() < 0.5
