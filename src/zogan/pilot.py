"""The main job: data, selection, training, patch, evaluation, report, in order."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import yaml

from zogan.config import AdaptersConfig, BudgetConfig, Config, LoraConfig, RegularizeConfig, SelectConfig
from zogan.environment import environment
from zogan.errors import IntegrityError, RunError
from zogan.evaluate import evaluate
from zogan.evaluate.predictions import keep, load, save
from zogan.evaluate.protocol.sample import digest_of_test
from zogan.evaluate.run import predict
from zogan.patch import Patch
from zogan.progress import Progress, Silent
from zogan.report import write as write_report
from zogan.run import Run
from zogan.select.storage import load_selection, save_selection
from zogan.tasks import open_job
from zogan.tasks.classification import Classification
from zogan.tasks.job import Job
from zogan.train import tune
from zogan.train.calibration import calibrate, kinds_for
from zogan.train.depth import deepest, selection_for, selection_reads
from zogan.train.estimator import Estimator
from zogan.train.job import config_digest, selection_digest
from zogan.train.methods import load_adapters
from zogan.train.need import to_evaluate, to_tune
from zogan.train.plan import plan_for
from zogan.weights import headers

Looked = Callable[[str, str], None]
"""Told of each look at the test rows: digests of the patch and of the rows, SHA-256 in hex."""

Until = Literal["data", "select", "tune", "evaluate", "report"]
_ORDER: tuple[Until, ...] = ("data", "select", "tune", "evaluate", "report")
_BESIDE = (".json", ".txt", ".jinja", ".model")

HEAD_ONLY = {
    "epochs": 60,
    "patience": 8,
    "head_rate": 0.01,
    "head_start": "normal",
    "head_warmup": 0.0,
    "batch_size": 32,
    "tokens_per_batch": None,
    "weight_decay": 0.0,
    "reselect": 0,
    "reselect_share": 0.3,
}
"""The reference that a new head is held against: fitted to the end on frozen features, which costs seconds."""


def pilot(
    config: Config, *, until: Until = "report", progress: Progress = Silent(), looked: Looked | None = None
) -> Run:
    """Run the stages up to `until`; those that stand already are kept.

    Args:
        config: the whole configuration.
        until: the last stage to run.
        progress: who is told how far it is.
        looked: called when a patch was measured on the test rows, before its figures are written; figures that stand
            already are no new look.

    Returns:
        The run: its folder, its files, and what became of each stage.

    Raises:
        ZoganError: configuration, data or base are not as they must be; the folder is in use; disk or memory are too
            small for one of the stages.
    """
    last = _ORDER.index(until)
    with Run(config.output) as run:
        job = open_job(config, progress=progress)
        run.need(_bytes_wanted(job))
        _plan(run, job, until)
        _data(run, job)
        if last >= _ORDER.index("tune"):
            _estimate(run, job, progress)
        for stage in (_select, _tune, partial(_evaluate, looked=looked), _report)[:last]:
            stage(run, job, progress)
    return run


def _plan(run: Run, job: Job, until: Until) -> None:
    """Refuse before anything is done what would not fit into the memory hours later."""
    last, head, job = _ORDER.index(until), _head_job(job), deepest(job)
    if last >= _ORDER.index("select") and not run.patch.exists():
        plan_for(job, to_tune(job))
    if last >= _ORDER.index("tune") and head is not None and not run.before.exists():
        plan_for(head, to_tune(head))
    if last >= _ORDER.index("evaluate") and not run.predictions.exists():
        plan_for(job, to_evaluate(job))


def _data(run: Run, job: Job) -> None:
    if (run.folder / "zogan.yaml").exists() and not (run.folder / "environment.json").exists():
        raise RunError(
            "holds a zogan.yaml that no run wrote, and a run's own would replace it",
            where=str(run.folder),
            todo="Name a folder for the run alone with --set output=…",
        )
    run.write("environment.json", environment())
    splits = job.splits
    rows = {name: len(getattr(splits, name)) for name in ("train", "validation", "test")}
    findings = [found.model_dump(mode="json") for found in (*splits.dropped, *splits.noted)]
    about = {"rows": rows, "labels": list(splits.labels), "cut": list(splits.cut), "findings": findings}
    run.write("data.json", {**about, "digest": splits.digest})
    settings = job.config.in_full().model_dump(mode="json")
    run.write("zogan.yaml", yaml.safe_dump(settings, sort_keys=False, allow_unicode=True))


def _estimate(run: Run, job: Job, progress: Progress) -> None:
    """Say once, before anything is run, what tuning will take."""
    of = [job.base.fingerprint.whole, job.splits.digest, config_digest(job.config)]
    if run.read("estimate.json").get("of") == of:
        return
    estimator = Estimator(job, calibrate(job, kinds_for(job.config.method), progress=progress))
    found = estimator.estimate(estimator.configured())
    label = found.setting.label(len(estimator.form.layers))
    progress.note(f"tuning ({label}) will take about {_taken(found.seconds, found.peak_bytes)}")
    run.write("estimate.json", {"of": of, **found.as_json()})


def _taken(seconds: float, peak_bytes: int) -> str:
    return f"{seconds:.0f} s and {peak_bytes / 1e9:.2f} GB"


def _select(run: Run, job: Job, progress: Progress) -> None:
    if job.config.method != "sparse":
        return
    reads = {**_reads(job), **selection_reads(job.config)}
    file = run.first if job.config.train.reselect else run.selection
    run.stage("select", file, reads, lambda path: save_selection(selection_for(job, progress=progress), path))


def _tune(run: Run, job: Job, progress: Progress) -> None:
    # Validation rows in one batch: their features and figures, and so the best epoch, hang on it by rounding.
    held_out = job.config.evaluate.model_dump(mode="json", include={"batch_size", "tokens_per_batch"})
    head = _head_job(job)
    if head is not None:
        reads = {**_reads(job), "config": config_digest(head.config), "held_out": held_out}
        run.stage("head_only", run.before, reads, lambda path: tune(head, progress=progress).patch.save(path))
    reselects = job.config.method == "sparse" and job.config.train.reselect > 0
    chosen = run.first if reselects else run.selection
    selection = load_selection(chosen) if job.config.method == "sparse" else None
    reads = {**_reads(job), "config": config_digest(job.config), "held_out": held_out}
    if selection is not None:
        reads["selection"] = chosen
    if reselects and not _stands(run):
        run.patch.unlink(missing_ok=True)  # it is made again from its checkpoint, and the selection with it

    def make(path: Path) -> dict[str, Any]:
        tuned = tune(
            job,
            selection=selection,
            checkpoint=run.checkpoint(reads),
            log=run.folder / "metrics.jsonl",
            progress=progress,
        )
        if tuned.selection is not None:  # what trained in the end; before the patch, with which the stage is done
            save_selection(tuned.selection, run.selection)
        tuned.patch.save(path)
        for file in (run.predictions, run.evaluation):  # of the patch that this one replaces
            file.unlink(missing_ok=True)
        return {
            "trainable": tuned.trainable,
            "model_parameters": tuned.parameters,
            "base_bytes": sum(info.nbytes for info in headers(job.base.folder).values()),
            "seconds_before": tuned.seconds_before,
        }

    run.stage("tune", run.patch, reads, make)
    if run.stages["tune"] == "done":
        taken = run.costs("select", "tune")
        said = run.read("estimate.json")
        progress.note(
            f"tuning took {_taken(taken.wall_seconds, taken.peak_bytes)}; "
            f"estimated for all {job.config.train.epochs} epochs: {_taken(said['seconds'], said['peak_bytes'])}"
        )


def _stands(run: Run) -> bool:
    """Whether the run's selection is the one that its patch was trained with in the end."""
    if not (run.patch.is_file() and run.selection.is_file()):
        return False
    try:
        return selection_digest(load_selection(run.selection)) == Patch.load(run.patch).meta.hashes.get("selection")
    except IntegrityError:
        return False


