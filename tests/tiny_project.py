"""A whole project in a folder: a tiny base, its data, and the zogan.yaml that tunes it in a second."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml

from data import LABELS, write_splits
from tiny import tiny_decoder, tiny_encoder
from zogan.config import Config, load_config
from zogan.models.load import quiet

Kind = Literal["new head", "own head", "generation"]

KINDS: tuple[Kind, ...] = ("new head", "own head", "generation")


def write_project(folder: Path, kind: Kind = "new head", *, layers: int = 2, **keys: Any) -> Path:
    """Write base, rows and zogan.yaml.

    Args:
        folder: is made where absent.
        kind: classification with a new head or with the base's own, or generation.
        layers: of the base.
        keys: of the configuration, beside or in place of the usual ones.

    Returns:
        The path of zogan.yaml.
    """
    folder.mkdir(exist_ok=True)
    task: Literal["classification", "generation"] = "generation" if kind == "generation" else "classification"
    with quiet():
        if kind == "generation":
            tiny_decoder(folder / "base", layers=layers)
        elif kind == "new head":
            tiny_encoder(folder / "base", pooling="mean", normalize=True, layers=layers)
        else:
            tiny_encoder(folder / "base", labels=LABELS, layers=layers)
    tree: dict[str, Any] = {
        "model": "base",
        "task": task,
        "data": write_splits(folder, task, train=48, validation=12, test=24),
        "select": {"batches": 2},
        "budget": {"density": 0.02},
        "train": {"epochs": 3, "batch_size": 8},
        "evaluate": {"resamples": 100, "answers": 3, "max_new_tokens": 6},
        "output": "run",
    }
    path = folder / "zogan.yaml"
    path.write_text(yaml.safe_dump(tree | keys, sort_keys=False), encoding="utf-8")
    return path


def tiny_config(folder: Path, *overrides: str) -> Config:
    """The configuration of a project that is there."""
    return load_config(folder / "zogan.yaml", overrides)


def at_work(whole: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of a project, with a cache of its own, which is the working directory."""
    shutil.copytree(whole, folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    monkeypatch.chdir(folder)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its path there."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }
