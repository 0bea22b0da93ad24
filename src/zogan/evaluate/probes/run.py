"""All probes over one patch: each model is loaded as seldom, and each row predicted as seldom, as can be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from zogan.config import Config, ProbesConfig, ProbeSection
from zogan.errors import ConfigError, nearest
from zogan.evaluate.predictions import BeforeIs
from zogan.evaluate.probes.bench import Bench, NotProbedError, System
from zogan.evaluate.probes.files import see_files
from zogan.evaluate.probes.reading import Probes, Reading
from zogan.evaluate.probes.registry import BUILT_IN, Probe, find, names
from zogan.evaluate.protocol.protocol import limited_probes
from zogan.evaluate.run import Adapt, made_for
from zogan.patch import Patch
from zogan.progress import Progress, Silent
from zogan.tasks.job import Job, open_job
from zogan.tasks.task import Predictions
from zogan.train.methods import load_adapters
from zogan.train.need import to_evaluate
from zogan.train.plan import plan_for

_TOO_LARGE = "Probes need the whole model in memory"


def probe(
    job: Config | Job,
    patch: Patch,
    *,
    before: Patch | None = None,
    production: Patch | None = None,
    only: Sequence[str] | None = None,
    adapt: Adapt | None = None,
    cache: Path | None = None,
    known: Mapping[System, Predictions] = MappingProxyType({}),
    progress: Progress | None = None,
) -> Probes:
    """Look for harm in a patch, with the probes that `probes:` leaves on.

    Args:
        job: what was tuned, or its configuration.
        patch: the result.
        before: where the task has a new head, the patch of `method: head`; absent, probes look at the patch alone, or
            do not run where they compare. Otherwise the base itself is what was before.
        production: the patch in use; `probes.churn.patch`, then `protocol.patch`, where absent.
        only: names of the probes to run, whatever the configuration leaves on; those of `probes:` where absent.
        adapt: attaches adapters; PEFT's where absent.
        cache: as in `open_job`.
        known: what models are known to say of the test rows, which is not predicted again.
        progress: told of rows predicted.

    Raises:
        ConfigError: no such probe; the whole model does not fit into the memory.
        ModelError: a patch of another task.
        IntegrityError: a patch of another base.
        DataError: a file that a probe reads cannot be read.
    """
    progress = progress or Silent()
    if isinstance(job, Config):
        job = open_job(job, cache=cache, progress=progress)
    wanted = _wanted(job.config.probes, only)
    if only is None:
        see_files(job.config)
    in_use = job.config.probes.churn.patch or job.config.protocol.patch
    if production is None and in_use is not None:
        production = Patch.load(in_use)
    for one in (before, patch, production):
        if one is not None:
            made_for(job, one)
    if not fits(job, [one for one in (before, patch, production) if one is not None]):
        raise ConfigError(
            f"{_TOO_LARGE[:1].lower()}{_TOO_LARGE[1:]}",
            where="budget.memory",
            todo="Give budget.memory more, or probe on a larger machine",
        )
    bench = Bench(
        job,
        patch,
        before=before,
        production=production,
        adapt=adapt or load_adapters,
        known=known,
        progress=progress,
    )
    readings: list[Reading] = []
    skipped: dict[str, str] = {}
    for found in wanted:
        if job.config.task not in found.tasks:
            skipped[found.name] = f"for {' and '.join(found.tasks)}"
            continue
        try:
            readings += found.look(bench, _options(job.config.probes, found.name))
        except NotProbedError as reason:
            skipped[found.name] = str(reason)
    before_is: BeforeIs | None = None if not bench.has("before") else "base" if before is None else "head_only"
    return _told(job, patch, before_is, readings, skipped)


def unprobed(job: Job, patch: Patch) -> Probes:
    """What stands in place of readings where the model does not fit into the memory."""
    skipped = {one.name: _TOO_LARGE for one in _wanted(job.config.probes, None)}
    return _told(job, patch, None, [], skipped)


def wanted(given: ProbesConfig) -> bool:
    """Whether any probe is on."""
    return bool(_wanted(given, None))


def _told(
    job: Job, patch: Patch, before_is: BeforeIs | None, readings: Sequence[Reading], skipped: Mapping[str, str]
) -> Probes:
    return Probes(
        task=job.config.task,
        patch=patch.digest,
        before_is=before_is,
        rows=len(job.splits.test),
        level=job.config.evaluate.level,
        seed=job.config.probes.seed,
        limits=limited_probes(job.config.probes),
        readings=tuple(readings),
        skipped=skipped,
    )


def _wanted(given: ProbesConfig, only: Sequence[str] | None) -> list[Probe]:
    """The probes to run, in their order."""
    known = names()
    for name in (*given.others, *(only or ())):
        if name not in known:
            raise ConfigError(f"no probe is called {name!r}", where="probes", todo=nearest(name, known))
    return [find(name) for name in known if (name in only if only is not None else _is_on(given, name))]


def _is_on(given: ProbesConfig, name: str) -> bool:
    if name not in BUILT_IN:
        return given.others.get(name) is not False
    section: ProbeSection = getattr(given, name)
    return section.run


def _options(given: ProbesConfig, name: str) -> Any:
    """A section of the configuration, or another package's options as they were given."""
    if name in BUILT_IN:
        return getattr(given, name)
    options = given.others.get(name)
    return options if isinstance(options, dict) else {}


def fits(job: Job, patches: Sequence[Patch]) -> bool:
    """Whether the whole model is in memory: probes read rows that no cache knows."""
    return plan_for(job, to_evaluate(job, "test", patches)) is None
