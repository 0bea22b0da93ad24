"""What is searched: keys of zogan.yaml, and the values that each may take around what is configured."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from zogan.config import Config, parse_config
from zogan.errors import ConfigError, nearest
from zogan.models.cut import stacks
from zogan.tasks.classification import Classification
from zogan.tasks.job import Job

Settings = Mapping[str, Any]
"""Dotted key of zogan.yaml -> value."""


@dataclass(frozen=True)
class OneOf:
    """One of a few values."""

    values: tuple[Any, ...]


@dataclass(frozen=True)
class Between:
    """Any number from `low` to `high`; each factor is as likely as another."""

    low: float
    high: float


@dataclass(frozen=True)
class Around:
    """What a dimension's values are made from.

    Attributes:
        configured: the value in force.
        layers: of the base.
    """

    configured: Any
    layers: int


Values = Callable[[Around], OneOf | Between]


def one_of(*values: Any) -> Values:
    """These, and what is configured."""
    return lambda around: OneOf(tuple(dict.fromkeys((around.configured, *values))))


def scaled(*factors: float) -> Values:
    """What is configured, and that times each."""
    return lambda around: OneOf((around.configured, *(rounded(around.configured * factor) for factor in factors)))


def times(low: float, high: float) -> Values:
    """From `low` times to `high` times what is configured."""
    return lambda around: Between(around.configured * low, around.configured * high)


def layers(*shares: float) -> Values:
    """What is configured, and these shares of it, or of all layers where it is no number."""

    def values(around: Around) -> OneOf:
        whole = around.configured if isinstance(around.configured, int) else around.layers
        depths = [depth for share in shares if 1 <= (depth := math.ceil(share * whole)) < whole]
        return OneOf(tuple(dict.fromkeys((around.configured, *depths))))

    return values


def sparse(job: Job) -> bool:
    """Weights are chosen."""
    return job.config.method == "sparse"


def two_stages(job: Job) -> bool:
    """Weights are chosen, and adapters can be put beside them."""
    return sparse(job) and find_spec("peft") is not None


def body(job: Job) -> bool:
    """More trains than a new head."""
    return job.config.method != "head"


def lora(job: Job) -> bool:
    """Adapters train."""
    return job.config.method == "lora"


def new_head(job: Job) -> bool:
    """A new head trains."""
    return job.new_head


def classification(job: Job) -> bool:
    """Rows have a label."""
    return isinstance(job.task, Classification)


def generation(job: Job) -> bool:
    """Rows have an answer."""
    return not classification(job)


@dataclass(frozen=True)
class Dimension:
    """A key that is searched: its values, and for which jobs."""

    key: str
    values: Values
    where: Callable[[Job], bool] = lambda job: True


DIMENSIONS = (
    Dimension("select.criterion", one_of("gradient", "fisher", "contribution", "random"), sparse),
    Dimension("select.allocation", one_of("global", "tensor", "row"), sparse),
    Dimension("budget.density", scaled(0.4, 0.2, 0.1), sparse),
    Dimension("budget.depth", layers(0.75, 0.5, 0.25), sparse),
    Dimension("lora.rank", one_of(4, 8, 16, 32), lora),
    Dimension("train.rate", times(1 / 6, 4), body),
    Dimension("train.head_rate", times(1 / 6, 4), new_head),
    Dimension("train.head_start", one_of("normal", "means", "ridge", "logistic"), new_head),
    Dimension("train.batch_size", one_of(8, 16, 32, 64), classification),
    Dimension("train.batch_size", one_of(1, 2, 4, 8), generation),
    Dimension("train.epochs", one_of(4, 8, 12, 16), classification),
    Dimension("train.epochs", one_of(1, 2, 3, 4), generation),
    Dimension("regularize.label_smoothing", one_of(0.0, 0.05, 0.1)),
    Dimension("regularize.average", one_of(0.0, 0.3)),
    Dimension("regularize.decay", one_of(0.0, 1.0)),
    Dimension("adapters.two_stage", one_of("never", "auto"), two_stages),
)
"""The budget is the user's: nothing is tried that changes more of the base, or deeper layers, than `budget:` allows."""


@dataclass(frozen=True)
class Space:
    """What one job's search may try.

    Attributes:
        values: per key.
        configured: the settings as they stand.
    """

    values: Mapping[str, OneOf | Between]
    configured: Settings


def space_for(job: Job) -> Space:
    """The dimensions of a job that `search.keys` names and that its configuration leaves more than one value for.

    Raises:
        ConfigError: there is none.
    """
    keys, known = job.config.search.keys, [one for one in DIMENSIONS if one.where(job)]
    number = len(next(iter(stacks(job.task.model(seed=0, empty=True)).values()), ()))
    values: dict[str, OneOf | Between] = {}
    configured: dict[str, Any] = {}
    try:
        chosen = [one for one in known if re.fullmatch(keys, one.key)]
    except re.error as error:
        raise ConfigError(f"{keys!r} is no regular expression: {error}", where="search.keys") from None
    for one in chosen:
        now = value_of(job.config, one.key)
        found = one.values(Around(now, number))
        if isinstance(found, OneOf):
            found = OneOf(
                tuple(value for value in found.values if value == now or allowed(job.config, {one.key: value}))
            )
        if found != OneOf((now,)):
            values[one.key], configured[one.key] = found, now
    if not values:
        raise ConfigError(
            f"{keys!r} names no key that can be searched",
            where="search.keys",
            todo=nearest(keys, (one.key for one in known)),
        )
    return Space(values, configured)


def value_of(config: Config, key: str) -> Any:
    """The value in force under a dotted key."""
    if key == "train.rate":
        return config.rate
    if key == "train.head_rate":
        return config.head_rate
    found: Any = config
    for part in key.split("."):
        found = getattr(found, part)
    return found


def with_settings(config: Config, settings: Settings) -> Config:
    """The configuration with these values in place of its own.

    Raises:
        ConfigError: they do not go together.
    """
    tree = config.model_dump()
    for key, value in settings.items():
        part, name = key.split(".")
        tree[part][name] = value
    return parse_config(tree, folder=Path("/"), where=", ".join(f"{key}={value}" for key, value in settings.items()))


def rounded(value: float) -> float:
    """A number as people would write it, with two digits."""
    return float(f"{value:.2g}")


def allowed(config: Config, settings: Settings) -> bool:
    """Whether these values go together with the rest of the configuration."""
    try:
        with_settings(config, settings)
    except ConfigError:
        return False
    return True
