"""A run is a folder: each stage writes its file whole, under a key of all that it read, and is done once."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from filelock import FileLock, Timeout

from zogan.errors import IntegrityError, RunError
from zogan.evaluate.predictions import NAME
from zogan.train.meter import Cost, Meter

Status = Literal["done", "kept"]


class Run:
    """A run's folder, locked while it is open.

    Attributes:
        folder: the folder; made where absent.
        stages: what became of each stage: `done` now, or `kept` from before.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stages: dict[str, Status] = {}
        self._digests: dict[Path, str] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (NotADirectoryError, FileExistsError):
            raise RunError("is no folder", where=str(folder), todo="Name another with --set output=…") from None
        self._lock = FileLock(folder / ".lock", blocking=False)

    selection = property(lambda self: self.folder / "selection.safetensors")
    first = property(lambda self: self.folder / "selection-first.safetensors")
    before = property(lambda self: self.folder / "before.safetensors")
    patch = property(lambda self: self.folder / "patch.safetensors")
    predictions = property(lambda self: self.folder / NAME)
    evaluation = property(lambda self: self.folder / "evaluation.json")
    probes = property(lambda self: self.folder / "probes.json")
    verdict = property(lambda self: self.folder / "verdict.json")
    report = property(lambda self: self.folder / "report.html")

    def __enter__(self) -> Run:
        try:
            self._lock.acquire()
        except Timeout:
            raise RunError(
                "another zogan works in this folder",
                where=str(self.folder),
                todo="Wait for it, or name another folder with --set output=…",
            ) from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()

    def need(self, wanted: int) -> None:
        """Refuse to start where the disk has not that many bytes left."""
        free = shutil.disk_usage(self.folder).free
        if free < wanted:
            raise RunError(
                f"{wanted / 1e6:,.0f} MB are needed and {free / 1e6:,.0f} MB are free",
                where=str(self.folder),
                todo="Make room, or name another folder with --set output=…",
            )

    def stage(
        self, name: str, file: Path, reads: Mapping[str, Any], make: Callable[[Path], Mapping[str, Any] | None]
    ) -> None:
        """Do a stage, unless its file stands and was made from the same.

        Args:
            name: of the stage.
            file: what it makes.
            reads: all that its result depends on: JSON values, and paths of files, taken by their content.
            make: writes the file to the path that it is given; may return facts for costs.json.
        """
        key = self._key(name, reads)
        kept, counted = self.read("stages.json").get(name), name in self.read("costs.json").get("stages", {})
        if counted and file.is_file() and kept == {"key": key, "sha256": self.digest(file)}:
            self.stages[name] = "kept"
            return
        partial = file.with_name(file.name + ".partial")
        with Meter() as meter:
            facts = dict(make(partial) or {})
        partial.replace(file)
        self._digests.pop(file, None)
        seconds = meter.cost.wall_seconds + facts.pop("seconds_before", 0.0)
        costs = self.read("costs.json")
        costs.setdefault("stages", {})[name] = asdict(Cost(seconds, meter.cost.peak_bytes))
        self.write("costs.json", {**costs, **facts})
        self.write("stages.json", {**self.read("stages.json"), name: {"key": key, "sha256": self.digest(file)}})
        self.stages[name] = "done"

    def checkpoint(self, reads: Mapping[str, Any], name: str = "checkpoint") -> Path:
        """The folder of a stage's state; emptied where that was begun from something else than `reads`."""
        folder, key = self.folder / name, self._key("checkpoint", reads)
        file = folder / "key"
        if not file.is_file() or file.read_text(encoding="utf-8") != key:
            if folder.exists():
                shutil.rmtree(folder)
            folder.mkdir(parents=True)
            file.write_text(key, encoding="utf-8")
        return folder

    def forget_judgement(self) -> None:
        """Delete what was measured and judged of a patch that another replaces."""
        for stale in (self.predictions, self.evaluation, self.probes, self.verdict):
            stale.unlink(missing_ok=True)

    def forget_others(self, *, but: Collection[str] = ()) -> None:
        """Drop stages that were not asked for, such as another method's: what they cost is no cost of this run.

        Args:
            but: that are still to come.
        """
        stages, costs = self.read("stages.json"), self.read("costs.json")
        kept = {*self.stages, *but}
        self.write("stages.json", {name: stages[name] for name in stages if name in kept})
        costs["stages"] = {name: cost for name, cost in costs["stages"].items() if name in kept}
        self.write("costs.json", costs)

    def costs(self, *names: str) -> Cost:
        """What those of the stages that were run took together."""
        stages = self.read("costs.json").get("stages", {})
        found = [stages[name] for name in names if name in stages]
        return Cost(sum(one["wall_seconds"] for one in found), max(one["peak_bytes"] for one in found))

    def digest(self, file: Path) -> str:
        """SHA-256 of a file, in hex."""
        if file not in self._digests:
            with file.open("rb") as stream:
                self._digests[file] = hashlib.file_digest(stream, "sha256").hexdigest()
        return self._digests[file]

    def write(self, name: str, content: Mapping[str, Any] | str) -> None:
        """Write a file of the run, whole or not at all: text as it is, anything else as JSON."""
        if not isinstance(content, str):
            content = json.dumps(content, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
        partial = self.folder / f"{name}.partial"
        partial.write_text(content, encoding="utf-8")
        partial.replace(self.folder / name)

    def read(self, name: str) -> dict[str, Any]:
        """A file of the run, as JSON; empty where it is not there.

        Raises:
            IntegrityError: it is damaged.
        """
        path = self.folder / name
        if not path.is_file():
            return {}
        try:
            tree: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(tree, dict) or not isinstance(tree.get("stages", {}), dict):
                raise ValueError
        except (ValueError, RecursionError):
            raise IntegrityError("is damaged", where=str(path), todo="Delete it: its stages are done again") from None
        return tree

    def _key(self, name: str, reads: Mapping[str, Any]) -> str:
        content = {key: self.digest(item) if isinstance(item, Path) else item for key, item in reads.items()}
        return hashlib.sha256(json.dumps([name, content], sort_keys=True).encode()).hexdigest()
