"""One side of a comparison: a run, a patch or a model's folder, with what it said of the test rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import yaml

from zogan.config import Config, parse_config
from zogan.errors import ConfigError, ModelError, RunError, ZoganError, one_line
from zogan.evaluate.comparison.asked import Asked, check_same
from zogan.evaluate.comparison.result import Kind
from zogan.evaluate.predictions import NAME, System, load, system
from zogan.evaluate.protocol.sample import digest_of_test, row_key
from zogan.evaluate.run import predict
from zogan.models.package import PREFIX
from zogan.patch import Patch
from zogan.patch.merged import merged
from zogan.progress import Progress
from zogan.tasks.job import Job, open_job
from zogan.train.methods import load_adapters

Looked = Callable[[str, str], None]
"""Told of each look at the test rows: digests of the patch or the model, and of the rows, SHA-256 in hex."""


@dataclass(frozen=True, slots=True, eq=False)
class Side(Asked):
    """A side with what it said of each row."""

    system: System


def kind_of(name: str) -> Kind:
    """What is meant: a run's folder, a patch's file, or a model's.

    Raises:
        ZoganError: there is no such thing.
    """
    path = Path(name)
    if name.startswith(PREFIX) or path.suffix == ".gguf" or (path / "config.json").is_file():
        return "model"
    if path.is_file():
        return "patch"
    if (path / "zogan.yaml").is_file() or (path / NAME).is_file():
        return "run"
    what = "is no run and no model: it has neither zogan.yaml nor config.json" if path.is_dir() else "does not exist"
    raise ZoganError(what, where=name, todo="Give a run's folder, a patch's file or a model's folder")


def config_of(run: Path) -> Config:
    """The configuration of a run, in full.

    Raises:
        RunError: it has none, or none that can be read.
    """
    path = run / "zogan.yaml"
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
        return parse_config(tree, folder=run, where=str(path))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, AttributeError) as error:
        raise RunError(f"cannot be read: {one_line(error)}", where=str(path)) from None


class Opener:
    """Opens sides; a model is held once for all patches of it.

    Args:
        config: what patches and models are evaluated with; None where none is at hand.
        progress: told of rows predicted.
        looked: called when one was measured on the test rows, before its figures are shown.
    """

    def __init__(self, config: Config | None, *, progress: Progress, looked: Looked | None) -> None:
        self.config, self.progress, self.looked = config, progress, looked
        self._job: Job | None = None

    def open(self, name: str, like: Asked | None = None) -> Side:
        """What it said, or says now, of the test rows.

        Args:
            name: of a run, a patch or a model.
            like: what it shall be compared with, so that nothing is predicted for nothing.

        Raises:
            ZoganError: there is no such thing, it cannot be evaluated with this configuration, or it is asked something
                else than `like`.
        """
        kind = kind_of(name)
        if kind == "run":
            return _kept(name)
        if self.config is None:
            what = f"is a {kind}, and nothing says on which rows to measure it"
            raise ConfigError(what, where=name, todo="Give its configuration with --config")
        return self._patch(name, self.config, like) if kind == "patch" else self._model(name, self.config, like)

    def _patch(self, name: str, config: Config, like: Asked | None) -> Side:
        patch = Patch.load(Path(name))
        self._job = job = self._job or open_job(config, progress=self.progress)
        if patch.meta.base.whole != job.base.fingerprint.whole:
            raise ConfigError(
                f"is a patch of another base than {job.base.source}",
                where=name,
                todo="Give the configuration that it was made with, with --config",
            )
        asked = _asked(name, "patch", job)
        return self._measured(asked, like, job, patch, patch.digest, patch.digest)

    def _model(self, name: str, config: Config, like: Asked | None) -> Side:
        source = name if name.startswith(PREFIX) else str(Path(name).absolute())
        job = open_job(config.model_copy(update={"model": source}), progress=self.progress)
        fingerprint = job.base.fingerprint.whole
        found = merged(job.base.folder, fingerprint)
        if found is None and job.new_head:
            raise ModelError(
                "has no head for this task's labels, so that it predicts nothing",
                where=name,
                todo="Give a folder that `zogan patch apply` made, or one whose own labels are the data's",
            )
        rest, digest = (None, None) if found is None else (found.rest, found.digest)
        return self._measured(_asked(name, "model", job), like, job, rest, digest, fingerprint)

    def _measured(
        self, asked: Asked, like: Asked | None, job: Job, patch: Patch | None, digest: str | None, seen: str
    ) -> Side:
        """Predict, and count the look under what was `seen`: the digest of a patch, or the fingerprint of a model."""
        if like is not None:
            check_same(like, asked)
        predicted = predict(job, before=patch, adapt=load_adapters, progress=self.progress)
        if self.looked is not None:
            self.looked(seen, digest_of_test(job.splits.test))
        return _side(asked, system(predicted.before, digest))


def _kept(name: str) -> Side:
    """What a run kept of the model after."""
    folder = Path(name)
    for file in (NAME, "evaluation.json"):
        if not (folder / file).is_file():
            raise RunError(f"has no {file} yet", where=name, todo="Run `zogan evaluate` with its configuration first")
    kept = load(folder / NAME)
    if kept.after is None:
        raise RunError("holds no predictions after tuning", where=str(folder / NAME), todo="Run `zogan evaluate`")
    about = kept.about
    return Side(name, "run", about.base, about.task, about.max_new_tokens, kept.keys, kept.places, kept.after)


def _asked(name: str, kind: Kind, job: Job) -> Asked:
    rows, longest = job.splits.test, job.config.evaluate.max_new_tokens
    return Asked(
        name,
        kind,
        job.base.fingerprint.whole,
        job.task.describe(),
        longest if job.config.task == "generation" else None,
        tuple(map(row_key, rows)),
        tuple(row.place for row in rows),
    )


def _side(asked: Asked, said: System) -> Side:
    return Side(**{field.name: getattr(asked, field.name) for field in fields(asked)}, system=said)
