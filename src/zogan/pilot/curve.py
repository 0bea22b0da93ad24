"""The learning curve of a run: the same tuning on fewer rows, each run a stage that is kept."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from zogan.data.prepare import digest
from zogan.data.split import stratified
from zogan.evaluate.curve import NAME, curve_of
from zogan.evaluate.predictions import Predicted, keep, save
from zogan.evaluate.protocol.protocol import deciding
from zogan.evaluate.run import predict
from zogan.evaluate.statistics import check_sizes
from zogan.patch import Patch
from zogan.pilot.jobs import reads
from zogan.progress import Progress
from zogan.run import Run
from zogan.tasks.job import Job
from zogan.train import tune
from zogan.train.depth import selection_for
from zogan.train.job import config_digest
from zogan.train.methods import load_adapters

SHARES = {"quarter": 0.25, "half": 0.5, "all": 1.0}
"""Of the training rows."""

RUNS = 3
"""Of each size: fewer do not say how far another draw of rows moves a point. The run's own is the first on all."""


def learn_from_fewer(run: Run, job: Job, progress: Progress) -> None:
    """Tune and measure on a quarter, half and all of the training rows, where `evaluate.learning_curve` asks for it.

    Args:
        run: evaluated.
        job: what was tuned.
        progress: who is told how far it is.

    Raises:
        DataError: too few training rows for sizes that double.
    """
    if not job.config.evaluate.learning_curve:
        (run.folder / NAME).unlink(missing_ok=True)
        return
    jobs = {size: [_fewer(job, share, number) for number in range(RUNS)] for size, share in SHARES.items()}
    rows = {size: len(some[0].splits.train) for size, some in jobs.items()}
    sizes = (rows["quarter"], rows["half"], rows["all"])
    check_sizes(sizes)
    (run.folder / "curve").mkdir(exist_ok=True)
    files = {
        size: [
            run.predictions if SHARES[size] == 1 and not number else _learnt(run, one, f"{size}-{number}", progress)
            for number, one in enumerate(some)
        ]
        for size, some in jobs.items()
    }
    metric, settings = deciding(job.config), job.config.evaluate
    read = {
        "metric": metric.name,
        "settings": [settings.level, settings.resamples],
        "sizes": rows,
        "patch": run.patch,
        **{f"{size}/{place}": file for size, some in files.items() for place, file in enumerate(some)},
    }

    def make(path: Path) -> None:
        found = curve_of(
            list(files.values()),
            metric,
            sizes=sizes,
            settings=settings,
            seed=job.config.train.seed,
            patch=Patch.load(run.patch).digest,
        )
        path.write_text(found.dumps(), encoding="utf-8")

    run.stage("curve", run.folder / NAME, read, make)


def _fewer(job: Job, share: float, number: int) -> Job:
    """The job with its own draw of so many training rows, each class in proportion, and its own seed."""
    train = job.splits.train
    if share < 1:
        _, train = stratified(train, share, job.config.data.seed + number)
    parts = {"train": train, "validation": job.splits.validation, "test": job.splits.test}
    splits = replace(job.splits, train=train, digest=digest(parts))
    seeded = job.config.train.model_copy(update={"seed": job.config.train.seed + number})
    return Job(job.config.model_copy(update={"train": seeded}), job.base, splits, job.task, job.cache)


def _learnt(run: Run, job: Job, name: str, progress: Progress) -> Path:
    """The file of what a model that learned from these rows says of the test rows."""
    evaluate = job.config.evaluate.model_dump(mode="json", exclude={"learning_curve", "resamples", "level"})
    read = {**reads(job), "config": config_digest(job.config), "evaluate": evaluate}
    file = run.folder / "curve" / f"{name}.safetensors"

    def make(path: Path) -> dict[str, float]:
        checkpoint = run.checkpoint(read, f"curve/{name}")
        selection = selection_for(job, progress=progress) if job.config.method == "sparse" else None
        tuned = tune(job, selection=selection, checkpoint=checkpoint, progress=progress)
        said = predict(job, before=tuned.patch, adapt=load_adapters, progress=progress).before
        save(keep(job, job.splits.test, Predicted(said, None, "base"), before=tuned.patch.digest, after=None), path)
        shutil.rmtree(checkpoint)
        return {"seconds_before": tuned.seconds_before}

    progress.note(f"learning curve: {len(job.splits.train):,} training rows, {name}")
    run.stage(f"curve-{name.replace('-', ':')}", file, read, make)
    return file
