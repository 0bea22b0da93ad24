"""Whether a base reads several rows as one sequence as it reads them alone: told by trying."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from jaxtyping import Float
from torch import Tensor, nn

from zogan.config import TrainConfig
from zogan.data.batch import batch_size, bucketed
from zogan.errors import ConfigError, one_line
from zogan.tasks.generation import Generation
from zogan.tasks.inference import evaluating, to_device
from zogan.tasks.labelled import labelled_losses
from zogan.tasks.task import Batch, Example

_TOLERANCE = 1e-4
_HALF_TOLERANCE = 3e-2
"""Mean distance of a token's loss, nats. A row that sees its neighbours is off by ten times as much and more."""


Enter = Callable[[list[int], bool], AbstractContextManager[None]]
"""Rows, and whether they are packed, to the context in which the model runs on them."""


def check_packing(
    task: Generation,
    model: nn.Module,
    examples: Sequence[Example],
    settings: TrainConfig,
    *,
    enter: Enter | None = None,
) -> None:
    """Run the first batch packed and row by row.

    Args:
        task: whose rows they are.
        model: as it will be trained; its mode is as before afterwards.
        examples: the training rows.
        settings: with `packing` and `tokens_per_batch`.
        enter: the context in which the model runs; none where absent.

    Raises:
        ConfigError: the losses differ, or the model takes no positions.
    """
    lengths = [len(example.ids) for example in examples]
    order = bucketed(lengths, batch_size(settings), seed=settings.seed, epoch=0)
    rows = next((rows for rows in order if len(rows) > 1), [])
    first = [examples[row] for row in rows]
    if not first:  # nothing is packed
        return
    device = next(model.parameters()).device

    def losses(batch: Batch, rows: list[int], *, packed: bool = False) -> Float[Tensor, " targets"]:
        with enter(rows, packed) if enter else nullcontext():
            return labelled_losses(model, to_device(batch, device))[0]

    with evaluating(model):
        alone = [losses(task.collate([example]), [row]) for row, example in zip(rows, first, strict=True)]
        try:
            packed = losses(task.pack(first), rows, packed=True)
        except (TypeError, ValueError) as error:  # its forward takes no positions, or wants a mask
            raise _refused(task, one_line(error)) from None
    seen = len(alone[0])  # the first row has nothing before it
    distance = float((packed - torch.cat(alone))[seen:].abs().mean()) if len(packed) > seen else 0.0
    half = min(parameter.dtype.itemsize for parameter in model.parameters() if parameter.is_floating_point()) < 4
    if not distance <= (_HALF_TOLERANCE if half else _TOLERANCE):
        raise _refused(task, f"beside others a row's tokens have another loss than alone, by {distance:.2g} nats")


def _refused(task: Generation, what: str) -> ConfigError:
    architecture = task.base.architecture
    return ConfigError(
        f"this base ({architecture}) cannot pack: {what}", where="train.packing", todo="Set train.packing: false"
    )
