"""What the base makes of each row before anything is tuned: pooled hidden states, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32
from torch import Tensor, nn

from zogan.data.batch import BatchSize
from zogan.data.rows import DialogueRow
from zogan.progress import Progress
from zogan.tasks.classification import Classification
from zogan.tasks.classifier import Classifier, pool
from zogan.tasks.generation import Generation
from zogan.tasks.inference import batches, evaluating
from zogan.tasks.job import Job
from zogan.tasks.task import IGNORED, Example

LAYERS = 8
"""Layers that are looked at, the embeddings and the last among them; evenly spaced where there are more."""

Layers = Float32[np.ndarray, "layers rows dim"]


def layers_of(job: Job, model: nn.Module, examples: Sequence[Example], size: BatchSize, progress: Progress) -> Layers:
    """Pooled states of every row, from the lowest layer that is looked at to what a head would read.

    Args:
        job: whose task says how a row is pooled.
        model: the task's, with the base's weights.
        examples: rows as tokens.
        size: of a batch.
        progress: told of rows read.
    """
    found: Layers | None = None
    done = 0
    progress.start("features", len(examples))
    with evaluating(model):
        for places, batch in batches(job.task, model, examples, size):
            mask = batch["attention_mask"]
            states = _body(model)(
                input_ids=batch["input_ids"], attention_mask=mask, output_hidden_states=True
            ).hidden_states
            kept = [states[place] for place in spaced(len(states))]
            rows = torch.stack([_pooled(job, model, state, mask.bool()) for state in kept])  # (layers, rows, dim)
            if found is None:
                found = np.zeros((len(kept), len(examples), rows.shape[2]), dtype=np.float32)
            found[:, places] = rows.float().cpu().numpy()
            done += len(places)
            progress.advance(done)
    assert found is not None, "a job has rows"
    return found


def spaced(number: int) -> list[int]:
    """Which of so many states are looked at: `LAYERS` of them at most, the first and the last among them."""
    return sorted({round(place) for place in np.linspace(0, number - 1, min(LAYERS, number)).tolist()})


def prompts_of(task: Generation, rows: Sequence[DialogueRow]) -> list[Example]:
    """What stands before each row's answer, as tokens of which none is learnt; the newest part where it is too long."""
    prompts = [ids[-task.max_length :] for ids in task.format.prompts(rows)]
    return [Example(ids, (IGNORED,) * len(ids), 0, place) for place, ids in enumerate(prompts)]


def nearest(
    rows: Float[np.ndarray, "rows dim"], among: Float[np.ndarray, "others dim"], *, number: int = 1
) -> np.ndarray:
    """For each row the most similar of others, by cosine once the others' mean is taken out of both.

    Returns:
        (rows, number) int64: places among the others, the nearest first; fewer columns where there are fewer others.
    """
    middle = among.mean(axis=0)
    a, b = rows - middle, among - middle
    a, b = a / (np.linalg.norm(a, axis=1, keepdims=True) + 1e-9), b / (np.linalg.norm(b, axis=1, keepdims=True) + 1e-9)
    return np.asarray(np.argsort(-(a @ b.T), axis=1, kind="stable")[:, :number])


def _body(model: nn.Module) -> Any:
    """The model without a head."""
    return model.body if isinstance(model, Classifier) else model.base_model


def _pooled(
    job: Job, model: nn.Module, state: Float[Tensor, "rows time dim"], mask: Bool[Tensor, "rows time"]
) -> Float[Tensor, "rows dim"]:
    task = job.task
    if not isinstance(task, Classification):
        return pool(state, mask, "mean")
    pooled = pool(state, mask, task.pooling.mode)
    if task.pooling.normalize:
        pooled = nn.functional.normalize(pooled, dim=1)
    return pooled * (model.feature_scale if isinstance(model, Classifier) else 1.0)
