"""A run of a tiny model in which one layer does the good: what the tests of explanations share."""

from __future__ import annotations

from pathlib import Path

import torch
import yaml

from tiny_project import Kind, tiny_config, write_project
from zogan.evaluate import predictions
from zogan.evaluate.run import predict
from zogan.patch import Patch
from zogan.patch.places import layer_of
from zogan.sparse.attach import Delta
from zogan.tasks import open_job
from zogan.tasks.job import Job
from zogan.train import tune

USEFUL = 2
"""The layer that was tuned, of three; in the others a weight or two moved by next to nothing."""

_TUNED = {"epochs": 6, "batch_size": 8, "rate": 0.01}


def planted_run(folder: Path, kind: Kind, cache: Path) -> Path:
    """Tune the topmost layer, and add changes without any effect to those below.

    Args:
        folder: of the project.
        kind: of the base and task; one without a new head.
        cache: for what enters a cut.

    Returns:
        The run's folder.
    """
    write_project(folder, kind, layers=3, budget={"density": 0.3, "depth": 1}, train=_TUNED)
    job, run = planted_job(folder, cache), folder / "run"
    patch = _with_decoys(job, tune(job).patch)
    run.mkdir()
    settings = job.config.in_full().model_dump(mode="json")
    (run / "zogan.yaml").write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    patch.save(run / "patch.safetensors")
    rows, said = job.splits.test, predict(job, patch)
    predictions.save(
        predictions.keep(job, rows, said, before=None, after=patch.digest), run / "predictions.safetensors"
    )
    return run


def planted_job(folder: Path, cache: Path) -> Job:
    """The project's job."""
    return open_job(tiny_config(folder), cache=cache)


def _with_decoys(job: Job, patch: Patch) -> Patch:
    model = job.task.model(seed=0)
    tensors = job.task.tensor_names(model)
    names = {tensor: name for name, tensor in tensors.items()}
    deltas = {names[name]: Delta(one.positions, one.old, one.new) for name, one in patch.changes.items()}
    for name, tensor in tensors.items():
        if layer_of(tensor) in range(USEFUL) and name.endswith(("value.weight", "v_proj.weight")):
            old = model.get_parameter(name).detach().reshape(-1)[:2].clone()
            deltas[name] = Delta(torch.arange(2), old, old + 1e-7)
    return Patch.capture(
        deltas,
        tensors,
        job.base.fingerprint,
        job.base.folder,
        tensors=patch.tensors,
        task=patch.meta.task,
        tools=patch.meta.tools,
        hashes=patch.meta.hashes,
    )
