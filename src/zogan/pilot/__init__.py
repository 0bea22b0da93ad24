"""The main job: data, selection, training, patch, evaluation, probes, verdict, report, in order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import partial as bound
from pathlib import Path
from typing import Any, Literal

import yaml

import zogan
from zogan.config import Config
from zogan.data.external import load_external
from zogan.environment import environment
from zogan.errors import IntegrityError, RunError
from zogan.evaluate.evidence import what_is_measured
from zogan.evaluate.predictions import keep, load, save
from zogan.evaluate.probes.files import see_files
from zogan.evaluate.protocol.protocol import Protocol, in_full
from zogan.evaluate.protocol.sample import digest_of_test, sample
from zogan.evaluate.run import Pair, measure
from zogan.patch import Patch
from zogan.patch.meta import learnt_from
from zogan.pilot.curve import learn_from_fewer
from zogan.pilot.given import fitting, of_one_kind, take
from zogan.pilot.jobs import HEAD_ONLY, full_job, head_job, reads, seeded
from zogan.pilot.place import Place
from zogan.pilot.probes import probe_run
from zogan.pilot.temperature import with_temperature
from zogan.pilot.verdict import judge_run, write_terms
from zogan.progress import Progress, Silent
from zogan.report.documents import Document, documents, drop_other
from zogan.report.record import Record, inputs, read
from zogan.run import Run
from zogan.select.storage import load_selection, save_selection
from zogan.tasks import open_job
from zogan.tasks.job import Job
from zogan.train import tune
from zogan.train.calibration import calibrate, kinds_for
from zogan.train.depth import deepest, selection_for, selection_reads
from zogan.train.estimator import Estimator, Setting
from zogan.train.job import config_digest, selection_digest
from zogan.train.methods import load_adapters
from zogan.train.need import to_evaluate, to_tune
from zogan.train.plan import plan_for
from zogan.weights import headers

Looked = Callable[[str, str], None]
"""Told of each look at the test rows: digests of the patch and of the rows, SHA-256 in hex."""

Until = Literal["data", "select", "tune", "evaluate", "probe", "verdict", "report"]
_ORDER: tuple[Until, ...] = ("data", "select", "tune", "evaluate", "probe", "verdict", "report")

__all__ = ["HEAD_ONLY", "Looked", "Until", "judge_run", "pilot"]


def pilot(
    config: Config,
    *,
    until: Until = "report",
    given: Path | None = None,
    progress: Progress = Silent(),
    looked: Looked | None = None,
    beside: Path | None = None,
) -> Run:
    """Run the stages up to `until`; those that stand already are kept.

    Args:
        config: the whole configuration.
        until: the last stage to run.
        given: a patch to judge as it is, in place of selecting and tuning one: such as that of a stack, composed.
        progress: who is told how far it is.
        looked: called when a patch was measured on the test rows, before its figures are written; figures that stand
            already are no new look.
        beside: folder of the configuration, where a frozen protocol is looked for besides the run's own.

    Returns:
        The run: its folder, its files, and what became of each stage.

    Raises:
        ZoganError: configuration, data or base are not as they must be; the folder is in use; disk or memory are too
            small for one of the stages; the given patch is not of this base and task.
    """
    last = _ORDER.index(until)
    with Run(config.output) as run:
        of_one_kind(run, given=given is not None)
        job = open_job(config, progress=progress)
        patch = None if given is None else fitting(job, given)
        protocol = in_full(job)
        jobs: list[tuple[int | None, Job]] = [(None, job), *seeded(job).items()]
        run.need(_bytes_wanted(job, patch))
        if last >= _ORDER.index("evaluate"):
            see_files(config)
        _plan(run, job, until, patch)
        _data(run, job)
        if last >= _ORDER.index("tune") and given is None:
            _estimate(run, job, progress)
        # The run's own seed goes first, and alone where nothing is judged.
        judged = last >= _ORDER.index("evaluate")
        places = {Place(run, seed): one for seed, one in jobs if seed is None or judged}
        own, *_ = places
        stages: list[Callable[[], None]] = [
            lambda: _each(_select, places, progress) if given is None else None,
            lambda: _each(_tune, places, progress) if given is None else _given(own, job, given, progress),
            lambda: _evaluate(job, protocol, places, progress, looked=looked, beside=beside),
            lambda: _probe(run, job, progress),
            lambda: _verdict(run),
            lambda: _report(run, job, progress),
        ]
        for stage in stages[:last]:
            stage()
    return run


def _each(stage: Callable[[Place, Job, Progress], None], places: Mapping[Place, Job], progress: Progress) -> None:
    for place, job in places.items():
        stage(place, job, progress)


def _plan(run: Run, job: Job, until: Until, given: Patch | None) -> None:
    """Refuse before anything is done what would not fit into the memory hours later, or has no rows."""
    last, head, full, job = _ORDER.index(until), head_job(job), full_job(job), deepest(job)
    if last >= _ORDER.index("select") and given is None and not run.patch.exists():
        plan_for(job, to_tune(job))
    if last >= _ORDER.index("tune") and head is not None and not run.before.exists():
        plan_for(head, to_tune(head))
    if last >= _ORDER.index("evaluate") and not run.evaluation.exists():
        sample(job.splits.test, job.config.protocol.slices)
        plan_for(job, to_evaluate(job, patches=None if given is None else [given]))
        if full is not None:
            plan_for(full, to_tune(full))
            plan_for(full, to_evaluate(full))


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
    findings: list[dict[str, Any]] = [found.model_dump(mode="json") for found in (*splits.dropped, *splits.noted)]
    about: dict[str, Any] = {"rows": rows, "labels": list(splits.labels), "cut": list(splits.cut), "findings": findings}
    external = load_external(job.config, splits)
    if external:
        about["external"] = {one.name: len(one.rows) for one in external}
        about["findings"] += [found.model_dump(mode="json") for one in external for found in one.findings]
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
    # What a report holds the cost against; its pace was measured for the methods that are made of it.
    whole = estimator.estimate(Setting("full")).as_json() if "full" in estimator.calibration.paces else None
    run.write("estimate.json", {"of": of, **found.as_json(), "full": whole})


def _taken(seconds: float, peak_bytes: int) -> str:
    return f"{seconds:.0f} s and {peak_bytes / 1e9:.2f} GB"


def _select(place: Place, job: Job, progress: Progress) -> None:
    if job.config.method != "sparse":
        return
    read = {**reads(job), **selection_reads(job.config)}
    file = place.first if job.config.train.reselect else place.selection
    name = place.stage("select")
    place.run.stage(name, file, read, lambda path: save_selection(selection_for(job, progress=progress), path))


def _tune(place: Place, job: Job, progress: Progress) -> None:
    run = place.run
    _head_only(place, job, progress)
    held_out = _held_out(job)
    reselects = job.config.method == "sparse" and job.config.train.reselect > 0
    chosen = place.first if reselects else place.selection
    selection = load_selection(chosen) if job.config.method == "sparse" else None
    read = {**reads(job), "config": config_digest(job.config), "held_out": held_out}
    if selection is not None:
        read["selection"] = chosen
    if reselects and not _stands(place):
        place.patch.unlink(missing_ok=True)  # it is made again from its checkpoint, and the selection with it

    def make(path: Path) -> dict[str, Any]:
        tuned = tune(
            job,
            selection=selection,
            checkpoint=run.checkpoint(read, place.checkpoint()),
            log=place.folder / "metrics.jsonl",
            progress=progress,
        )
        if tuned.selection is not None:  # what trained in the end; before the patch, with which the stage is done
            save_selection(tuned.selection, place.selection)
        with_temperature(job, tuned.patch, progress).save(path)
        run.forget_judgement()
        if place.seed is not None:
            return {"seconds_before": tuned.seconds_before}
        return {
            "trainable": tuned.trainable,
            "model_parameters": tuned.parameters,
            "base_bytes": sum(info.nbytes for info in headers(job.base.folder).values()),
            "seconds_before": tuned.seconds_before,
        }

    run.stage(place.stage("tune"), place.patch, read, make)
    if place.seed is None and run.stages["tune"] == "done":
        taken = run.costs("select", "tune")
        said = run.read("estimate.json")
        progress.note(
            f"tuning took {_taken(taken.wall_seconds, taken.peak_bytes)}; "
            f"estimated for all {job.config.train.epochs} epochs: {_taken(said['seconds'], said['peak_bytes'])}"
        )


def _given(place: Place, job: Job, file: Path, progress: Progress) -> None:
    """What a given patch needs in place of tuning: the head that it is compared with, and its copy."""
    _head_only(place, job, progress)
    take(place.run, job, file, reads(job))


def _head_only(place: Place, job: Job, progress: Progress) -> None:
    head = head_job(job)
    if head is not None:
        read = {**reads(job), "config": config_digest(head.config), "held_out": _held_out(job)}
        name = place.stage("head_only")
        place.run.stage(name, place.before, read, lambda path: tune(head, progress=progress).patch.save(path))


def _held_out(job: Job) -> dict[str, Any]:
    """Validation rows in one batch: their features and figures, and so the best epoch, hang on it by rounding."""
    return job.config.evaluate.model_dump(mode="json", include={"batch_size", "tokens_per_batch"})


def _full(place: Place, job: Job, progress: Progress) -> None:
    """Full fine-tuning, where the protocol holds the patch against it."""
    full = full_job(job)
    if full is None:
        return
    read = {**reads(job), "config": config_digest(full.config), "held_out": _held_out(job)}

    def make(path: Path) -> dict[str, Any]:
        checkpoint = place.run.checkpoint(read, place.checkpoint("checkpoint-full"))
        tuned = tune(full, checkpoint=checkpoint, log=place.folder / "full.jsonl", progress=progress)
        tuned.patch.save(path)
        return {"seconds_before": tuned.seconds_before}

    place.run.stage(place.stage("full"), place.full, read, make)


def _stands(place: Place) -> bool:
    """Whether the selection is the one that the patch beside it was trained with in the end."""
    if not (place.patch.is_file() and place.selection.is_file()):
        return False
    try:
        return selection_digest(load_selection(place.selection)) == Patch.load(place.patch).meta.hashes.get("selection")
    except IntegrityError:
        return False


def _evaluate(
    job: Job,
    protocol: Protocol,
    places: Mapping[Place, Job],
    progress: Progress,
    *,
    looked: Looked | None,
    beside: Path | None,
) -> None:
    own, *_ = places
    run = own.run
    _each(_full, places, progress)
    write_terms(run, protocol, sample(job.splits.test, job.config.protocol.slices), beside)
    external = load_external(job.config, job.splits)
    in_use = job.config.protocol.patch
    head = "head_only" in run.stages
    by_seed = {one.config.train.seed: place for place, one in places.items()}
    files = {"patch": run.patch}
    for seed, place in by_seed.items():
        files |= {f"patch:{seed}": place.patch}
        files |= {f"before:{seed}": place.before} if head else {}
        files |= {f"full:{seed}": place.full} if protocol.against == "full" else {}
    files |= {"in_use": in_use} if in_use is not None else {}

    def rival(place: Place) -> Patch | None:
        file = {"base": None, "head_only": place.before, "full": place.full, "production": in_use}[protocol.against]
        return None if file is None else Patch.load(file)

    def make(path: Path) -> dict[str, Any]:
        before = Patch.load(run.before) if head else None
        patch = Patch.load(run.patch)
        pairs: list[Pair] = [(rival(by_seed[seed]), Patch.load(by_seed[seed].patch)) for seed in protocol.seeds]
        found = measure(
            job,
            patch,
            before=before,
            protocol=protocol,
            pairs=pairs,
            external=external,
            # Of rows that the patch may never have seen there is no gap.
            learnt="tune" in run.stages or learnt_from(patch.meta.hashes, job.splits.digest),
            adapt=load_adapters,
            progress=progress,
        )
        if looked is not None:
            looked(patch.digest, digest_of_test(job.splits.test))
        digest = None if before is None else before.digest
        save(keep(job, job.splits.test, found.predicted, before=digest, after=patch.digest), run.predictions)
        path.write_text(found.evaluation.dumps(), encoding="utf-8")
        run.verdict.unlink(missing_ok=True)  # of the figures that these replace
        return {"latency_ms": found.latency_ms}

    read = {**reads(job), **files, "evaluate": job.config.evaluate.model_dump(mode="json", exclude={"learning_curve"})}
    read["protocol"] = what_is_measured(protocol)
    # Its examples name the rows by file and line.
    read["places"] = [str(row.place) for row in job.splits.test]
    if external:
        read["external"] = [[one.name, one.note, one.digest] for one in external]
    if not _said(run):
        run.evaluation.unlink(missing_ok=True)  # it is made again, and the predictions with it
    run.stage("evaluate", run.evaluation, read, make)


def _said(run: Run) -> bool:
    """Whether what the models said is kept whole."""
    try:
        load(run.predictions)
    except IntegrityError:
        return False
    return True


def _probe(run: Run, job: Job, progress: Progress) -> None:
    probe_run(run, job, progress)
    learn_from_fewer(run, job, progress)


def _verdict(run: Run) -> None:
    judge_run(run)


def _report(run: Run, job: Job, progress: Progress) -> None:
    """Write each document as a stage of its own, named as its file is."""
    language = job.config.language
    record = read(run.folder)
    found = documents(record, language)
    run.forget_others(but=[document.name for document in found])
    record = replace(record, costs=run.read("costs.json"))
    costs = {**record.costs, "stages": record.stages}
    files = {path.name: path for path in inputs(run.folder)}
    read_by_all: dict[str, Any] = {"zogan": zogan.__version__, "costs": costs, "rows": job.splits.digest, **files}
    if record.registered is not None:
        read_by_all["registered"] = asdict(record.registered)
    progress.start("report", len(found))
    for done, one in enumerate(found, 1):
        run.stage(
            one.name, run.folder / one.name, {**read_by_all, "language": one.language}, bound(_write, one, record)
        )
        progress.advance(done)
    drop_other(run.folder, language)


def _write(document: Document, record: Record, path: Path) -> None:
    document.write(record, document.language, path)


def _bytes_wanted(job: Job, given: Patch | None) -> int:
    """Checkpoint, best values and patch at their largest, or the given patch, with a margin for the report."""
    weights = sum(info.numel for info in headers(job.base.folder).values())
    share = {"sparse": job.config.budget.density, "full": 1.0}.get(job.config.method, 0.02)
    if job.config.second_stage:  # a checkpoint of its own, with adapters
        share = 2 * share + 0.02
    # Per trained weight: values, two moments and a mean in the checkpoint (written beside the old one), the best, old
    # and new.
    kept = 4 if job.config.regularize.average else 3
    places = 2 if job.config.method == "sparse" and job.config.train.reselect else 0  # and ages; int64
    of_one = weights * share * 4 * (2 * (kept + 2 * places) + 1 + places + 2) if given is None else given.nbytes
    if job.config.protocol.against == "full" and job.config.method != "full":
        of_one += weights * 4 * (2 * kept + 3)
    return int(of_one * len(job.config.protocol.seeds or (0,))) + 20_000_000
