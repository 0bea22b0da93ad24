"""The probes of a run, as the stage `probe`: after the evaluation, on what it predicted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zogan.config import ProbesConfig, ProbeSection
from zogan.evaluate.predictions import load
from zogan.evaluate.probes.bench import System
from zogan.evaluate.probes.run import fits, probe, unprobed, wanted
from zogan.evaluate.protocol.protocol import deciding
from zogan.patch import Patch
from zogan.pilot.jobs import reads
from zogan.progress import Progress
from zogan.run import Run
from zogan.tasks.job import Job
from zogan.tasks.task import Predictions


def probe_run(run: Run, job: Job, progress: Progress) -> None:
    """Look for harm in a run's patch with the probes that are on; none where none is.

    Args:
        run: evaluated.
        job: what was tuned.
        progress: told of rows predicted.
    """
    given = job.config.probes
    if not wanted(given):
        return
    head = "head_only" in run.stages
    in_use = given.churn.patch or job.config.protocol.patch
    files = {"patch": run.patch, **({"before": run.before} if head else {}), **({"in_use": in_use} if in_use else {})}

    def make(path: Path) -> None:
        patch = Patch.load(run.patch)
        before = Patch.load(run.before) if head else None
        production = Patch.load(in_use) if in_use else None
        if not fits(job, [one for one in (before, patch, production) if one is not None]):
            path.write_text(unprobed(job, patch).dumps(), encoding="utf-8")
            return
        kept = load(run.predictions).predicted(job.splits.test)
        known: dict[System, Predictions] = {"before": kept.before}
        if kept.after is not None:
            known["after"] = kept.after
        found = probe(job, patch, before=before, production=production, known=known, progress=progress)
        path.write_text(found.dumps(), encoding="utf-8")
        run.verdict.unlink(missing_ok=True)  # of the readings that these replace

    settings = job.config.evaluate.model_dump(mode="json", exclude={"learning_curve"})
    read = {**reads(job), **files, "evaluate": settings, **_options(given)}
    read["metric"] = deciding(job.config).name
    read["columns"] = [row.columns for row in job.splits.test]
    read["places"] = [str(row.place) for row in job.splits.test]
    run.stage("probe", run.probes, read, make)


def _options(given: ProbesConfig) -> dict[str, Any]:
    """All that is asked of the probes; files by their content."""
    found: dict[str, Any] = {"seed": given.seed, "others": given.others}
    for name in type(given).model_fields:
        section = getattr(given, name)
        if isinstance(section, ProbeSection):
            paths = {key: value for key, value in section if isinstance(value, Path)}
            found[name] = section.model_dump(mode="json", exclude=set(paths))
            found |= {f"{name}.{key}": path for key, path in paths.items()}
    return found
