"""Where a seed's files stand in a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from zogan.run import Run


@dataclass(frozen=True)
class Place:
    """The run's own folder, or that of another of the protocol's seeds.

    Args:
        run: the run.
        seed: None for the run's own, `train.seed`.
    """

    run: Run
    seed: int | None = None

    @property
    def folder(self) -> Path:
        """Of its files; made where absent."""
        if self.seed is None:
            return self.run.folder
        folder = self.run.folder / "seeds" / str(self.seed)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    selection = property(lambda self: self.folder / "selection.safetensors")
    first = property(lambda self: self.folder / "selection-first.safetensors")
    before = property(lambda self: self.folder / "before.safetensors")
    patch = property(lambda self: self.folder / "patch.safetensors")
    full = property(lambda self: self.folder / "full.safetensors")

    def stage(self, name: str) -> str:
        """A stage's name in stages.json and costs.json."""
        return name if self.seed is None else f"{name}:{self.seed}"

    def checkpoint(self, name: str = "checkpoint") -> str:
        """A checkpoint's folder, from the run's."""
        return name if self.seed is None else f"seeds/{self.seed}/{name}"
