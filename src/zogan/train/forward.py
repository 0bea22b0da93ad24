"""How rows run through the layers that do not change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from zogan.data.batch import BatchSize, Tokens, batch_size
from zogan.tasks.inference import evaluating, to_device
from zogan.tasks.job import Job
from zogan.tasks.task import Example
from zogan.train.hidden import DTYPES

TOKENS_AT_ONCE = 4096


@dataclass(frozen=True)
class Forward:
    """Of all that a hidden state hangs on, what a stage decides.

    Attributes:
        size: of a batch.
        autocast: dtype of activations; None where they have that of the weights.
        kept: dtype of a state in the cache; None is as it comes.
    """

    size: BatchSize
    autocast: torch.dtype | None = None
    kept: torch.dtype | None = None

    @contextmanager
    def running(self, model: nn.Module) -> Iterator[None]:
        """Evaluation mode, no gradient, and activations in their dtype."""
        device = next(model.parameters()).device.type
        with evaluating(model), torch.autocast(device, self.autocast) if self.autocast else nullcontext():
            yield


def as_trained(job: Job) -> Forward:
    """As training gives activations, and as `train.cache_dtype` keeps them."""
    kept = job.config.train.cache_dtype
    return Forward(Tokens(TOKENS_AT_ONCE), job.activations, DTYPES[kept] if kept else None)


def as_measured(job: Job) -> Forward:
    """As figures are taken: in the same batches, so that from a cache they are the same to the last bit."""
    return Forward(batch_size(job.config.evaluate))


def run_of(job: Job, model: nn.Module, examples: Sequence[Example]) -> Callable[[], Tensor]:
    """One run of the model on some rows."""
    batch = to_device(job.task.collate(examples), next(model.parameters()).device)
    return lambda: job.task.loss(model, batch)[0]
