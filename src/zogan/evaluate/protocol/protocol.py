"""The protocol in full: nothing in it is left open, so that the same protocol is always the same text."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, model_serializer

from zogan.config import Against, Config, LimitsConfig, ProbesConfig, ProbeSection, RollbackConfig, SliceConfig
from zogan.data.external import load_external
from zogan.errors import ConfigError, nearest
from zogan.evaluate.document import Part
from zogan.evaluate.metrics import Metric, metrics
from zogan.patch.meta import Sha256, Size, canonical
from zogan.patch.summary import describe
from zogan.tasks.job import Job

_LATER = ("external", "probes")


class ExternalTerms(Part):
    """An external set of the protocol: what the figure must be there, and its rows by their SHA-256."""

    floor: float
    rows: Size
    sha256: Sha256


class Protocol(BaseModel):
    """What good enough means. The keys are those of `protocol:`, with what was left open filled in.

    Attributes:
        base: fingerprint of the base.
        patch: against production, digest of the patch in use; else None.
        correction: of `alpha` over the claim and all floors. Holm, Scand. J. Statist. 6 (1979) 65.
        answers: generation: test rows that are answered; None for classification, as is `max_new_tokens`.
        external: the sets that have a floor.
        probes: options of those that have a limit, without the files that they read.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: Literal["classification", "generation"]
    base: Sha256
    metric: str
    against: Against
    patch: Sha256 | None
    claim: Literal["superiority", "non_inferiority"]
    margin: float
    alpha: float
    correction: Literal["holm"] = "holm"
    seeds: tuple[int, ...]
    slices: dict[str, SliceConfig]
    external: dict[str, ExternalTerms] = {}
    limits: LimitsConfig
    rollback: tuple[RollbackConfig, ...]
    answers: int | None
    max_new_tokens: int | None
    probes: dict[str, dict[str, Any]] = {}

    def dumps(self) -> str:
        """Canonical JSON: keys sorted, no spaces."""
        return canonical(self.model_dump(mode="json"))

    @model_serializer(mode="wrap")
    def _without_parts_that_are_empty(self, handler: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        # Protocols that were frozen before there were any keep their hash.
        return {key: value for key, value in handler(self).items() if value or key not in _LATER}

    @property
    def digest(self) -> str:
        """SHA-256 of `dumps`, in hex."""
        return hashlib.sha256(self.dumps().encode()).hexdigest()


def in_full(job: Job) -> Protocol:
    """The protocol of a job.

    Raises:
        ConfigError: no such metric, a margin or floor that it cannot reach, or something to hold the patch against
            that there is not for this task.
        IntegrityError: against production: the patch in use is damaged, or another base's.
    """
    given, generation = job.config.protocol, job.config.task == "generation"
    return Protocol(
        task=job.config.task,
        base=job.base.fingerprint.whole,
        metric=deciding(job.config).name,
        against=_against(job),
        patch=_in_use(job),
        claim=given.claim,
        margin=given.margin,
        alpha=given.alpha,
        seeds=given.seeds or (job.config.train.seed,),
        slices={one.name: one for one in given.slices},
        external=_external(job),
        limits=given.limits,
        rollback=given.rollback,
        answers=job.config.evaluate.answers if generation else None,
        max_new_tokens=job.config.evaluate.max_new_tokens if generation else None,
        probes=limited_probes(job.config.probes),
    )


def _external(job: Job) -> dict[str, ExternalTerms]:
    floors = {one.name: one.floor for one in job.config.protocol.external}
    if not floors:
        return {}
    return {
        one.name: ExternalTerms(floor=floors[one.name], rows=len(one.rows), sha256=one.digest)
        for one in load_external(job.config, job.splits)
        if one.name in floors
    }


def limited_probes(given: ProbesConfig) -> dict[str, dict[str, Any]]:
    """The probes that are on and have a limit, each with all that its figure hangs on but files."""
    found = {}
    for name in type(given).model_fields:
        section = getattr(given, name)
        if isinstance(section, ProbeSection) and section.run:
            options = {key: value for key, value in section if not isinstance(value, Path)}
            if any(key.endswith("limit") and value is not None for key, value in options.items()):
                found[name] = {"seed": given.seed, **section.model_dump(mode="json", include=set(options))}
    for name, others in given.others.items():
        if isinstance(others, dict) and others.get("limit") is not None:
            found[name] = {"seed": given.seed, **others}
    return found


def deciding(config: Config) -> Metric:
    """The metric that decides.

    Raises:
        ConfigError: the task has none of this name, or the margin or a floor is more than it can be.
    """
    known, given = metrics(config.task), config.protocol
    name = given.metric if given.metric is not None else next(iter(known))
    metric = known.get(name)
    if metric is None:
        raise ConfigError(f"{config.task} has no metric {name!r}", where="protocol.metric", todo=nearest(name, known))
    todo = "Give a share: 0.02 for 2 %" if metric.most == 1 else None
    if given.margin >= metric.most:
        what = f"{given.margin:g} is as much as {metric.name} can be, {metric.most:g}, or more"
        raise ConfigError(what, where="protocol.margin", todo=todo)
    for key, parts in (("slices", given.slices), ("external", given.external)):
        for one in parts:
            if one.floor > metric.most:
                what = f"its floor, {one.floor:g}, is more than {metric.name} can be, {metric.most:g}"
                raise ConfigError(what, where=f"protocol.{key} {one.name!r}", todo=todo)
    return metric


def _against(job: Job) -> Against:
    """What is asked for, or what the pilot compares with."""
    given = job.config.protocol.against
    if given == "base" and job.new_head:
        raise ConfigError(
            "'base' predicts nothing here: the task has a new head", where="protocol.against", todo="Take head_only"
        )
    if given == "head_only" and not job.new_head:
        raise ConfigError(
            "'head_only' is for a new head, and this base has one that fits", where="protocol.against", todo="Take base"
        )
    if given == "full" and job.config.method == "full":
        raise ConfigError(
            "'full' is the method itself: there is nothing else to hold it against", where="protocol.against"
        )
    return given or ("head_only" if job.new_head else "base")


def _in_use(job: Job) -> str | None:
    path = job.config.protocol.patch
    if path is None:
        return None
    found = describe(path)
    if found.base != job.base.fingerprint.whole:
        raise ConfigError(
            "belongs to another base", where=str(path), todo="Give in protocol.patch the patch in use on this base"
        )
    return found.digest
