"""Time, memory and file size of tuning, before it is run: operations from shapes, seconds from a calibration."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from zogan.errors import ConfigError
from zogan.select.candidates import MULTIPLE
from zogan.select.eligible import embeddings
from zogan.tasks.job import Job
from zogan.train.calibration import Calibration, Pace
from zogan.train.cost import Form, Volume, Volumes, Work, chosen_of, form_of, forward, volumes_of, work_of
from zogan.train.depth import deepest
from zogan.train.filling import resident_bytes
from zogan.train.hidden import DTYPES, bytes_wanted
from zogan.train.need import splits_of, to_tune
from zogan.train.plan import Plan, plan_for, program_bytes
from zogan.weights import headers

LOADS = 3
"""Times that a base's bytes go through memory when it is loaded: read, given to the model, compared."""


@dataclass(frozen=True)
class Setting:
    """What is estimated.

    Attributes:
        method: sparse, lora, full or head.
        depth: topmost layers that train, for sparse; all where absent.
    """

    method: str
    depth: int | None = None

    def label(self, layers: int) -> str:
        """What people read."""
        if self.method != "sparse" or self.depth is None:
            return {"head": "head only", "lora": "LoRA"}.get(self.method, self.method)
        return f"sparse, {'all' if self.depth == layers else f'{self.depth} of {layers}'} layers"


@dataclass(frozen=True)
class Estimate:
    """What tuning with a setting takes: selection, prefix cache, training and its validations.

    Attributes:
        setting: of which this is.
        work: floating-point operations.
        seconds: wall time, if no epoch is saved by stopping early.
        peak_bytes: resident memory of the process at most.
        file_bytes: of the patch.
        trainable: weights that train.
        price: in the configured currency; None where no price is given.
    """

    setting: Setting
    work: Work
    seconds: float
    peak_bytes: int
    file_bytes: int
    trainable: int
    price: float | None

    def as_json(self) -> dict[str, Any]:
        """All of it, as JSON values."""
        found = asdict(self)
        return {**found.pop("setting"), **found, "operations": self.work.total}


