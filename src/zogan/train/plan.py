"""What of a model is in memory while it is tuned: all of it, or the layers that train alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import psutil
from torch import nn

from zogan.data.batch import batch_size, ordered
from zogan.errors import ConfigError
from zogan.models.cut import stacks
from zogan.select.saliency import eligible
from zogan.tasks.job import Job
from zogan.train.filling import SPLITS, TOKENS_AT_ONCE
from zogan.weights import headers

ROOM = 0.9
"""Share of the free memory that is taken where no bound is given."""

LOGITS_BYTES = 3 * 2**26
VALUE_BYTES = 64
"""A chosen weight: position, old and new value, gradient, two moments, and the candidate's place in the selection."""


@dataclass(frozen=True)
class Plan:
    """Layers in memory.

    Attributes:
        index: of the lowest layer that is in memory while training.
        at_once: layers in memory while the prefix cache is computed.
        peak_bytes: of the process, at most.
    """

    index: int
    at_once: int
    peak_bytes: int


@dataclass(frozen=True)
class Sizes:
    """What a model's parts take, in bytes.

    Attributes:
        program: the process without the model.
        rest: outside of the stack of layers.
        layers: each layer.
        largest: the largest matrix that may change.
        activations: kept for backward, for each token and layer.
        tokens: in the largest batch.
    """

    program: int
    rest: int
    layers: tuple[int, ...]
    largest: int
    activations: int
    tokens: int

    def whole(self, depth: int, density: float) -> int:
        """Peak of tuning `depth` layers with the whole model in memory."""
        return self.program + self.rest + sum(self.layers) + self._training(depth, density)

    def part(self, depth: int, density: float, at_once: int) -> int:
        """Peak of tuning `depth` layers with no other in memory but while the cache is computed."""
        held = sum(self.layers[len(self.layers) - depth :]) + self._training(depth, density)
        # A forward pass keeps of one layer at a time what it would keep of all.
        streamed = at_once * max(self.layers) + max(TOKENS_AT_ONCE, self.tokens) * self.activations
        return self.program + self.rest + max(held, streamed)

    def _training(self, depth: int, density: float) -> int:
        chosen = density * sum(self.layers[len(self.layers) - depth :]) / 4
        # The selection has one dense gradient, in fp32 and folded; writing a value needs a copy of none.
        return int(self.activations * self.tokens * depth + LOGITS_BYTES + VALUE_BYTES * chosen + 3 * self.largest)


def plan_for(job: Job) -> Plan | None:
    """Which layers to have in memory; None where the whole model may be.

    Raises:
        ConfigError: what is asked for does not fit into the memory, with what would.
    """
    budget, held = job.config.budget, program_bytes()
    bound = budget.memory or int(ROOM * psutil.virtual_memory().available) + held
    if job.config.method != "sparse":
        return None
    stored = sum(info.numel * 4 for info in headers(job.base.folder).values())
    if budget.memory is None and 3 * stored < bound - held:
        return None  # far from it: no need to look closer
    model = job.task.model(seed=job.config.train.seed, dtype=job.dtype, empty=True)
    sizes = measure(job, model, program=held)
    number = len(sizes.layers)
    depth = number if budget.depth == "all" else min(int(budget.depth), number)
    density = budget.density
    if sizes.whole(depth, density) <= bound:
        return None
    if depth < number and sizes.part(depth, density, 1) <= bound:
        at_once = max(count for count in range(1, number - depth + 1) if sizes.part(depth, density, count) <= bound)
        return Plan(number - depth, at_once, sizes.part(depth, density, at_once))
    fits = [other for other in range(1, number) if sizes.part(other, density, 1) <= bound]
    wanted = min(sizes.whole(depth, density), sizes.part(depth, density, 1) if depth < number else 2**62)
    least = sizes.part(1, density, 1)
    if fits:
        todo = f"Up to {max(fits)} of {number} layers fit: --set budget.depth={max(fits)}"
    else:
        todo = f"One layer takes about {_gigabytes(least)}: --set budget.memory={_gigabytes(least).replace(' ', '')}"
        todo += ", a smaller train.batch_size or a smaller train.max_length"
    raise ConfigError(
        f"tuning {depth} of {number} layers takes about {_gigabytes(wanted)}, and {_gigabytes(bound)} may be taken",
        where="budget.memory" if budget.memory else "budget",
        todo=todo,
    )


@cache
def program_bytes() -> int:
    """What the process takes without a model: taken once, for what an earlier model left behind is used again."""
    return int(psutil.Process().memory_info().rss)


def measure(job: Job, model: nn.Module, *, program: int) -> Sizes:
    """Sizes from the shapes of a model, which may be empty.

    Args:
        job: whose rows go through it.
        model: the job's.
        program: bytes that the process takes without it.
    """
    found = stacks(model)
    layers = next(iter(found.values()), nn.ModuleList())
    inside = {id(p) for p in layers.parameters()}
    chosen = eligible(model, whole=job.task.head(model)).values()
    lengths = [len(example.ids) for split in SPLITS for example in job.examples(split)]
    batches = ordered(lengths, batch_size(job.config.train))
    tokens = max(len(rows) * lengths[rows[0]] for rows in batches)
    return Sizes(
        program=program,
        rest=sum(p.numel() * p.element_size() for p in model.parameters() if id(p) not in inside),
        layers=tuple(sum(p.numel() * p.element_size() for p in layer.parameters()) for layer in layers),
        largest=4 * max(p.numel() for p in chosen),
        activations=max((_activations(layer) for layer in layers), default=0),
        tokens=tokens,
    )


def _activations(layer: nn.Module) -> int:
    """Bytes that a layer keeps of each token: what its matrices read and give, and its norms and residuals."""
    shapes = [p.shape for p in layer.parameters() if p.dim() == 2]
    if not shapes:
        return 0
    width = min(min(shape) for shape in shapes)
    return 4 * (sum(sum(shape) for shape in shapes) + 8 * width)


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
