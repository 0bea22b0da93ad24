"""How deep a job changes its model: as configured, or what `depth: auto` chooses within the budget."""

from __future__ import annotations

from typing import Any

import torch

from zogan.config import Config, RegularizeConfig, SelectConfig
from zogan.data.batch import batch_size
from zogan.models.cut import stacks
from zogan.progress import Progress, Silent
from zogan.select.budget import Option, affordable, best, shown, weighed
from zogan.select.criteria import find
from zogan.select.eligible import VECTORS, refuse_half
from zogan.select.job import select_for
from zogan.sparse.selection import Selection
from zogan.tasks.job import Job
from zogan.tasks.task import Enter, enter_nothing
from zogan.train.cost import form_of, volumes_of, work_of
from zogan.train.head import begin
from zogan.train.held import Held, hold
from zogan.train.need import to_tune
from zogan.train.plan import program_bytes
from zogan.train.prefix import Prefixed
from zogan.train.sizes import measure
from zogan.train.warmup import WARM_UP_READS


def options_for(job: Job) -> list[Option]:
    """Price and memory of each depth, from one layer up to all; nothing is loaded."""
    model = job.task.model(seed=job.config.train.seed, dtype=job.dtype, empty=True)
    form, volumes = form_of(job, model), volumes_of(job)
    sizes, density = measure(job, model, to_tune(job), program=program_bytes()), job.config.budget.density
    full = work_of(job.config, form, volumes, method="full").total
    options = []
    for depth in range(1, len(form.layers) + 1):
        work = work_of(job.config, form, volumes, method="sparse", depth=depth).total
        memory = sizes.whole(depth, density)
        if depth < len(sizes.layers):
            memory = min(memory, sizes.part(depth, density, 1))
        options.append(Option(depth, work / full, memory))
    return options


def selection_for(job: Job, *, progress: Progress = Silent()) -> Selection:
    """Choose the weights as `select:` and `budget:` ask; what lies below the depth comes from the prefix cache.

    Args:
        job: base, rows and task.
        progress: who is told how far it is.
    """
    return chosen(job, dtype=torch.float32, progress=progress)[0]


def selection_reads(config: Config) -> dict[str, Any]:
    """What a selection depends on besides base, rows and task: options, as JSON values."""
    # Memory decides where the depth does not stand; the price in time hangs on the whole loop.
    left_out = {"memory"} if config.budget.depth != "auto" else set()
    read = {"seed", "batch_size", "tokens_per_batch", "cache_dtype", "head_start"}
    read |= {"balance"} if config.train.balance != "none" else set()
    warm = config.train.head_warmup > 0
    read |= {"head_warmup", *WARM_UP_READS} if warm else set()
    timed = config.budget.time is not None
    unasked = {"compile"} if config.train.reselect else {"compile", "reselect", "reselect_share"}
    select = config.select.model_dump(mode="json")
    if config.select.parameters == SelectConfig().parameters:
        select.pop("parameters")  # as before there was a choice: what was selected then is kept
    reads: dict[str, Any] = {
        "select": select,
        "budget": config.budget.model_dump(mode="json", exclude=left_out),
        "train": config.train.model_dump(
            mode="json",
            include=None if timed else read,
            exclude=unasked if warm else {"head_warmup", *unasked},
        ),
    }
    if warm:
        reads["label_smoothing"] = config.regularize.label_smoothing
    if timed and config.regularize != RegularizeConfig():
        reads["regularize"] = config.regularize.model_dump(mode="json")
    if timed and config.second_stage:  # it is a part of the price
        reads["adapters"] = config.adapters.model_dump(mode="json")
    return reads


