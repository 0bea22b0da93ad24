"""Floating-point operations of a job, by method and depth, from shapes and row lengths alone.

A product of (tokens, n) with a matrix of m x n is 2 m n operations a token; attention adds 4 x width for each pair of
tokens of a row. Backward pays as much again for the gradient of what a layer reads, and as much once more for that of
the weights, where they are wanted. So full fine-tuning is three forward passes, and layers below the lowest that trains
are none but the one that fills the prefix cache.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from zogan.config import Config
from zogan.data.batch import Tokens, batch_size, bucketed, ordered
from zogan.models.cut import stacks
from zogan.select.job import saliency_batches
from zogan.sparse.layer import is_matrix
from zogan.tasks.balance import drawn_by
from zogan.tasks.classifier import Classifier
from zogan.tasks.job import Job, Split
from zogan.tasks.task import IGNORED
from zogan.train.forward import TOKENS_AT_ONCE
from zogan.train.need import splits_of


@dataclass(frozen=True)
class Form:
    """What of a model its operations follow from.

    Attributes:
        layers: entries of each layer's matrices, from the lowest up.
        sides: sum of rows and columns of a layer's matrices, over all layers: what an adapter of rank 1 has.
        width: of the hidden states.
        head: entries of the matrix that makes logits.
        parameters: of the model in all.
    """

    layers: tuple[int, ...]
    sides: int
    width: int
    head: int
    parameters: int


@dataclass(frozen=True)
class Volume:
    """Rows as they go through a model.

    Attributes:
        tokens: with padding.
        pairs: of tokens of one row, with padding.
        targets: places where there is a loss.
        batches: of them.
    """

    tokens: int = 0
    pairs: int = 0
    targets: int = 0
    batches: int = 0

    def __add__(self, other: Volume) -> Volume:
        return Volume(
            self.tokens + other.tokens,
            self.pairs + other.pairs,
            self.targets + other.targets,
            self.batches + other.batches,
        )

    def times(self, count: int) -> Volume:
        """So many times over."""
        return Volume(self.tokens * count, self.pairs * count, self.targets * count, self.batches * count)


@dataclass(frozen=True)
class Work:
    """Floating-point operations, by what they are spent on."""

    selection: int
    cache: int
    training: int
    validation: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.selection + self.cache + self.training + self.validation


@dataclass(frozen=True)
class Volumes:
    """What goes through the model in each phase: the saliency pass, the cache, all epochs, all validations.

    `plain` is all epochs with each row once a step: R-Drop, which passes it twice, is the configured method's alone.
    """

    selection: Volume
    cache: Volume
    training: Volume
    plain: Volume
    validation: Volume

    def steps(self, config: Config, method: str) -> Volume:
        """What a method's epochs send through the model."""
        return self.training if method == config.method else self.plain


def form_of(job: Job, model: nn.Module) -> Form:
    """The form of a job's model, which may be empty."""
    layers = next(iter(stacks(model).values()), nn.ModuleList([model]))
    body: Any = model.body if isinstance(model, Classifier) else model
    output = None if isinstance(model, Classifier) else body.get_output_embeddings()
    heads = [p.numel() for name in job.task.head(model) if (p := model.get_parameter(name)).dim() == 2]
    matrices = [
        [module.get_parameter("weight").shape for module in layer.modules() if is_matrix(module)] for layer in layers
    ]
    seen = {id(p): p.numel() for p in model.parameters()}
    return Form(
        layers=tuple(sum(shape.numel() for shape in shapes) for shapes in matrices),
        sides=sum(sum(shape) for shapes in matrices for shape in shapes),
        width=body.config.get_text_config().hidden_size,
        head=output.weight.numel() if output is not None else sum(heads),
        parameters=sum(seen.values()),
    )


def volumes_of(job: Job) -> Volumes:
    """What the job's configuration sends through the model, if no epoch is saved by stopping early."""
    train, restraint, seed = job.config.train, job.config.regularize, job.config.train.seed
    lengths = {split: [len(example.ids) for example in job.examples(split)] for split in splits_of(job)}
    classes = drawn_by(job)
    epochs = [
        bucketed(lengths["train"], batch_size(train), seed=seed, epoch=epoch, classes=classes)
        for epoch in range(train.epochs)
    ]

    def trained(passes: int) -> Volume:
        batches = ([rows * passes for rows in epoch] for epoch in epochs)
        return sum((volume(job, "train", epoch) for epoch in batches), Volume()).times(max(train.folds or 0, 1))

    plain = trained(1)
    at_once = Tokens(TOKENS_AT_ONCE)
    # Of `train.folds` each holds a part of the rows out once: all of them in all, and the others train.
    fold_runs = train.folds or 0
    held_out: Split = "train" if fold_runs else "validation"
    points = len(restraint.points) * (train.epochs if fold_runs else 1)
    return Volumes(
        selection=volume(job, "train", saliency_batches(job)).times(1 + fold_runs),
        cache=sum((volume(job, split, ordered(some, at_once)) for split, some in lengths.items()), Volume()),
        training=plain if restraint.passes == 1 else trained(restraint.passes),
        plain=plain,
        validation=volume(job, held_out, ordered(lengths[held_out], batch_size(job.config.evaluate))).times(
            train.epochs + points
        ),
    )


