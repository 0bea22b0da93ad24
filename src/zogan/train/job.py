"""One configured job, trained by its method and captured as a patch."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, nullcontext
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from torch import nn

from zogan.config import AdaptersConfig, Config, RegularizeConfig
from zogan.data.batch import batch_size
from zogan.models.cut import stacks
from zogan.patch import Patch
from zogan.patch.beside import parent
from zogan.progress import Progress
from zogan.sparse.compiled import compiled
from zogan.sparse.selection import Selection
from zogan.tasks.balance import drawn_by, told
from zogan.tasks.classification import Classification
from zogan.tasks.generation import Generation
from zogan.tasks.inference import to_device
from zogan.tasks.job import Job
from zogan.train.adapters import Second, train_adapters
from zogan.train.checkpoint import Checkpoint
from zogan.train.depth import at_depth, chosen
from zogan.train.epochs import Folded
from zogan.train.feed import Features, Rows
from zogan.train.head import begin, is_fitted
from zogan.train.held import Held, hold
from zogan.train.loop import Epoch, Feed, Known, Trained, Watch, train
from zogan.train.methods import Result, method_for, require_peft
from zogan.train.need import splits_of, to_tune
from zogan.train.packing import check_packing
from zogan.train.prefix import Prefixed, Resting, owned
from zogan.train.regularize import Objective, Point, Restraint, check_dropout
from zogan.train.reselect import Reselection, check_criterion

_LATER = {
    "train": ("balance", "compile", "folds", "head_start", "head_warmup", "reselect", "reselect_share"),
    "select": ("parameters",),
}
"""Options that leave no mark at their default: a patch that knows nothing of them keeps its bytes."""


@dataclass(frozen=True)
class Tuned:
    """What a job's training gave.

    Attributes:
        patch: the result.
        epochs: the figures of each epoch.
        trainable: parameters that trained.
        parameters: parameters of the model in all.
        seconds_before: wall seconds that a killed run had spent up to the checkpoint taken up.
        interpolation: points between old and new values that were validated, where `regularize.interpolate` asks.
        second: what the second stage did, where there was one; `epochs` are the first's.
        folds: what training on folds has shown, where `train.folds` asks for it; `epochs` has their means.
        selection: the weights that trained in the end, where `train.reselect` exchanged some; else they are as given.
    """

    patch: Patch
    epochs: tuple[Epoch, ...]
    trainable: int
    parameters: int
    seconds_before: float
    interpolation: tuple[Point, ...] = ()
    second: Second | None = None
    folds: Folded | None = None
    selection: Selection | None = None


@dataclass(frozen=True)
class Learnt:
    """A job's model once it is trained.

    Attributes:
        held: the model, plain again where the method can make it so.
        result: what changed.
        trained: how that went.
        trainable: parameters that trained.
        hashes: of all that the values depend on.
        second: what the second stage did, where there was one.
        selection: the weights that trained in the end, where some were exchanged.
    """

    held: Held
    result: Result
    trained: Trained
    trainable: int
    hashes: dict[str, str]
    second: Second | None
    selection: Selection | None


def tune_job(
    job: Job,
    selection: Selection | None,
    *,
    checkpoint: Path | None,
    log: Path | None,
    progress: Progress,
    known: Known | None = None,
    watch: Watch | None = None,
) -> Tuned:
    """Train the job's method once, and capture the patch; see `zogan.tune`, and `learn` for `known`."""
    learnt = learn(job, selection, checkpoint=checkpoint, log=log, progress=progress, known=known, watch=watch)
    result = learnt.result
    patch = Patch.capture(
        result.deltas,
        job.task.tensor_names(learnt.held.model),
        job.base.fingerprint,
        job.base.folder,
        tensors=result.tensors,
        adapters=result.adapters,
        adapter=dict(result.adapter_config) if result.adapter_config else None,
        task=job.task.describe(),
        tools={name: version(name) for name in ("zogan", "torch", "transformers", "safetensors")},
        hashes=learnt.hashes,
        parent=parent(job.base.folder),
    )
    trained, second = learnt.trained, learnt.second
    return Tuned(
        patch,
        trained.epochs,
        learnt.trainable,
        learnt.held.parameters,
        trained.seconds_before + (second.seconds_before if second else 0.0),
        interpolation=trained.interpolation,
        second=second,
        selection=learnt.selection,
    )