class Estimator:
    """Estimates a job's settings from one calibration.

    Args:
        job: base, rows and options.
        calibration: of this machine.
    """

    def __init__(self, job: Job, calibration: Calibration) -> None:
        self.job, self.calibration = job, calibration
        self.model = job.task.model(seed=job.config.train.seed, dtype=job.dtype, empty=True)
        self.form: Form = form_of(job, self.model)
        self.volumes: Volumes = volumes_of(job)
        self.program = program_bytes() + calibration.left_bytes
        select = job.config.select
        asked = "embeddings" in select.parameters
        tables = embeddings(self.model, include=select.include, exclude=select.exclude) if asked else {}
        self.tables = tuple(parameter.numel() for parameter in tables.values())
        self.head = sum(self.model.get_parameter(name).numel() for name in job.task.head(self.model))

    def settings(self) -> list[Setting]:
        """Head alone where there is a new one, sparse at some depths, LoRA where PEFT is there, and full."""
        number = len(self.form.layers)
        depths = sorted({number, -(-number // 2), -(-number // 4)})
        found = [Setting("head")] if self.head else []
        found += [Setting("sparse", depth) for depth in depths]
        return found + [Setting(kind) for kind in ("lora", "full") if kind in self.calibration.paces]

    def configured(self) -> Setting:
        """The job's own method and depth; where the depth is chosen after the saliency pass, the deepest in reach."""
        budget, number = deepest(self.job).config.budget, len(self.form.layers)
        if self.job.config.method != "sparse":
            return Setting(self.job.config.method)
        return Setting("sparse", min(budget.depth, number) if isinstance(budget.depth, int) else number)

    def estimate(self, setting: Setting, *, epochs: int | None = None) -> Estimate:
        """What a setting takes.

        Args:
            setting: method and depth.
            epochs: that are run; all of the configuration's where absent.
        """
        config = self.job.config
        whole = config.train.epochs
        share = 1.0 if epochs is None else epochs / whole
        work = work_of(config, self.form, self.volumes, method=setting.method, depth=setting.depth)
        seconds = self._seconds(setting, share)
        trainable = self._trainable(setting)
        price = None if config.cost.per_hour is None else seconds / 3600 * config.cost.per_hour
        return Estimate(
            setting, work, seconds, self._peak(setting, trainable), self._file(setting, trainable), trainable, price
        )

    def _depth(self, setting: Setting) -> int:
        """Topmost layers that train."""
        number = len(self.form.layers)
        return number if setting.depth is None else min(setting.depth, number)

    def _cached(self, setting: Setting) -> bool:
        """Whether what lies below those layers is kept."""
        below = self._depth(setting) < len(self.form.layers)
        return setting.method == "sparse" and below and self.job.config.train.cache == "auto"

    def _seconds(self, setting: Setting, share: float) -> float:
        paces, form, volumes = self.calibration.paces, self.form, self.volumes
        number, depth, cached = len(form.layers), self._depth(setting), self._cached(setting)
        load = LOADS * self.calibration.read * sum(info.nbytes for info in headers(self.job.base.folder).values())
        if setting.method == "head":
            return load + self._run(paces["forward"], volumes.cache, number)
        above, training = depth if cached else number, volumes.steps(self.job.config, setting.method)
        below = self._run(paces["forward"], training, number - depth, rest=False) if not cached else 0.0
        kind = paces[setting.method]
        steps = self._run(kind, training, depth if setting.method == "sparse" else number)
        if setting.method == "sparse":
            steps += below
        if setting.method == "full":
            steps += kind.optimiser * form.parameters * training.batches
        check = self._run(paces["forward"], volumes.validation, above)
        before = 0.0
        if setting.method == "sparse":
            passes = 1 + self.job.config.train.reselect
            before += passes * self._run(paces["select"], volumes.selection, depth) / 2  # two batches were timed
            if cached:
                before += self._run(paces["forward"], volumes.cache, number - depth, rest=False)
            if self.job.config.second_stage:  # its selection of layers, its steps and its validations, once more
                before += self._run(paces["select"], volumes.selection, depth) / 2
                steps, check = 2 * steps, 2 * check
        return load + before + share * (steps + check)

    def _run(self, pace: Pace, volume: Volume, layers: int, *, rest: bool = True) -> float:
        """Seconds of so many of the topmost layers on so many tokens, at a pace."""
        timed = self.calibration.volume
        layer = (sum(self.form.layers) // len(self.form.layers),)
        as_much = forward(layer, self.form, volume) / forward(layer, self.form, timed)
        # The head's work goes by targets; a small one's by batches, for to call it is all that it costs.
        outside = volume.targets / timed.targets if not self.head else volume.batches
        return pace.layer * layers * as_much + (pace.rest * outside if rest else 0.0)

    def _trainable(self, setting: Setting) -> int:
        form = self.form
        if setting.method == "head":
            return self.head
        if setting.method == "full":
            return form.parameters
        if setting.method == "lora":
            return self.job.config.lora.rank * form.sides + self.head
        density, tables = self.job.config.budget.density, self._tables(setting)
        chosen = chosen_of(form.layers, density, self._depth(setting), tables)
        return chosen + self.head + self._adapters(setting)

    def _tables(self, setting: Setting) -> tuple[int, ...]:
        """Weights of each embedding matrix of which some may change: below all layers, and so at full depth alone."""
        deep = setting.method == "sparse" and self._depth(setting) == len(self.form.layers)
        return self.tables if deep else ()

    def _adapters(self, setting: Setting) -> int:
        """Weights of a second stage's adapters."""
        config, number = self.job.config, len(self.form.layers)
        if setting.method != "sparse" or not config.second_stage:
            return 0
        return config.lora.rank * self.form.sides * config.adapters.count(self._depth(setting)) // number

    def _peak(self, setting: Setting, trainable: int) -> int:
        if (planned := self._planned(setting)) is not None:
            return planned.peak_bytes
        form, paces = self.form, self.calibration.paces
        weights = sum({id(p): p.numel() * p.element_size() for p in self.model.parameters()}.values())
        if setting.method == "head":
            return self.program + 2 * weights
        pace = paces[setting.method]
        step = pace.rest_bytes + self._depth(setting) * pace.layer_bytes
        # AdamW has two moments; afterwards each weight's place, old and new value are written out.
        moments = 8 * trainable
        training = max(step + moments, 16 * trainable if setting.method == "full" else 0)
        chosen = 0
        if setting.method == "sparse":
            # One dense gradient at a time, in fp32 and folded, and the candidates.
            largest = max((*form.layers, *self._tables(setting)))
            chosen = step + 3 * 4 * largest + 2 * MULTIPLE * 12 * (trainable - self._adapters(setting))
            chosen += moments if self.job.config.train.reselect else 0  # it passes once more, in the middle of training
        # Loading has each weight twice; a prefix cache is mapped into memory.
        return self.program + weights + max(weights, training, chosen) + self._resident(setting)

    def _resident(self, setting: Setting) -> int:
        """Bytes of the prefix cache that are in memory."""
        if not self._cached(setting):
            return 0
        config = self.job.config
        lengths = [len(example.ids) for split in splits_of(self.job) for example in self.job.examples(split)]
        dtype = DTYPES[config.train.cache_dtype or config.train.precision]
        return min(bytes_wanted(lengths, self.form.width, dtype), resident_bytes(config))

    def _planned(self, setting: Setting) -> Plan | None:
        """How a model is held of which only a part may be in memory."""
        config = self.job.config
        depth = setting.depth or "all"
        budget = config.budget.model_copy(update={"depth": depth, "time": None})
        job = self.job.under(config.model_copy(update={"method": setting.method, "budget": budget}))
        try:
            return plan_for(job, to_tune(job))
        except ConfigError:  # it does not fit: what the whole model takes says by how much
            return None

    def _file(self, setting: Setting, trainable: int) -> int:
        stored = max(info.nbytes // max(info.numel, 1) for info in headers(self.job.base.folder).values())
        head = 4 * self.head
        if setting.method == "sparse":
            share = min(self.job.config.budget.density * len(self.form.layers) / self._depth(setting), 1.0)
            entropy = -(share * math.log2(share) + (1 - share) * math.log2(1 - share)) / share if share < 1 else 0.0
            adapters = self._adapters(setting)
            return int((trainable - self.head - adapters) * (2 * stored + entropy / 8)) + head + 4 * adapters
        if setting.method == "full":
            return 2 * stored * self.form.parameters + head
        return 4 * (trainable - self.head) + head