def _predict(run: Run, job: Job, progress: Progress) -> None:
    """What both models say of the test rows: said once, and read by whatever measures it."""

    def make(path: Path) -> None:
        before = Patch.load(run.before) if "head_only" in run.stages else None
        patch, rows = Patch.load(run.patch), job.splits.test
        predicted = predict(job, patch, before=before, adapt=load_adapters, progress=progress)
        save(keep(job, rows, predicted, before=before.digest if before else None, after=patch.digest), path)

    asked = job.config.evaluate.model_dump(mode="json", exclude={"level", "resamples"})
    reads = {**_reads(job), "patch": run.patch, "evaluate": asked}
    reads["places"] = [str(row.place) for row in job.splits.test]
    if "head_only" in run.stages:
        reads["before"] = run.before
    run.stage("predict", run.predictions, reads, make)


def _evaluate(run: Run, job: Job, progress: Progress, *, looked: Looked | None = None) -> None:
    _predict(run, job, progress)

    def make(path: Path) -> None:
        kept = load(run.predictions)
        evaluation = evaluate(job, predicted=kept.predicted(job.splits.test), progress=progress)
        if looked is not None and kept.after is not None and kept.after.patch is not None:
            looked(kept.after.patch, digest_of_test(job.splits.test))
        path.write_text(evaluation.model_dump_json(indent=2) + "\n", encoding="utf-8")

    reads = {**_reads(job), "predictions": run.predictions, "evaluate": job.config.evaluate.model_dump(mode="json")}
    run.stage("evaluate", run.evaluation, reads, make)


