"""One method at one setting, in a process of its own: its held-out figure after each epoch, as JSON on stdout.

    python benchmarks/curve_cell.py CELL.json

CELL.json is a zogan configuration whose `method` is ours, full, lora, or a peer of peers.py; its test rows are those
held out. All train in zogan's own loop. The clock starts when everything is imported, and goes on through rows, model,
selection and a prefix cache that no other cell has filled; only while the figure is taken it stands still. (The loop's
checkpoint at an epoch's end counts, for each method alike.) Two keys are no configuration's: `peer: {density: …}` gives
a peer as many values as that share of the matrices, and `after: {answers: …, unrelated: FILE}` asks for what after.py
measures of a text's tuning, once the clock has stopped.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from math import nan
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import zogan
from after import Asked, Tune, after, patched
from peak import peak_bytes
from peers import PEERS, adapt, adapters
from zogan.config import Config, parse_config
from zogan.data.batch import batch_size
from zogan.models import open_base
from zogan.models.device import device
from zogan.progress import Silent
from zogan.select.job import saliency_batches
from zogan.tasks import open_job
from zogan.tasks.classifier import Classifier
from zogan.tasks.inference import to_device
from zogan.tasks.job import Job
from zogan.tasks.task import Monitor
from zogan.train.checkpoint import Checkpoint
from zogan.train.feed import Features, Rows
from zogan.train.loop import train

ZOGAN = {"ours": "sparse", "full": "full", "lora": "lora", "head": "head"}
"""Methods that zogan has itself; its LoRA is PEFT's too."""


@dataclass(frozen=True)
class Point:
    """Where a cell stands after an epoch.

    Attributes:
        seconds: since the start, without what the figures took.
        figure: on the held-out rows: mean loss in nats, or accuracy.
        peak_bytes: of the process so far.
        validation: what the loop compares, lower is better: share of wrong rows and loss, or loss.
    """

    seconds: float
    figure: float
    peak_bytes: int
    validation: tuple[float, ...]


class Watch:
    """Takes the figure on the held-out rows wherever the loop asks for one, and stops the clock meanwhile.

    Args:
        start: of the clock.
        last: whether only the epoch counts that validates best, whose figure is taken when all is done.
    """

    def __init__(self, start: float, *, last: bool = False) -> None:
        self.points: list[Point] = []
        self._start, self._last = start, last

    def end(self, job: Job, tune: Tune) -> None:
        """Take the figure that was left until now.

        Args:
            job: that was trained.
            tune: gives the model at the epoch that validates best.
        """
        if self._last:
            model = tune(job.task.model(seed=job.config.train.seed, dtype=job.dtype))
            found = job.task.monitor(model, job.examples("test"), batch_size(job.config.evaluate))
            self.points = [replace(self.points[-1], figure=figure_of(job, found))]

    @contextmanager
    def over(self, job: Job) -> Iterator[None]:
        """Watch this job's task inside. What the loop asks for, the figure on the validation rows, it is given."""
        begun = time.perf_counter()
        inner, of_features = job.task.monitor, Features.monitor
        held_out, size = job.examples("test"), batch_size(job.config.evaluate)
        self._start += time.perf_counter() - begun  # reading what is held out is no part of tuning

        def watched(validated: Monitor, measure: Callable[[], Monitor]) -> Monitor:
            if self._last and self.points and validated.score >= min(point.validation for point in self.points):
                return validated
            stopped, peak = time.perf_counter(), peak_bytes()
            figure = nan if self._last else figure_of(job, measure())
            self.points.append(Point(stopped - self._start, figure, peak, validated.score))
            self._start += time.perf_counter() - stopped
            return validated

        unseen: list[dict[str, Tensor]] = []  # of a body that does not change, once

        def by_features(feed: Features, model: nn.Module) -> Monitor:
            def measure() -> Monitor:
                if not unseen:
                    labels = torch.tensor([example.labels[0] for example in held_out])
                    unseen.append({"features": feed.task.features(model, held_out, size), "labels": labels})
                with patch.object(feed, "held_out", unseen[0]):
                    return of_features(feed, model)

            return watched(of_features(feed, model), measure)

        with (
            patch.object(
                job.task,
                "monitor",
                lambda model, *rows: watched(inner(model, *rows), lambda: inner(model, held_out, size)),
            ),
            patch.object(Features, "monitor", by_features),
        ):
            yield


