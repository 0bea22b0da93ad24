"""A model with a patch applied, of which parts are switched off and on again, bit for bit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from torch import nn

from zogan.data.rows import Row
from zogan.evaluate.explanation.part import LayerPart, changes_alone
from zogan.evaluate.run import Adapt, has_head
from zogan.models.cut import stacks
from zogan.patch import Patch
from zogan.progress import Progress
from zogan.tasks.job import Job, Split
from zogan.tasks.task import Enter, Predictions
from zogan.train.filling import Whole, filled
from zogan.train.forward import as_measured
from zogan.train.held import Held, InWhole, hold
from zogan.train.need import to_evaluate
from zogan.train.prefix import cut_by_depth, from_cache


class Switched:
    """The model with the whole patch, of which some layers' changes may be off while rows are predicted.

    Args:
        job: base, rows and task.
        patch: the whole.
        split: whose rows are predicted.
        answers: generation: rows that are answered, too.
        adapt: puts the patch's adapters into a model that has its changed weights.
        progress: told of rows predicted.

    Attributes:
        model: in memory, with the patch applied.
        cut: layers that run once for each row, as nothing changes in them; 0 where all run each time.
    """

    def __init__(self, job: Job, patch: Patch, split: Split, *, answers: int, adapt: Adapt, progress: Progress) -> None:
        self.job, self.patch, self.split, self.progress = job, patch, split, progress
        self._settings = job.config.evaluate.model_copy(update={"answers": answers})
        job = job.under(job.config.model_copy(update={"evaluate": self._settings}))
        held = hold(job, to_evaluate(job, split, [patch]), progress=progress)
        self.model, names = held.model, job.task.tensor_names(held.model)
        has_head(job, self.model, patch)
        patch.apply(self.model, names)
        self.cut, self._enter = _prefix(job, held, patch, names, split, progress)
        # An adapter stands around a layer, which gives its weight another name: parameters are known by themselves.
        tensors = {id(p): names[name] for name, p in self.model.named_parameters() if name in names}
        if patch.adapters:
            self.model = adapt(self.model, patch)
        self._names = {name: tensors[id(p)] for name, p in self.model.named_parameters() if id(p) in tensors}

    @property
    def rows(self) -> Sequence[Row]:
        """Those that are predicted."""
        rows: Sequence[Row] = getattr(self.job.splits, self.split)
        return rows

    @contextmanager
    def off(self, parts: Sequence[LayerPart]) -> Iterator[None]:
        """Inside, these parts of the patch are reverted; afterwards every bit is as it was.

        Raises:
            IntegrityError: the model does not hold the patch's values.
        """
        some = changes_alone(self.patch, frozenset[str]().union(*(part.tensors for part in parts)))
        some.revert(self.model, self._names)
        try:
            yield
        finally:
            some.apply(self.model, self._names)

    def without(self, parts: Sequence[LayerPart]) -> Predictions:
        """What the model says of the rows with these parts switched off."""
        with self.off(parts):
            return self.job.task.predict(self.model, self.rows, self._settings, self.progress, self._enter)


def _prefix(
    job: Job, held: Held, patch: Patch, names: Mapping[str, str], split: Split, progress: Progress
) -> tuple[int, Enter]:
    """Where nothing changes in the lowest layers, each row goes through them once; see `zogan.train.prefix`."""
    whole = held.enter(split)
    if not isinstance(held, InWhole) or patch.adapters:
        return 0, whole
    changed = {name for name, tensor in names.items() if tensor in patch.changes}
    lowest, number = _lowest(held.model, changed)
    if lowest < 1:
        return 0, whole
    frozen = cut_by_depth(job, held.model, number - lowest, progress)
    if frozen is None or frozen.names & changed:
        return 0, whole
    filler = Whole(job, held.model, frozen.cut)
    filler.forward = as_measured(job)
    states = filled(job, split, filler, progress)
    return lowest, lambda rows: from_cache(frozen.cut, states, rows)


def _lowest(model: nn.Module, changed: set[str]) -> tuple[int, int]:
    """The lowest layer of the model's largest stack in which a parameter changes, and the number of its layers."""
    for stack, layers in stacks(model).items():
        places = [
            place
            for place, layer in enumerate(layers)
            if any(f"{stack}.{place}.{name}" in changed for name, _ in layer.named_parameters())
        ]
        return min(places, default=0), len(layers)
    return 0, 0