def chosen(job: Job, *, dtype: torch.dtype | None = None, progress: Progress = Silent()) -> tuple[Selection, Held]:
    """The selection, and the model that it was made with, as it was before.

    Args:
        job: base, rows and task.
        dtype: of the model in memory, where it is not the job's.
        progress: who is told how far it is.

    Raises:
        ConfigError: no depth fits the budget, or vectors are to train in 16 bits.
    """
    budget = job.config.budget
    if job.dtype is None and job.activations is not None:  # as they will be trained, whatever `dtype` is
        refuse_half({f"what {kind} hold": job.activations for kind in VECTORS if kind in job.config.select.parameters})
    if budget.depth != "auto":
        held = hold(job, to_tune(job), dtype=dtype, progress=progress)
        return _select(job, held, progress), held
    options, deep = within_reach(job)
    held = hold(deep, to_tune(deep), dtype=dtype, progress=progress)
    selection = _select(deep, held, progress)
    if find(job.config.select.criterion).fold is not None:  # scores without a gradient say nothing of the loss
        options = weighed(options, _worth_by_layer(held, selection))
    option = best(options)
    if option.depth < options[-1].depth:
        del held  # two models need not be in memory
        shallower = at_depth(job, option.depth)
        held = hold(shallower, to_tune(shallower), dtype=dtype, progress=progress)
        selection = _select(shallower, held, progress)
    if len(options) > 1:
        progress.note(shown(options, option))
    meta = {**selection.meta, "frontier": [other.as_json(timed=budget.time is not None) for other in options]}
    return Selection(selection.positions, selection.shapes, selection.whole, meta), held


def deepest(job: Job) -> Job:
    """The job with the deepest depth within its budget in place of `auto`; none below it can be chosen.

    Raises:
        ConfigError: no depth fits the budget.
    """
    return job if job.config.method != "sparse" or job.config.budget.depth != "auto" else within_reach(job)[1]


def within_reach(job: Job) -> tuple[list[Option], Job]:
    """The depths within the budget, and the job at the deepest of them.

    Raises:
        ConfigError: there is none.
    """
    every, budget = options_for(job), job.config.budget
    options = affordable(every, time=budget.time, memory=budget.memory)
    return options, at_depth(job, "all" if options[-1] == every[-1] else options[-1].depth)


def at_depth(job: Job, depth: int | str) -> Job:
    """The same job, with a depth in place of `auto`."""
    if job.config.budget.depth != "auto":
        return job
    return job.under(job.config.model_copy(update={"budget": job.config.budget.model_copy(update={"depth": depth})}))


def _select(job: Job, held: Held, progress: Progress) -> Selection:
    frozen = held.by_depth()
    if frozen is None:
        begin(job, held.model, progress=progress)
        return select_for(job, held.model, progress=progress)
    source: Prefixed | None = None
    enter: Enter = enter_nothing
    if job.config.train.cache != "off":
        train = job.config.train.model_copy(update={"packing": False})
        source = Prefixed(
            job.under(job.config.model_copy(update={"train": train})),
            batch_size(job.config.evaluate),
            held.filler(frozen),
            progress=progress,
            splits=("train",),
        )
        enter = source.enter
    begin(job, held.model, enter, progress)
    return select_for(job, held.model, source=source, frozen=frozen.names, progress=progress)


def _worth_by_layer(held: Held, selection: Selection) -> dict[int, float]:
    """By layer, counted from the top. Of what lies outside of the stack, what stands before it in the model, such as
    embeddings and their norm, is reached with the lowest layer alone; the rest at any depth."""
    found = next(iter(stacks(held.model).items()), None)
    worth: dict[int, float] = {}
    names = [name for name, _ in held.model.named_parameters()]
    inside = [place for place, name in enumerate(names) if found is not None and name.startswith(f"{found[0]}.")]
    before = set(names[: min(inside, default=0)])
    for name, value in selection.meta["worth"].items():
        layer = 0
        if found is not None and name.startswith(f"{found[0]}."):
            layer = len(found[1]) - 1 - int(name.removeprefix(f"{found[0]}.").split(".")[0])
        elif found is not None and name in before:
            layer = len(found[1]) - 1
        worth[layer] = worth.get(layer, 0.0) + value
    return worth