def figure_of(job: Job, found: Monitor) -> float:
    """Accuracy, or mean loss in nats."""
    return 1 - found.score[0] if job.task.name == "classification" else found.loss


@dataclass(frozen=True)
class Asking:
    """What a cell asks for, besides its configuration.

    Args:
        method: ours, full, lora, head, or a peer.
        density: of a peer's values; its own rank where None.
        after: what to measure afterwards.
    """

    method: str
    density: float | None = None
    after: Asked | None = None


def by_zogan(job: Job, file: Path) -> tuple[int, Tune]:
    tuned = zogan.tune(job)
    tuned.patch.save(file)
    return tuned.trainable, patched(job, tuned.patch)


def by_peer(job: Job, peer: str, density: float | None, file: Path) -> tuple[int, Tune]:
    settings, head = job.config.train, set()
    model = job.task.model(seed=settings.seed, dtype=job.dtype)
    body = model.body if isinstance(model, Classifier) else model
    feed = Rows(job, batch_size(job.config.evaluate))
    if PEERS[peer].by_gradient:
        add_gradients(job, model, feed)
    adapt(body, peer, seed=settings.seed, density=density)
    model.zero_grad()
    for name in job.task.head(model):
        model.get_parameter(name).requires_grad_(True)
        head.add(name)
    rates = {
        name: job.config.head_rate if name in head else job.config.rate
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Checkpoint(Path(folder), peer)
        train(model, feed, rates, settings, checkpoint, log=None, progress=Silent())
    save_file({**adapters(body), **{name: model.get_parameter(name).detach() for name in sorted(head)}}, file)
    return sum(p.numel() for p in model.parameters() if p.requires_grad), lambda base: model


def add_gradients(job: Job, model: nn.Module, feed: Rows) -> None:
    """The loss's gradient in each parameter, dense: summed over the batches that ours are selected by."""
    model.eval()
    for rows in saliency_batches(job):
        total, targets = feed.loss(model, to_device(feed.batch(rows), next(model.parameters()).device))
        (total / targets).backward()  # type: ignore[no-untyped-call]


def read(path: Path) -> tuple[Asking, Config]:
    tree = json.loads(path.read_text(encoding="utf-8"))
    method, peer, asked = tree["method"], tree.pop("peer", {}), tree.pop("after", None)
    if method not in {*ZOGAN, *PEERS}:
        raise SystemExit(f"method {method!r} is none of {', '.join([*ZOGAN, *PEERS])}")
    if peer and method not in PEERS:
        raise SystemExit(f"`peer` is for {', '.join(PEERS)}, not for {method}")
    if asked is not None:
        asked = Asked(asked["answers"], path.parent / asked["unrelated"])
    config = parse_config({**tree, "method": ZOGAN.get(method, "lora")}, folder=path.parent)
    return Asking(method, peer.get("density"), asked), config


def cell(path: Path, *, last: bool = False) -> dict[str, Any]:
    """Train what a file describes: the figures after each epoch, bytes of the result, parameters that trained.

    Args:
        path: of the file.
        last: whether the figure is taken of the epoch that validates best alone, and when all is done.
    """
    asking, config = read(path)
    open_base(config.model)  # converted and fingerprinted before, as in any second run
    watch = Watch(time.perf_counter(), last=last)
    with tempfile.TemporaryDirectory() as scratch:
        job = replace(open_job(config), cache=Path(scratch) / "cache")
        file = Path(scratch) / "result.safetensors"
        with watch.over(job):
            if asking.method in ZOGAN and asking.density is None:
                trainable, tune = by_zogan(job, file)
            else:
                trainable, tune = by_peer(job, asking.method, asking.density, file)
        watch.end(job, tune)
        size = file.stat().st_size
        found = {"after": after(job, tune, asking.after)} if asking.after else {}
    return {
        "points": [asdict(p) for p in watch.points],
        "file_bytes": size,
        "trainable": trainable,
        "device": device().type,
        **found,
    }


if __name__ == "__main__":
    print(json.dumps(cell(Path(sys.argv[1]))))
