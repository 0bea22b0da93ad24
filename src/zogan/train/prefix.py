"""What does not train: where a model is cut, and the feed that reads from a cache what enters there.

Nothing below the lowest layer that trains changes, so that its output for a row is the same in every epoch, every seed
and every run on the same base and rows.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from torch import Tensor, nn

from zogan.data.batch import BatchSize
from zogan.models.cut import Cut, CutError, stacks
from zogan.progress import Progress, Silent
from zogan.tasks.job import Job, Split
from zogan.tasks.task import Batch, Monitor
from zogan.train.feed import Rows
from zogan.train.filling import Filler, filled
from zogan.train.forward import as_trained, run_of
from zogan.train.hidden import States
from zogan.train.need import splits_of
from zogan.train.regularize import Objective


@dataclass(frozen=True)
class Frozen:
    """What of a model does not train, where its stack of layers is cut.

    Args:
        cut: below it nothing trains.
        names: parameters of the modules that are done when the cut is reached.
    """

    cut: Cut
    names: frozenset[str]


def cut_by_depth(job: Job, model: nn.Module, depth: int | str, progress: Progress = Silent()) -> Frozen | None:
    """Cut so that the topmost `depth` layers lie above; None where all do, or where the model cannot be cut."""
    if not isinstance(depth, int):
        return None
    return _cut(job, model, lambda layers: len(layers) - depth, frozenset(), progress)


def cut_by_training(job: Job, model: nn.Module, progress: Progress = Silent()) -> Frozen | None:
    """Cut below the lowest layer that trains; None where the lowest does, or where the model cannot be cut.

    Where `budget.depth` leaves layers below, the cut is there, though the selection has left out the lowest that may
    change: its cache is that of the selection, and dropout is where it is without a choice.
    """
    trained, depth = frozenset(name for name, p in model.named_parameters() if p.requires_grad), job.config.budget.depth

    def lowest(layers: nn.ModuleList) -> int:
        places = [place for place, layer in enumerate(layers) if any(p.requires_grad for p in layer.parameters())]
        found = min(places, default=len(layers) - 1)
        below = len(layers) - depth if isinstance(depth, int) else 0
        return min(found, below) if below > 0 else found

    return _cut(job, model, lowest, trained, progress)


def _cut(
    job: Job,
    model: nn.Module,
    index: Callable[[nn.ModuleList], int],
    trained: Collection[str],
    progress: Progress,
) -> Frozen | None:
    reason = "it has no list of like layers"
    for name, layers in stacks(model).items():
        place = index(layers)
        if place < 1:
            return None
        cut = Cut(model, name, place)
        try:
            _check(job, model, cut)
        except CutError as error:
            reason = str(error)
            continue
        frozen = Frozen(cut, owned(model, cut.before))
        if not frozen.names & set(trained):
            return frozen
        reason = f"what trains lies below {cut} too"
    progress.note(f"the layers that do not train run in every epoch: {reason}")
    return None


def _check(job: Job, model: nn.Module, cut: Cut) -> None:
    """Two short rows show whether replaying is the same."""
    examples = sorted(job.examples("train"), key=lambda example: len(example.ids))[:2]
    with as_trained(job).running(model):
        cut.check(run_of(job, model, examples))


def owned(model: nn.Module, modules: frozenset[nn.Module]) -> frozenset[str]:
    """Parameters that no other module has."""
    inside = {id(p) for module in modules for p in module._parameters.values() if p is not None}
    return frozenset(name for name, p in model.named_parameters(remove_duplicate=False) if id(p) in inside)


class Prefixed(Rows):
    """Rows of which what enters the lowest trained layer is read from a cache.

    Args:
        job: base, rows and task.
        size: of a validation batch.
        filler: computes what is not in the cache yet.
        objective: what is minimised; the task's own loss where absent.
        progress: told how far the cache is.
        splits: those that will be asked for; all that the job trains on or validates by where absent.
    """

    def __init__(
        self,
        job: Job,
        size: BatchSize,
        filler: Filler,
        *,
        objective: Objective | None = None,
        progress: Progress = Silent(),
        splits: Sequence[Split] | None = None,
    ) -> None:
        super().__init__(job, size, objective)
        self.cut = filler.cut
        self.states = {split: filled(job, split, filler, progress) for split in splits or splits_of(job)}

    def batch(self, rows: list[int]) -> Batch:
        """The rows, collated, with what enters the cut: `hidden`, (rows, time, dim)."""
        hidden = self.states["train"].read(self.objective.rows(rows), packed=self.packs)
        return {**super().batch(rows), "hidden": hidden}

    def loss(self, model: nn.Module, batch: Batch) -> tuple[Tensor, int]:
        """Sum of losses, and number of targets."""
        rest = {name: tensor for name, tensor in batch.items() if name != "hidden"}
        resting(self.cut)
        with self.cut.replay(batch["hidden"]):
            return self.objective(model, rest)

    def monitor(self, model: nn.Module) -> Monitor:
        """Figures on the validation rows."""
        return self.task.monitor(model, self.held_out, self.size, self.enter_held_out)

    def enter_held_out(self, rows: list[int]) -> AbstractContextManager[None]:
        """The context in which a model runs on validation rows."""
        return self._replay("validation", rows)

    def enter(self, rows: list[int], packed: bool = False) -> AbstractContextManager[None]:
        """The context in which a model runs on training rows, padded or behind one another."""
        return self._replay("train", rows, packed=packed)

    def _replay(self, split: Split, rows: list[int], *, packed: bool = False) -> AbstractContextManager[None]:
        return from_cache(self.cut, self.states[split], rows, packed=packed)


class Resting(Rows):
    """Rows through the whole model, of which the part below a cut rests: no dropout there.

    What `train.cache: off` gives: the same figures as from a cache, at the price of running that part in every epoch.
    """

    def __init__(self, job: Job, size: BatchSize, cut: Cut, objective: Objective | None = None) -> None:
        super().__init__(job, size, objective)
        self.cut = cut

    def loss(self, model: nn.Module, batch: Batch) -> tuple[Tensor, int]:
        """Sum of losses, and number of targets."""
        resting(self.cut)
        return super().loss(model, batch)


def from_cache(cut: Cut, states: States, rows: list[int], *, packed: bool = False) -> AbstractContextManager[None]:
    """The context in which a cut model runs on rows whose states are kept, padded or behind one another."""
    return cut.replay(states.read(rows, packed=packed).to(next(cut.model.parameters()).device))


def resting(cut: Cut) -> None:
    """Put what lies below a cut into evaluation mode: what does not train has no dropout."""
    for module in cut.before:
        module.training = False
