"""Folds: each is held out once, what they share is computed once, and a kill anywhere leaves the same bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import pytest
import torch

import data
from tiny import tiny_decoder, tiny_encoder
from zogan.data.folds import folds
from zogan.errors import ConfigError, DataError, IntegrityError
from zogan.progress import Silent
from zogan.tasks import open_job
from zogan.tasks.job import Job
from zogan.train import tune
from zogan.train.cost import volumes_of
from zogan.train.folds import tune_by_folds
from zogan.train.job import Tuned

FOLDS, EPOCHS = 3, 3

Task = Literal["classification", "generation"]


class Told(Silent):
    """Keeps what began, and stops the training of one run at a step."""

    def __init__(self, run: int = 0, step: int = 0) -> None:
        self.run, self.step, self.stages, self.notes = run, step, [""], [""]

    def start(self, stage: str, total: int) -> None:
        self.stages.append(stage)

    def advance(self, done: int, **figures: float) -> None:
        if self.stages[-1] == "tune" and self.stages.count("tune") == self.run and done == self.step:
            raise KeyboardInterrupt

    def note(self, message: str) -> None:
        self.notes.append(message)


def open_with(
    folder: Path,
    task: Task = "classification",
    method: str = "sparse",
    layers: int = 2,
    interpolate: int | None = None,
    **train: Any,
) -> Job:
    if not (folder / "base").exists():
        (tiny_encoder if task == "classification" else tiny_decoder)(folder / "base", layers=layers, width=16)
        data.write_splits(folder, task, train=30, validation=3, test=6)
    config = data.make_config(
        folder,
        task,
        data={"train": "train.jsonl", "test": "test.jsonl"},
        method=method,
        budget={"density": 0.05, "depth": 1} if method == "sparse" else {},
        select={"batches": 2},
        regularize={"r_drop": 0.0, "interpolate": interpolate},
        lora={"rank": 2},
        train={"epochs": EPOCHS, "batch_size": 8, "rate": 0.01, "folds": FOLDS, "checkpoint_seconds": 0.0, **train},
    )
    return open_job(config, cache=folder / "cache")


def saved(tuned: Tuned, path: Path) -> bytes:
    tuned.patch.save(path)
    return path.read_bytes()


def lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]


def test_all_rows_train_for_as_many_epochs_as_the_folds_say(tmp_path: Path) -> None:
    job, listener, log = open_with(tmp_path), Told(), tmp_path / "metrics.jsonl"
    assert (len(job.splits.train), job.splits.validation, job.splits.cut) == (30, (), ())
    tuned = tune(job, log=log, progress=listener)
    folded = tuned.folds
    assert folded is not None
    assert [len(fold) for fold in folded.folds] == [EPOCHS] * FOLDS
    assert len(tuned.epochs) == folded.epochs
    assert [epoch.validation_loss for epoch in tuned.epochs] == [mean.loss for mean in folded.means[: folded.epochs]]
    assert tuned.epochs[-1].best, "the last values are those that are kept"
    assert listener.stages.count("tune") == FOLDS + 1
    told = lines(log)
    assert [line["fold"] for line in told if line["kind"] == "fold"] == [1] * EPOCHS + [2] * EPOCHS + [3] * EPOCHS
    assert told[-1] == {"kind": "folds", **folded.as_json()}
    assert sum(line["kind"] == "epoch" for line in told) == folded.epochs
    assert any(note.startswith("3 folds: ") for note in listener.notes)


def test_folds_say_how_far_from_the_old_values_the_last_run_goes(tmp_path: Path) -> None:
    whole, listener, log = tune(open_with(tmp_path, "generation")), Told(), tmp_path / "metrics.jsonl"
    tuned = tune(open_with(tmp_path, "generation", interpolate=2), log=log, progress=listener)
    assert tuned.folds is not None
    assert tuned.interpolation == tuned.folds.points
    assert [point.share for point in tuned.interpolation] == [0.0, 0.5, 1.0, 1.5]
    share = next(point.share for point in tuned.interpolation if point.best)
    assert share not in (0, 1), "it shows nothing here"
    assert any(f"{share:.0%} of the way" in note for note in listener.notes)
    assert [line["share"] for line in lines(log) if line["kind"] == "interpolation"] == [0.0, 0.5, 1.0, 1.5]
    for name, change in whole.patch.changes.items():
        expected = change.old + share * (change.new - change.old)
        torch.testing.assert_close(tuned.patch.changes[name].new, expected, rtol=0, atol=1e-6)


def test_each_point_is_the_mean_of_what_the_folds_validate_there(tmp_path: Path) -> None:
    job = open_with(tmp_path, interpolate=2)
    folded = tune(job).folds
    assert folded is not None
    ends = {point.share: point for point in folded.points}
    assert ends[1.0].validation_score == folded.means[folded.epochs - 1].score
    assert len({point.validation_loss for point in folded.points}) == len(folded.points)


def test_the_prefix_cache_is_computed_once_for_all(tmp_path: Path) -> None:
    listener = Told()
    tune(open_with(tmp_path), progress=listener)
    assert listener.stages.count("cache") == 1
    assert len([path for path in (tmp_path / "cache" / "prefix").iterdir() if path.is_dir()]) == 1


def test_a_part_has_the_rows_and_states_of_the_whole(tmp_path: Path) -> None:
    job = open_with(tmp_path)
    held_out = folds(job.splits.train, FOLDS, seed=0, where="train.folds")[1]
    part = job.holding_out(held_out)
    assert part.splits.validation == tuple(job.splits.train[row] for row in held_out)
    assert sorted((*part.splits.train, *part.splits.validation), key=lambda row: row.place.line) == list(
        job.splits.train
    )
    assert part.splits.digest != job.splits.digest
    splits: tuple[Literal["train", "validation"], ...] = ("train", "validation")
    for split in splits:
        fresh = Job(job.config, job.base, part.splits, job.task, job.cache)
        assert part.examples(split) == fresh.examples(split)
        assert part.under(job.config).part == part.part


@pytest.mark.parametrize(
    ("task", "method", "interpolate", "run", "step"),
    [
        ("classification", "sparse", None, 1, 2),
        ("classification", "sparse", 2, 3, 6),
        ("classification", "sparse", 2, FOLDS + 1, 2),
        ("classification", "head", None, 2, 1),
        ("generation", "lora", 2, 2, 5),
    ],
)
def test_a_killed_run_gives_the_same_patch_and_finished_folds_are_not_run_again(
    tmp_path: Path, task: Task, method: str, interpolate: int | None, run: int, step: int
) -> None:
    job, state = open_with(tmp_path, task, method, interpolate=interpolate), tmp_path / "state"
    whole = tune(job, log=tmp_path / "whole.jsonl")
    with pytest.raises(KeyboardInterrupt):
        tune(job, checkpoint=state, log=tmp_path / "killed.jsonl", progress=Told(run, step))
    torch.manual_seed(5)
    listener = Told()
    resumed = tune(job, checkpoint=state, log=tmp_path / "killed.jsonl", progress=listener)
    assert listener.stages.count("tune") == FOLDS + 1 - (run - 1)
    assert resumed.seconds_before > 0
    assert saved(resumed, tmp_path / "resumed") == saved(whole, tmp_path / "whole")
    without = [
        [{key: value for key, value in line.items() if key != "seconds"} for line in lines(tmp_path / name)]
        for name in ("whole.jsonl", "killed.jsonl")
    ]
    assert without[0] == without[1]
    assert saved(tune(job, checkpoint=state), tmp_path / "again") == saved(whole, tmp_path / "whole")


def test_folds_of_another_run_are_not_taken_up(tmp_path: Path) -> None:
    state = tmp_path / "state"
    tune(open_with(tmp_path, method="head"), checkpoint=state)
    listener = Told()
    tune(open_with(tmp_path, method="head", head_rate=0.1), checkpoint=state, progress=listener)
    assert listener.stages.count("tune") == FOLDS + 1
    (state / "fold-2.json").write_text('{"key"', encoding="utf-8")
    with pytest.raises(IntegrityError, match=r"fold-2\.json: cannot be read"):
        tune(open_with(tmp_path, method="head", head_rate=0.1), checkpoint=state)


def test_an_estimate_counts_the_folds(tmp_path: Path) -> None:
    with_folds, whole = volumes_of(open_with(tmp_path)), volumes_of(open_with(tmp_path, folds=None))
    assert whole.training.targets < 30 * EPOCHS, "rows are cut for validation"
    assert with_folds.training.targets == FOLDS * 30 * EPOCHS
    assert with_folds.validation.targets == 30 * EPOCHS
    assert with_folds.cache.targets == 30
    assert volumes_of(open_with(tmp_path, interpolate=2)).validation.targets == 30 * EPOCHS * (1 + 4)


def test_what_cannot_be_folded_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"train\.folds: 30 different inputs.* cannot be cut into 31 folds"):
        tune(open_with(tmp_path, method="head", folds=31))
    with pytest.raises(ConfigError, match=r"train\.folds is for where there is no validation file"):
        data.make_config(tmp_path, data={"train": "train.jsonl", "validation": "validation.jsonl"}, train={"folds": 2})
    with pytest.raises(ConfigError, match=r"train\.folds: is not given"):
        tune_by_folds(open_with(tmp_path, folds=None), None, checkpoint=None, log=None, progress=Silent())
