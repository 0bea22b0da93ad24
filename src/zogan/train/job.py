"""One configured job, trained by its method and captured as a patch."""

from __future__ import annotations

import hashlib
import json
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from torch import nn

from zogan.config import Config
from zogan.data.batch import batch_size
from zogan.patch import Patch
from zogan.progress import Progress
from zogan.sparse.selection import Selection
from zogan.tasks.classification import Classification
from zogan.tasks.generation import Generation
from zogan.tasks.job import Job
from zogan.train.checkpoint import Checkpoint
from zogan.train.depth import at_depth, chosen
from zogan.train.feed import Features, Rows
from zogan.train.held import Held, hold
from zogan.train.loop import Epoch, Feed, Watch, train
from zogan.train.methods import method_for
from zogan.train.need import to_tune
from zogan.train.packing import check_packing
from zogan.train.prefix import Prefixed, Resting


@dataclass(frozen=True)
class Tuned:
    """What a job's training gave.

    Attributes:
        patch: the result.
        epochs: the figures of each epoch.
        trainable: parameters that trained.
        parameters: parameters of the model in all.
        seconds_before: wall seconds that a killed run had spent up to the checkpoint taken up.
    """

    patch: Patch
    epochs: tuple[Epoch, ...]
    trainable: int
    parameters: int
    seconds_before: float


def tune_job(
    job: Job,
    selection: Selection | None,
    *,
    checkpoint: Path | None,
    log: Path | None,
    progress: Progress,
    watch: Watch | None = None,
) -> Tuned:
    """Train the job's method; see `zogan.tune`."""
    config = job.config
    if config.method == "sparse" and selection is None:
        selection, held = chosen(job, progress=progress)
    else:
        job = at_depth(job, selection.meta.get("depth", "all") if selection else "all")
        held = hold(job, to_tune(job), progress=progress)
    model = held.model
    names = job.task.tensor_names(model)
    method = method_for(config, job, model, selection if config.method == "sparse" else None)
    method.prepare(model)
    feed = _feed(job, held, progress)
    settings = config.train
    if settings.packing and isinstance(job.task, Generation):
        budget = settings.tokens_per_batch or job.task.max_length
        settings = settings.model_copy(update={"tokens_per_batch": budget})
        enter = feed.enter if isinstance(feed, Prefixed) else None
        check_packing(job.task, model, job.examples("train"), settings, enter=enter)
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    hashes = _hashes(config, job, selection)
    with ExitStack() as stack:
        folder = checkpoint or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="zogan-")))
        # The task too: pooling and prompts are the base's, but stand in none of its weights.
        key = digest_of({**hashes, "base": job.base.fingerprint.whole, "task": job.task.describe()})
        state = Checkpoint(folder, key)
        rates = _rates(model, job, config)
        trained = train(model, feed, rates, settings, state, log=log, progress=progress, watch=watch)
    result = method.result(model)
    patch = Patch.capture(
        result.deltas,
        names,
        job.base.fingerprint,
        job.base.folder,
        tensors=result.tensors,
        adapters=result.adapters,
        adapter=dict(result.adapter_config) if result.adapter_config else None,
        task=job.task.describe(),
        tools={name: version(name) for name in ("zogan", "torch", "transformers", "safetensors")},
        hashes=hashes,
    )
    return Tuned(patch, trained.epochs, trainable, held.parameters, trained.seconds_before)


def _feed(job: Job, held: Held, progress: Progress) -> Feed:
    config, size, model = job.config, batch_size(job.config.evaluate), held.model
    if config.method == "head" and isinstance(job.task, Classification):
        return Features(job.task, model, Rows(job, size), held.enter("train"), held.enter("validation"))
    frozen = held.by_training() if config.method == "sparse" else None
    if frozen is None:
        return Rows(job, size)
    if config.train.cache == "off":
        return Resting(job, size, frozen.cut)
    return Prefixed(job, size, held.filler(frozen), progress=progress)


def _rates(model: nn.Module, job: Job, config: Config) -> dict[str, float]:
    head = set(job.task.head(model))
    return {name: config.train.head_rate if name in head else config.rate for name, _ in model.named_parameters()}


def _hashes(config: Config, job: Job, selection: Selection | None) -> dict[str, str]:
    """Of all that the patch's bytes depend on, besides the machine."""
    found = {"config": config_digest(config), "data": job.splits.digest}
    if selection is not None:
        # What the weights are worth is told, and trains nothing.
        meta = {key: value for key, value in selection.meta.items() if key not in ("worth", "frontier")}
        sha = hashlib.sha256(json.dumps(meta, sort_keys=True).encode())
        for name in sorted(selection.positions):
            sha.update(name.encode())
            sha.update(selection.positions[name].numpy().tobytes())
        found["selection"] = sha.hexdigest()
    return found


def config_digest(config: Config) -> str:
    """SHA-256 of the options that change what is trained: not the places of files, nor how the run is watched."""
    tree: dict[str, Any] = config.model_dump(
        mode="json", exclude={"output", "language", "evaluate", "data", "model", "cost", "search"}
    )
    for key in ("checkpoint_seconds", "cache_memory"):
        tree["train"].pop(key)
    tree["budget"].pop("memory")
    return digest_of(tree)


def digest_of(tree: Any) -> str:
    """SHA-256 of JSON values, in hex."""
    return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()