def learn(
    job: Job,
    selection: Selection | None,
    *,
    checkpoint: Path | None,
    log: Path | None,
    progress: Progress,
    known: Known | None = None,
    watch: Watch | None = None,
    around: bool = False,
) -> Learnt:
    """Train the job's method.

    Args:
        job: base, rows and task.
        selection: the weights to train; made by the `select:` section where absent.
        checkpoint: folder for the state; none is kept where absent.
        log: file to which JSON lines are appended.
        progress: who is told how far it is.
        known: what folds have found out.
        watch: is given each epoch's figures; see `zogan.tune`.
        around: whether to look between old and new values after each epoch; see `zogan.train.loop.train`.
    """
    config = job.config
    if config.second_stage:
        require_peft()  # said before hours of a first stage
    if config.train.reselect:
        check_criterion(config.select.criterion)
    begun = config.method == "sparse" and selection is None  # a new head has its start, which the saliency pass sees
    if begun:
        selection, held = chosen(job, progress=progress)
    else:
        job = at_depth(job, selection.meta.get("depth", "all") if selection else "all")
        held = hold(job, to_tune(job), progress=progress)
    model = held.model
    method = method_for(config, job, model, selection if config.method == "sparse" else None)
    method.prepare(model)
    feed = _feed(job, held, progress)
    if not begun:
        begin(job, model, feed.enter if isinstance(feed, Prefixed) else held.enter("train"), progress)
    if balanced := told(job):
        progress.note(balanced)
    settings = config.train
    if settings.packing and isinstance(job.task, Generation):
        budget = settings.tokens_per_batch or job.task.max_length
        settings = settings.model_copy(update={"tokens_per_batch": budget})
        enter = feed.enter if isinstance(feed, Prefixed) else None
        check_packing(job.task, model, job.examples("train"), settings, enter=enter)
    reselection = None
    if settings.reselect and selection is not None and isinstance(feed, Rows):
        reselection = Reselection(job, settings, model, selection, feed, frozen=_below(model, feed))
    restraint = Restraint(config.regularize, method.old(model) if _looks_back(config.regularize) else {})
    # An adapter that is nothing yet shows no dropout.
    if config.regularize.r_drop and not (config.method == "lora" and config.lora.dropout):
        check_dropout(model, lambda: feed.loss(model, to_device(feed.batch([0]), next(model.parameters()).device))[0])
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    hashes = _hashes(config, job, selection)
    with ExitStack() as stack:
        folder = checkpoint or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="zogan-")))
        about = hashes if known is None else {**hashes, "known": asdict(known)}
        state, rates = Checkpoint(folder, key_of(job, about)), _rates(model, job, config)
        with compiled(_running(model, feed)) if settings.compile else nullcontext():
            trained = train(
                model,
                feed,
                rates,
                settings,
                state,
                restraint=restraint,
                reselection=reselection,
                log=log,
                progress=progress,
                classes=drawn_by(job),
                known=known,
                watch=watch,
                fitted=is_fitted(job, model) and known is None and config.train.folds is None,
                around=around,
            )
        selected = None
        if reselection is not None:
            selected = reselection.selection()
            hashes["selection"] = selection_digest(selected)
            restraint = replace(restraint, old=method.old(model) if restraint.old else {})
        result, second = None, None
        if config.second_stage and isinstance(feed, Rows):
            result, second = train_adapters(
                job, model, method, feed, rates, settings, state, trained, restraint, log=log, progress=progress
            )
    if second is not None and second.kept:
        hashes["config"] = config_digest(config)
        trainable += second.trainable
    return Learnt(held, result or method.result(model), trained, trainable, hashes, second, selected)