def volume(job: Job, split: Split, batches: Iterable[list[int]]) -> Volume:
    """Batches of rows of a split."""
    examples, packed = job.examples(split), job.config.train.packing
    found = Volume()
    for rows in batches:
        lengths = [len(examples[row].ids) for row in rows]
        padded = lengths if packed else [max(lengths)] * len(rows)
        labelled = sum(
            sum(label != IGNORED for label in labels[1:]) if len(labels := examples[row].labels) > 1 else 1
            for row in rows
        )
        found += Volume(sum(padded), sum(length**2 for length in padded), labelled, 1)
    return found


def work_of(config: Config, form: Form, volumes: Volumes, *, method: str, depth: int | None = None) -> Work:
    """Operations of a whole run of a method: selection, prefix cache, training and validation.

    Args:
        config: density, rank and whether there is a cache.
        form: of the model.
        volumes: what goes through it.
        method: sparse, full, lora or head.
        depth: topmost layers that train, for sparse; all where absent.
    """
    number = len(form.layers)
    depth = number if depth is None or method in ("full", "lora") else min(depth, number)
    above, below = form.layers[number - depth :], form.layers[: number - depth]
    cached = method == "sparse" and depth < number and config.train.cache == "auto"
    runs = above if cached else form.layers  # in each epoch
    if method == "head":
        features = volumes.cache  # once through the body; the head itself costs nothing beside it
        head = 6 * form.head * volumes.plain.targets + 2 * form.head * volumes.validation.targets
        return Work(0, forward(form.layers, form, features), head, 0)
    train, check, chosen = volumes.steps(config, method), volumes.validation, volumes.selection
    steps = forward(runs, form, train) + inputs(above, form, train) + 4 * form.head * train.targets
    if method == "full":
        steps += 2 * sum(form.layers) * train.tokens + 2 * form.head * train.targets
    elif method == "lora":  # forward, the gradient of what it reads, and that of its weights
        steps += 6 * config.lora.rank * form.sides * train.tokens
    else:
        steps += 2 * chosen_of(form.layers, config.budget.density, depth) * train.tokens
    selection = 0
    if method == "sparse":
        selection = forward(above if cached else form.layers, form, chosen) + inputs(above, form, chosen)
        selection += 2 * sum(above) * chosen.tokens + 4 * form.head * chosen.targets
        selection *= 1 + config.train.reselect
    validation = forward(runs, form, check) + 2 * form.head * check.targets
    if method == "sparse" and config.second_stage:
        # All once more, with adapters: where they go is found by a pass like the selection's.
        beside = config.lora.rank * form.sides * config.adapters.count(depth) // number
        selection += selection // (1 + config.train.reselect)
        steps, validation = 2 * steps + 6 * beside * train.tokens, 2 * validation
    return Work(
        selection=selection,
        cache=forward(below, form, volumes.cache) if cached else 0,
        training=steps,
        validation=validation,
    )


def chosen_of(layers: Sequence[int], density: float, depth: int, tables: Sequence[int] = ()) -> int:
    """How many weights are chosen. Vectors that train whole are within the share: as many fewer elements are.

    Args:
        layers: entries of each layer's matrices, from the lowest up; the share is of all of them.
        density: that share.
        depth: topmost layers that may change, which cannot hold more than they have.
        tables: entries of each embedding matrix that may change beside them.
    """
    return min(int(density * sum(layers)), sum(layers[len(layers) - depth :])) + int(density * sum(tables))


def forward(layers: tuple[int, ...], form: Form, volume: Volume) -> int:
    """Operations of these layers' forward pass."""
    return 2 * sum(layers) * volume.tokens + 4 * form.width * len(layers) * volume.pairs


def inputs(layers: tuple[int, ...], form: Form, volume: Volume) -> int:
    """Operations of the gradient of what these layers read; attention has two products for each of forward's."""
    return 2 * sum(layers) * volume.tokens + 8 * form.width * len(layers) * volume.pairs
