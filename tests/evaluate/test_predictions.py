"""What models said is kept whole, holds no text of rows, and a damaged file is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from data import LABELS
from tiny_project import KINDS, Kind, tiny_config, write_project
from zogan.errors import IntegrityError
from zogan.evaluate.metrics import metrics
from zogan.evaluate.predictions import Predicted, keep, load, save
from zogan.evaluate.run import predict
from zogan.tasks import open_job
from zogan.tasks.job import Job
from zogan.tasks.task import ClassPredictions, TextPredictions

DIGEST = "a" * 64


def job_of(folder: Path, kind: Kind) -> Job:
    write_project(folder, kind)
    return open_job(tiny_config(folder), cache=folder / "cache")


def two_classifiers(job: Job) -> Predicted:
    """Of a task of three labels."""
    generator, truth = np.random.default_rng(0), np.array([LABELS.index(row.target) for row in job.splits.test])
    each = [generator.dirichlet(np.ones(3), len(truth)) for _ in range(2)]
    made = [ClassPredictions(LABELS, truth, one, -np.log(one[np.arange(len(truth)), truth])) for one in each]
    return Predicted(made[0], made[1], "head_only")


def two_writers(job: Job, answered: int) -> Predicted:
    references = tuple(row.target for row in job.splits.test[:answered])
    made = [
        TextPredictions(np.arange(24) * factor + 0.1, np.arange(24) + 1, answers, references)
        for factor, answers in ((1.0, references), (2.0, ("違う\nanswer",) * answered))
    ]
    return Predicted(made[0], made[1], "base")


@pytest.mark.parametrize(("kind", "answered"), [("new head", 0), ("generation", 0), ("generation", 3)])
def test_what_is_read_is_what_was_kept(tmp_path: Path, kind: Kind, answered: int) -> None:
    job = job_of(tmp_path, kind)
    predicted = two_writers(job, answered) if kind == "generation" else two_classifiers(job)
    rows, path = job.splits.test, tmp_path / "predictions.safetensors"
    save(keep(job, rows, predicted, before=DIGEST, after="b" * 64), path)
    first = path.read_bytes()
    kept = load(path)
    again = kept.predicted(rows)
    for old, new in ((predicted.before, again.before), (predicted.after, again.after)):
        assert type(new) is type(old)
        for name in old.__slots__:  # type: ignore[union-attr]
            assert np.array_equal(getattr(old, name), getattr(new, name)), name
    assert again.before_is == predicted.before_is
    assert (kept.about.base, kept.before.patch) == (job.base.fingerprint.whole, DIGEST)
    assert kept.places == tuple(row.place for row in rows)
    assert kept.after is not None
    assert predicted.after is not None
    task = job.config.task
    assert list(kept.after.measures) == list(metrics(task))
    for name, metric in metrics(task).items():
        assert np.array_equal(kept.after.measures[name], metric.rows(predicted.after))
    save(kept, path)
    assert path.read_bytes() == first
    for row in rows:
        assert row.input.encode() not in first
    with pytest.raises(IntegrityError, match="predictions of other rows"):
        kept.predicted(rows[1:])


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "new head"])
def test_a_model_alone_is_kept_too(tmp_path: Path, kind: Kind) -> None:
    job = job_of(tmp_path, kind)
    predicted, path = predict(job), tmp_path / "predictions.safetensors"
    save(keep(job, job.splits.test, predicted, before=None, after=None), path)
    kept = load(path)
    assert (kept.after, kept.before.patch) == (None, None)
    assert np.array_equal(kept.before.predictions.losses, predicted.before.losses)


def without(name: str) -> Callable[[dict[str, np.ndarray]], object]:
    return lambda arrays: arrays.pop(name)


def instead(name: str, array: np.ndarray) -> Callable[[dict[str, np.ndarray]], object]:
    return lambda arrays: arrays.update({name: array})


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (without("rows/key"), "'rows/key' is missing"),
        (without("before/tokens"), "'before/tokens' is missing"),
        (instead("after/losses", np.zeros(23)), r"float64 \[23\] stands where \[24\] must be"),
        (instead("after/losses", np.zeros(24, np.float32)), "array of float32"),
        (instead("rows/file", np.full(24, 7)), "out of range"),
        (instead("after/answer_ends", np.array([1, 2, 4])), "answers do not end where they say"),
        (instead("after/metric/chrf", np.zeros((5, 2))), "metric 'chrf' is of 5 rows"),
        (instead("after/answers", np.full(48, 255, np.uint8)), "can't decode|answers do not end"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    tmp_path: Path, spoil: Callable[[dict[str, np.ndarray]], object], what: str
) -> None:
    job = job_of(tmp_path, "generation")
    path = tmp_path / "predictions.safetensors"
    kept = keep(job, job.splits.test, two_writers(job, 3), before=None, after=DIGEST)
    save(kept, path)
    arrays = load_file(path)
    spoil(arrays)
    save_file(arrays, path, {"zogan": kept.about.model_dump_json()})
    with pytest.raises(IntegrityError, match=rf"predictions\.safetensors: holds no predictions: .*({what})"):
        load(path)


def test_what_is_no_such_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "predictions.safetensors"
    for content in (b"", b"{}", b"\x02\x00\x00\x00\x00\x00\x00\x00{}"):
        path.write_bytes(content)
        with pytest.raises(IntegrityError, match=r"holds no predictions: .*Delete it, and run `zogan evaluate`"):
            load(path)
