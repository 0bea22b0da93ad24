"""What of a model is in memory: all of it, or the layers that run again and again alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import psutil
from torch import nn

from zogan.errors import ConfigError
from zogan.models.cut import stacks
from zogan.tasks.job import Job
from zogan.train.meter import resident
from zogan.train.need import Need
from zogan.train.sizes import Sizes, measure
from zogan.weights import headers

ROOM = 0.9
"""Share of the free memory that is taken where no bound is given."""

BOUND = ("sparse", "head")
"""Methods that can do with a part of the model; the others train all of it, or stand beside all of it."""


@dataclass(frozen=True)
class Plan:
    """Layers in memory.

    Attributes:
        index: of the lowest layer that is in memory once the prefix cache is there.
        at_once: layers in memory while it is computed.
        peak_bytes: of the process, at most.
    """

    index: int
    at_once: int
    peak_bytes: int


def plan_for(job: Job, need: Need) -> Plan | None:
    """Which layers to have in memory; None where the whole model may be.

    Raises:
        ConfigError: what is asked for does not fit into the memory, with what would.
    """
    budget, held = job.config.budget, program_bytes()
    if job.config.method not in BOUND:
        return None
    bound = budget.memory or int(ROOM * psutil.virtual_memory().available) + held
    stored = sum(info.numel * 4 for info in headers(job.base.folder).values())
    if budget.memory is None and 3 * stored < bound - held:
        return None  # far from it: no need to look closer
    model = job.task.model(seed=job.config.train.seed, dtype=job.dtype, empty=True)
    sizes = measure(job, model, need, program=held)
    number, depth = len(sizes.layers), _depth(model, job.task.tensor_names(model), need)
    whole = sizes.whole(depth, need.density)
    if whole <= bound:
        return None
    if need.answers:
        raise ConfigError(
            f"greedy answers need the whole model, which takes about {_gigabytes(whole)} of memory, and "
            f"{_gigabytes(bound)} may be taken",
            where="evaluate.answers",
            todo="Take the loss alone: --set evaluate.answers=0",
        )
    if need.trains and job.config.train.cache == "off":
        raise ConfigError(
            f"without the cache every epoch needs the whole model, and {_gigabytes(bound)} may be taken",
            where="train.cache",
            todo="Take --set train.cache=auto",
        )
    if 1 <= depth < number and sizes.part(depth, need.density, 1) <= bound:
        fitting = [count for count in range(1, number - depth + 1) if sizes.part(depth, need.density, count) <= bound]
        return Plan(number - depth, max(fitting), sizes.part(depth, need.density, max(fitting)))
    raise _refusal(need, sizes, depth, bound, where="budget.memory" if budget.memory else "budget")


@cache
def program_bytes() -> int:
    """What the process takes without a model: taken once, for what an earlier model left behind is used again."""
    return resident()


def _depth(model: nn.Module, names: Mapping[str, str], need: Need) -> int:
    """Layers from the lowest that runs again to the topmost."""
    stack, layers = next(iter(stacks(model).items()), ("", nn.ModuleList()))
    if need.depth == "all":
        return len(layers)
    prefix = f"{stack}."
    changed = [name for name, tensor in names.items() if tensor in need.changed and name.startswith(prefix)]
    lowest = min((int(name.removeprefix(prefix).split(".")[0]) for name in changed), default=len(layers))
    return max(min(need.depth, len(layers)), len(layers) - lowest)


def _refusal(need: Need, sizes: Sizes, depth: int, bound: int, *, where: str) -> ConfigError:
    number, density = len(sizes.layers), need.density
    parts = {other: sizes.part(other, density, 1) for other in range(1, number)}
    fits = [other for other, wanted in parts.items() if wanted <= bound]
    whole = sizes.whole(depth, density)
    wanted = min(whole, parts.get(depth, whole))
    sections = "train.batch_size" if need.trains else "evaluate.batch_size"
    if need.trains and fits:
        todo = f"Up to {max(fits)} of {number} layers fit: --set budget.depth={max(fits)}"
    elif need.trains and parts:
        todo = f"One layer takes about {_gigabytes(parts[1])}: --set budget.memory={_asked(parts[1])}"
        todo += f", a smaller {sections} or a smaller train.max_length"
    else:
        todo = f"Try --set budget.memory={_asked(wanted)}, a smaller {sections} or a smaller train.max_length"
    lowest = f" (layer {number - depth} is the lowest that a patch changes)" if need.changed else ""
    return ConfigError(
        f"{need.verb} {depth} of {number} layers{lowest} takes about {_gigabytes(wanted)}, and {_gigabytes(bound)} "
        "may be taken",
        where=where,
        todo=todo,
    )


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB"


def _asked(count: int) -> str:
    """At least so much, as `budget.memory` is written."""
    return f"{math.ceil(count / 1e8) / 10:.1f}GB"