def _feed(job: Job, held: Held, progress: Progress) -> Feed:
    config, size, model = job.config, batch_size(job.config.evaluate), held.model
    objective = Objective(job.task, config.regularize)
    if config.method == "head" and isinstance(job.task, Classification):
        rows = Rows(job, size, objective)
        return Features(job.task, model, rows, *(held.enter(split) for split in splits_of(job)))
    frozen = held.by_training() if config.method == "sparse" else None
    if frozen is None:
        return Rows(job, size, objective)
    if config.train.cache == "off":
        return Resting(job, size, frozen.cut, objective)
    return Prefixed(job, size, held.filler(frozen), objective=objective, progress=progress)


def _below(model: nn.Module, feed: Rows) -> frozenset[str]:
    """Parameters that are done before what the feed's cache keeps, or would keep."""
    return owned(model, feed.cut.before) if isinstance(feed, Prefixed | Resting) else frozenset()


def _running(model: nn.Module, feed: Feed) -> Iterable[nn.Module]:
    """Layers of the model's stack that run in each step; none where the head alone does."""
    if isinstance(feed, Prefixed | Resting):
        return feed.cut.layers[feed.cut.index :]
    return next(iter(stacks(model).values()), ()) if isinstance(feed, Rows) else ()


def _looks_back(settings: RegularizeConfig) -> bool:
    """Whether old values are asked for: of all weights they are a second model."""
    return bool(settings.decay or settings.threshold or settings.mixout or settings.points)


def _rates(model: nn.Module, job: Job, config: Config) -> dict[str, float]:
    head = set(job.task.head(model))
    return {name: config.head_rate if name in head else config.rate for name, _ in model.named_parameters()}


def _hashes(config: Config, job: Job, selection: Selection | None) -> dict[str, str]:
    """Of all that the patch's bytes depend on, besides the machine."""
    # The first stage's: what comes of a second that is not kept is what comes without one.
    first = config.model_copy(update={"adapters": AdaptersConfig()})
    found = {"config": config_digest(first), "data": job.splits.digest}
    if selection is not None:
        found["selection"] = selection_digest(selection)
    return found


def selection_digest(selection: Selection) -> str:
    """SHA-256 of what is chosen, and how; a patch names the selection that it was trained with by it."""
    # What the weights are worth is told, and trains nothing.
    meta = {key: value for key, value in selection.meta.items() if key not in ("worth", "frontier")}
    sha = hashlib.sha256(json.dumps(meta, sort_keys=True).encode())
    for name in sorted(selection.positions):
        sha.update(name.encode())
        sha.update(selection.positions[name].numpy().tobytes())
    for name in selection.vectors:
        sha.update(name.encode())
    return sha.hexdigest()


def config_digest(config: Config) -> str:
    """SHA-256 of the options that change what is trained: not the places of files, nor how the run is watched."""
    tree: dict[str, Any] = config.model_dump(
        mode="json",
        exclude={"output", "language", "evaluate", "data", "model", "protocol", "probes", "cost", "search", "registry"},
    )
    for key in ("checkpoint_seconds", "cache_memory"):
        tree["train"].pop(key)
    for part, keys in _LATER.items():
        section = getattr(config, part)
        for key in keys:
            if getattr(section, key) == type(section).model_fields[key].default:
                tree[part].pop(key)
    tree["budget"].pop("memory")
    if config.regularize == RegularizeConfig():
        tree.pop("regularize")  # nothing is asked for, as before there was anything to ask for
    if not config.second_stage:
        tree.pop("adapters")
    return digest_of(tree)


def key_of(job: Job, about: Mapping[str, Any]) -> str:
    """SHA-256 of all that a checkpoint depends on: base and task, and what else it is about, as JSON values."""
    # The task too: pooling and prompts are the base's, but stand in none of its weights.
    return digest_of({**about, "base": job.base.fingerprint.whole, "task": job.task.describe()})


def digest_of(tree: Any) -> str:
    """SHA-256 of JSON values, in hex."""
    return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()
