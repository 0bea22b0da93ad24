"""Settings that were good on other tasks: a small table that ships with the package, for the first trials of a search.

`benchmarks/priors.py` makes it from what studies of the development tasks measured. A search takes the best of those
tasks that are most like its own (Feurer et al., Initializing Bayesian Hyperparameter Optimization via Meta-Learning,
AAAI 2015).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from zogan.errors import ConfigError, nearest
from zogan.search.space import DIMENSIONS, OneOf, Settings, Space, allowed, rounded, value_of
from zogan.tasks.job import Job

TABLE = Path(__file__).with_name("priors.json")
"""The table that ships with the package."""

NEAREST = 3
"""Tasks that a job's settings are taken from."""

Kind = Literal["classification", "generation"]

FEATURES: dict[Kind, tuple[str, ...]] = {
    "classification": ("labels", "rows", "rows_per_label"),
    "generation": ("rows",),
}
"""What is known of a task before anything is trained, by kind; numbers of its training rows, above 0."""


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Gain(_Entry):
    """By how much settings were better than those that they were paired with, on held-out rows.

    Attributes:
        mean: over pairs; share of right rows, or nats a token.
        error: its standard error; None where one pair is all there is.
        pairs: each with training rows of its own.
    """

    mean: float
    error: Annotated[float, Field(ge=0)] | None
    pairs: Annotated[int, Field(ge=1)]


class Prior(_Entry):
    """Settings that were good on a task.

    Attributes:
        name: of the task.
        task: its kind.
        method: that was trained.
        features: of the task, as `FEATURES` names them.
        settings: dotted key of zogan.yaml -> value, of keys that can be searched.
        gain: over the settings that they were paired with.
    """

    name: str
    task: Kind
    method: Literal["sparse", "full", "lora", "head"]
    features: dict[str, Annotated[float, Field(gt=0)]]
    settings: Annotated[dict[str, bool | int | float | str], Field(min_length=1)]
    gain: Gain

    @model_validator(mode="after")
    def _names_are_known(self) -> Prior:
        if set(self.features) != set(FEATURES[self.task]):
            raise ValueError(f"the features of {self.task} are {', '.join(FEATURES[self.task])}")
        keys = {one.key for one in DIMENSIONS}
        for key in self.settings:
            if key not in keys:
                raise ValueError(f"{key!r} is no key that can be searched. {nearest(key, keys)}")
        return self


@dataclass(frozen=True)
class Seed:
    """Settings to try on a job, of all keys of its space, and the task on which they were good."""

    settings: Settings
    name: str


_ENTRIES = TypeAdapter(tuple[Prior, ...])


def read_priors(file: Path = TABLE) -> tuple[Prior, ...]:
    """Read a table of priors.

    Raises:
        ConfigError: it is no such table; says where.
    """
    try:
        return _ENTRIES.validate_json(file.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise ConfigError(f"{place}: {message}" if place else message, where=str(file)) from None


def features_of(task: Kind, *, rows: int, labels: int) -> dict[str, float]:
    """The features of a task.

    Args:
        task: its kind.
        rows: for training.
        labels: classes of a classification; not looked at for generation.
    """
    known = {"rows": float(rows)}
    if task == "classification":
        known |= {"labels": float(labels), "rows_per_label": rows / labels}
    return {name: known[name] for name in FEATURES[task]}


def seeds_for(job: Job, space: Space, priors: Sequence[Prior]) -> list[Seed]:
    """What a search should try first: settings of the `NEAREST` tasks of the job's kind and method.

    Tasks are as far apart as the logarithms of their features. What is not in the space must stand in the job's
    configuration already; keys that settings do not name stay as they are configured.

    Returns:
        The best of each task, the nearest task first; then the second best of each; and so on. None is there twice, nor
        are the configured settings.
    """
    here = features_of(job.config.task, rows=len(job.splits.train), labels=len(job.splits.labels))
    by_task: dict[str, list[Prior]] = {}
    for prior in sorted(priors, key=lambda prior: -prior.gain.mean):
        if (prior.task, prior.method) == (job.config.task, job.config.method):
            by_task.setdefault(prior.name, []).append(prior)
    near = sorted(by_task.values(), key=lambda found: (_distance(here, found[0].features), found[0].name))[:NEAREST]
    seeds: list[Seed] = []
    known = [space.configured]
    for prior in (prior for rank in zip_longest(*near) for prior in rank if prior is not None):
        settings = _inside(job, space, prior.settings)
        if settings is not None and settings not in known:
            known.append(settings)
            seeds.append(Seed(settings, prior.name))
    return seeds


def _distance(here: Mapping[str, float], there: Mapping[str, float]) -> float:
    return math.dist([math.log(here[name]) for name in here], [math.log(there[name]) for name in here])


def _inside(job: Job, space: Space, settings: Settings) -> Settings | None:
    """All settings of a space, those that are given among them; None where the job cannot have them."""
    whole = dict(space.configured)
    for key, value in settings.items():
        values = space.values.get(key)
        if values is None:
            if value_of(job.config, key) != value:
                return None
        elif isinstance(values, OneOf):
            if value not in values.values:
                return None
            whole[key] = value
        elif value != whole[key]:
            # As a study writes down what was drawn: it must know the settings again.
            whole[key] = rounded(float(value))
            if not values.low <= whole[key] <= values.high:
                return None
    return whole if allowed(job.config, whole) else None