def _report(run: Run, job: Job, progress: Progress) -> None:
    progress.note("writing the report")
    run.forget_others()
    write_report(run.folder, job.config.language)
    run.stages["report"] = "done"


def _head_job(job: Job) -> Job | None:
    """What fits the new head that is compared with; None where the base keeps its own, or has none."""
    if not isinstance(job.task, Classification) or job.task.keeps_head:
        return None
    return job.under(_head_only(job.config))


def _head_only(config: Config) -> Config:
    """The same for every method and selection, so that it is fitted once; the memory changes no byte of it."""
    train = config.train.model_copy(update={**HEAD_ONLY, "rate": None, "cache": "auto", "cache_dtype": None})
    budget = BudgetConfig(memory=config.budget.memory)
    others = {
        "select": SelectConfig(),
        "budget": budget,
        "regularize": RegularizeConfig(),
        "lora": LoraConfig(),
        "adapters": AdaptersConfig(),
    }
    return config.model_copy(update={"method": "head", "train": train, **others})


def _reads(job: Job) -> dict[str, Any]:
    # The fingerprint is of the weights; tokenizer, chat template and configuration lie beside them.
    beside = [file for file in job.base.folder.iterdir() if file.suffix in _BESIDE and not file.match("*.index.json")]
    return {
        "base": job.base.fingerprint.whole,
        "data": job.splits.digest,
        "task": job.task.describe(),
        **{f"base/{file.name}": file for file in beside},
    }


def _bytes_wanted(job: Job) -> int:
    """Checkpoint, best values and patch at their largest, with a margin for the report."""
    weights = sum(info.numel for info in headers(job.base.folder).values())
    share = {"sparse": job.config.budget.density, "full": 1.0}.get(job.config.method, 0.02)
    if job.config.second_stage:  # a checkpoint of its own, with adapters
        share = 2 * share + 0.02
    # Per trained weight: values, two moments and a mean in the checkpoint (written beside the old one), the best, old
    # and new.
    kept = 4 if job.config.regularize.average else 3
    places = 2 if job.config.method == "sparse" and job.config.train.reselect else 0  # and ages; int64
    return int(weights * share * 4 * (2 * (kept + 2 * places) + 1 + places + 2)) + 20_000_000
