"""Re-selection: at a few steps of training some of the chosen weights make way for others.

Drop and grow: SpIEL (arXiv:2401.16405), with the schedule of RigL (arXiv:1911.11134).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from zogan.config import RESELECT_UNTIL, SelectConfig, TrainConfig
from zogan.data.batch import batch_size, bucketed
from zogan.errors import ConfigError, ZoganError
from zogan.select.criteria import find
from zogan.select.eligible import Pool, pool_of
from zogan.select.exchange import exchange
from zogan.select.job import SALIENCY_EPOCH
from zogan.sparse.attach import old_values, rechoose, reserve, sparse_layers
from zogan.sparse.layer import Sparse, carried
from zogan.sparse.selection import Selection
from zogan.tasks.balance import drawn_by
from zogan.tasks.inference import to_device
from zogan.tasks.job import Job
from zogan.train.feed import Rows

_DONE = "exchanges"
"""Among the places, what was exchanged so far: rows of (step, number of weights)."""


@dataclass(frozen=True)
class Exchanged:
    """One re-selection: after how many steps, and how many of the chosen weights gave way."""

    step: int
    exchanged: int
    chosen: int


def schedule(times: int, share: float, steps: int) -> dict[int, float]:
    """After which steps weights are exchanged, and which share of the chosen ones (arXiv:1911.11134, section 3).

    The steps stand evenly within the first `RESELECT_UNTIL` of the training; the share falls to 0 at the end of that by
    a cosine. Where there are fewer steps than that, some fall together.

    Args:
        times: how often.
        share: where the cosine begins, 0 to 1.
        steps: of the training in all.
    """
    found = {}
    for place in range(1, times + 1):
        through = place / (times + 1)
        step = max(1, round(through * RESELECT_UNTIL * steps))
        if step < steps:
            found[step] = share / 2 * (1 + math.cos(math.pi * through))
    return found


def check_criterion(name: str) -> None:
    """See that a criterion can say anew which weights are best.

    Raises:
        ConfigError: its scores do not hang on the gradient, nor on chance.
    """
    if find(name).fold is None and name != "random":
        raise ConfigError(
            f"criterion {name!r} looks at no gradient: what is dropped would come back by the same score",
            where="train.reselect",
            todo="Set it to 0, or take another select.criterion",
        )


class Reselection:
    """Which weights train, and what becomes of the optimiser's state where that changes.

    Weights that stay keep their moments. Those that come in start from moments of zero, with steps that are corrected
    for the bias of those by their own age (Adam, arXiv:1412.6980, section 3): by that of the others, which is none any
    more, their first steps would be several times too long.

    Args:
        job: whose `select:` and `train:` sections say how.
        settings: of the loop.
        model: with `selection` attached. Layers that may get weights are made ready: they have `values` afterwards.
        selection: what is chosen at first. No other tensor than its own comes to train.
        feed: of the training rows.
        frozen: parameters that do not change, such as those below the prefix cache's cut.

    Raises:
        ConfigError: the criterion looks at no gradient.
    """

    def __init__(
        self,
        job: Job,
        settings: TrainConfig,
        model: nn.Module,
        selection: Selection,
        feed: Rows,
        *,
        frozen: Collection[str] = (),
    ) -> None:
        select: SelectConfig = job.config.select
        check_criterion(select.criterion)
        self.select, self.settings, self.model, self.feed, self.start = select, settings, model, feed, selection
        self.classes = drawn_by(job)
        self.pool: Pool = pool_of(
            model,
            select.parameters,
            include=select.include,
            exclude=select.exclude,
            whole={*job.task.head(model), *frozen},
        )
        may = {*self.pool.weights} - {*self.pool.counted}
        reserve(model, (name for name in selection.positions if name in may))
        self.layers = {name: layer for name, layer in sparse_layers(model).items() if name in may}
        self.due: dict[int, float] = {}
        self.done: list[Exchanged] = []
        self.born: dict[str, Int64[Tensor, " chosen"]] = {}

    def plan(self, steps: int) -> None:
        """Begin, with the model where it will train: so many steps there will be in all."""
        self.born = {name: torch.zeros_like(layer.chosen) for name, layer in self.layers.items()}
        self.due = schedule(self.settings.reselect, self.settings.reselect_share, steps)

    def exchange(self, step: int, optimizer: torch.optim.Optimizer) -> Exchanged:
        """Exchange the share that is due after a step, in the model and in the optimiser's state.

        Raises:
            ZoganError: a loss or a gradient is not finite.
        """
        number = len(self.done) + 1
        chosen = {name: layer.chosen for name, layer in self.layers.items()}
        total = sum(len(flat) for flat in chosen.values())
        device = next(self.model.parameters()).device
        order = bucketed(
            self.feed.lengths,
            batch_size(self.settings),
            seed=self.settings.seed,
            epoch=SALIENCY_EPOCH + number,  # other rows than the first selection, and the ones before, have read
            classes=self.classes,
        )

        def loss(model: nn.Module, rows: list[int]) -> Float[Tensor, ""]:
            value, targets = self.feed.loss(model, to_device(self.feed.batch(rows), device))
            return value / targets

        after, count = exchange(
            self.model,
            order[: self.select.batches],
            loss,
            find(self.select.criterion),
            chosen=chosen,
            moved={name: _moved(layer) for name, layer in self.layers.items()},
            count=round(self.due[step] * total),
            allocation=self.select.allocation,
            rowless=self.pool.tables,
            seed=self.settings.seed + (number << 32),
        )
        rechoose(self.model, after)
        for name, layer in self.layers.items():
            state = optimizer.state.get(layer.values, {})
            for key, kept in state.items():
                if isinstance(kept, Tensor) and kept.dim():
                    none = kept.new_zeros(len(after[name]))
                    state[key] = carried(kept, chosen[name], after[name], none)
            now = torch.full_like(after[name], _steps(state))
            self.born[name] = carried(self.born[name], chosen[name], after[name], now)
        self.done.append(Exchanged(step, count, total))
        return self.done[-1]

    @contextmanager
    def stepping(self, optimizer: torch.optim.AdamW) -> Iterator[None]:
        """Around a step of the optimiser: what has come in goes as far as its own age says."""
        betas = optimizer.defaults["betas"]
        young: list[tuple[nn.Parameter, Tensor, Tensor, Tensor]] = []
        for name, layer in self.layers.items():
            if len(index := self.born[name].nonzero().squeeze(1)):
                young.append((layer.values, index, self.born[name][index], layer.values.detach()[index]))
        yield
        for values, index, born, before in young:
            steps = _steps(optimizer.state.get(values, {}))
            if not steps:
                continue
            age = (steps - born).clamp(min=1).double()
            share = _correction(age, *betas) / _correction(torch.full_like(age, steps), *betas)
            values.data[index] = before + (values.detach()[index] - before) * share.float()

    def old(self) -> dict[str, Tensor]:
        """What stood at the weights that are chosen now; see `zogan.sparse.attach.old_values`."""
        return old_values(self.model)

    def places(self) -> dict[str, Tensor]:
        """The chosen positions, and what was exchanged: all that says which weights the values are of."""
        done = torch.tensor([[one.step, one.exchanged] for one in self.done], dtype=torch.int64).reshape(-1, 2)
        return {_DONE: done, **{name: layer.chosen.cpu() for name, layer in self.layers.items()}}

    def place(self, places: Mapping[str, Tensor]) -> None:
        """Have these weights train, as `places` gave them; values and ages come after."""
        rechoose(self.model, {name: places[name] for name in self.layers})
        total = sum(len(places[name]) for name in self.layers)
        self.done = [Exchanged(step, count, total) for step, count in places[_DONE].tolist()]
        self.born = {name: torch.zeros_like(layer.chosen) for name, layer in self.layers.items()}

    def state(self) -> dict[str, Any]:
        """For a checkpoint, beside `places`."""
        return {"born": self.born}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.born = {name: state["born"][name].to(layer.chosen) for name, layer in self.layers.items()}

    def selection(self) -> Selection:
        """What is chosen now. Its `meta` says what was exchanged, and no more what the first choice scored."""
        positions = {**self.start.positions, **{name: layer.chosen.cpu() for name, layer in self.layers.items()}}
        meta = {key: value for key, value in self.start.meta.items() if key != "worth"}
        meta["reselected"] = [{"step": one.step, "exchanged": one.exchanged} for one in self.done]
        found = Selection(positions, self.start.shapes, self.start.whole, meta)
        if "parameters" in meta:
            meta["parameters"] = self.pool.counts(found)
        return found


def refuse_several(processes: int) -> None:
    """See that one process trains.

    Raises:
        ZoganError: several do, and what they reduce would change its size.
    """
    if processes > 1:
        raise ZoganError(
            f"weights cannot be exchanged while {processes} processes train them",
            where="train.reselect",
            todo="Set it to 0, or train in one process",
        )


def _moved(layer: Sparse) -> Float[Tensor, " chosen"]:
    return (layer.values.detach() - layer.old.float()).abs()


def _steps(state: Mapping[str, Any]) -> int:
    """How many AdamW has taken with a parameter."""
    return int(state["step"]) if "step" in state else 0


def _correction(age: Float[Tensor, " some"], first: float, second: float) -> Float[Tensor, " some"]:
    """What a step is multiplied by, since moments that began at zero are too small."""
    return (1 - second**age).sqrt() / (1 - first**age)
