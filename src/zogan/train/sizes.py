"""What a stage takes of the memory, from the shapes of its model and the lengths of its rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from zogan.data.batch import BatchSize, batch_size, ordered
from zogan.models.cut import stacks
from zogan.select.eligible import eligible, embeddings
from zogan.tasks.job import Job
from zogan.train.cost import chosen_of, form_of
from zogan.train.need import Need

LOGITS_BYTES = 3 * 2**26
VALUE_BYTES = 64
"""A chosen weight: position, old and new value, gradient, two moments, and the candidate's place in the selection."""


@dataclass(frozen=True)
class Sizes:
    """What a stage's parts take: bytes, and tokens in the largest batch.

    Attributes:
        program: the process without the model.
        rest: outside of the stack of layers.
        layers: each layer.
        largest: the largest matrix that may change.
        activations: kept for backward, for each token and layer.
        trained: tokens of a training batch; 0 where no layer trains.
        measured: tokens of a batch of which figures are taken.
        streamed: tokens of a batch on its way through the layers that do not change.
        tables: weights of each embedding matrix of which some may change; they lie below all layers.
        matrices: weights of each layer's matrices, of which some may change.
    """

    program: int
    rest: int
    layers: tuple[int, ...]
    largest: int
    activations: int
    trained: int
    measured: int
    streamed: int
    tables: tuple[int, ...] = ()
    matrices: tuple[int, ...] = ()

    def whole(self, depth: int, density: float) -> int:
        """Peak with the whole model in memory, of which `depth` layers may change."""
        return self.program + self.rest + sum(self.layers) + self._used(depth, density)

    def part(self, depth: int, density: float, at_once: int) -> int:
        """Peak with `depth` layers in memory and no other but while the cache is computed."""
        held = sum(self.layers[len(self.layers) - depth :]) + self._used(depth, density)
        # A forward pass keeps of one layer at a time what it would keep of all.
        streamed = at_once * max(self.layers) + self.streamed * self.activations
        return self.program + self.rest + max(held, streamed)

    def _used(self, depth: int, density: float) -> int:
        tables = self.tables if depth == len(self.layers) else ()
        chosen = chosen_of(self.matrices, density, depth, tables)
        # The selection has one dense gradient, in fp32 and folded; writing a value needs a copy of none.
        largest = max(self.largest, 4 * max(tables, default=0))
        training = self.activations * self.trained * depth + 3 * largest
        return int(LOGITS_BYTES + VALUE_BYTES * chosen + max(training, self.activations * self.measured))


def measure(job: Job, model: nn.Module, need: Need, *, program: int) -> Sizes:
    """Sizes from the shapes of a model, which may be empty.

    Args:
        job: whose rows go through it.
        model: the job's.
        need: what is asked of it.
        program: bytes that the process takes without it.
    """
    found = stacks(model)
    layers = next(iter(found.values()), nn.ModuleList())
    inside = {id(p) for p in layers.parameters()}
    chosen = eligible(model, whole=job.task.head(model)).values() if need.trains else ()
    asked = need.trains and job.config.method == "sparse" and "embeddings" in job.config.select.parameters
    select = job.config.select
    tables = embeddings(model, include=select.include, exclude=select.exclude).values() if asked else ()
    lengths = [len(example.ids) for split in need.splits for example in job.examples(split)]
    return Sizes(
        program=program,
        rest=sum(p.numel() * p.element_size() for p in model.parameters() if id(p) not in inside),
        layers=tuple(sum(p.numel() * p.element_size() for p in layer.parameters()) for layer in layers),
        largest=4 * max((p.numel() for p in chosen), default=0),
        activations=max((_activations(layer) for layer in layers), default=0),
        trained=_tokens(lengths, batch_size(job.config.train)) if need.trains else 0,
        measured=_tokens(lengths, batch_size(job.config.evaluate)),
        streamed=_tokens(lengths, need.forward.size),
        tables=tuple(p.numel() for p in tables),
        matrices=form_of(job, model).layers,
    )


def _tokens(lengths: Sequence[int], size: BatchSize) -> int:
    return max(len(rows) * lengths[rows[0]] for rows in ordered(lengths, size))


def _activations(layer: nn.Module) -> int:
    """Bytes that a layer keeps of each token: what its matrices read and give, and its norms and residuals."""
    shapes = [p.shape for p in layer.parameters() if p.dim() == 2]
    if not shapes:
        return 0
    width = min(min(shape) for shape in shapes)
    return 4 * (sum(sum(shape) for shape in shapes) + 8 * width)
