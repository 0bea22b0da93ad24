"""A run's files as one value: all that a report knows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from zogan.config import Config, parse_config
from zogan.errors import IntegrityError, RunError, one_line
from zogan.evaluate.curve import NAME as CURVE
from zogan.evaluate.curve import Curve
from zogan.evaluate.evaluation import Evaluation
from zogan.evaluate.explanation.kept import kept
from zogan.evaluate.explanation.result import Explanation
from zogan.evaluate.probes.reading import Probes
from zogan.evaluate.protocol.protocol import Protocol
from zogan.evaluate.verdict.verdict import Verdict
from zogan.patch import Patch
from zogan.patch.meta import learnt_from
from zogan.patch.places import Places, locate_changes
from zogan.report.metrics import Metric
from zogan.report.registered import Registered, registered

_STAGES = {
    "data.json": "zogan pilot",
    "patch.safetensors": "zogan tune",
    "costs.json": "zogan tune",
    "evaluation.json": "zogan evaluate",
    "verdict.json": "zogan verdict",
}
"""What a report needs, and the command that makes it."""

_IN_ORDER = ("data", "select", "head_only", "tune", "given", "full", "evaluate", "probe", "curve", "verdict")


@dataclass(frozen=True)
class Record:
    """A finished run.

    Args:
        folder: of the run.
        config: as it was resolved.
        data: rows, labels and findings, from data.json.
        costs: wall_seconds and peak_bytes by stage, and sizes, from costs.json.
        evaluation: before and after; both are there.
        verdict: what the protocol says.
        probes: what was looked for in this patch; None where nothing was.
        curve: the learning curve; None where none was asked for.
        explanation: what `zogan explain` said of this patch; None where nothing was.
        metrics: the evaluation's figures.
        steps: loss of each step, from metrics.jsonl.
        epochs: one entry an epoch, from metrics.jsonl.
        start: figures on the validation rows before the first step, from metrics.jsonl; None where none were taken.
        points: places between old and new values that were validated, in the order of their share, from metrics.jsonl.
        second: what the second stage did, from metrics.jsonl; None where there was none.
        folds: what folds of the training rows said of the epochs, from metrics.jsonl; None where there were none.
        environment: versions, cores and platform.
        protocol: what it is judged by, from protocol.json; None where there is none.
        estimate: what tuning was expected to take, from estimate.json; under `full` the same of full fine-tuning.
        places: where the changed weights lie.
        density: changed weights as a share of all of the base's.
        base_weights: all of the base's weights.
        patch: its digest.
        base_sha256: the base's fingerprint.
        patch_bytes: size of the patch's file.
        new_tensors: names of the tensors that the base does not have, such as a head.
        adapters: names of the adapter's tensors.
        registered: what the registry says of the patch; None where there is none, or it does not know the patch.
        same_rows: whether the patch says that it learnt from the run's training rows.
    """

    folder: Path
    config: Config
    data: Mapping[str, Any]
    costs: Mapping[str, Any]
    evaluation: Evaluation
    verdict: Verdict
    probes: Probes | None
    curve: Curve | None
    explanation: Explanation | None
    metrics: tuple[Metric, ...]
    steps: Sequence[Mapping[str, Any]]
    epochs: Sequence[Mapping[str, Any]]
    start: Mapping[str, Any] | None
    points: Sequence[Mapping[str, Any]]
    second: Mapping[str, Any] | None
    folds: Mapping[str, Any] | None
    environment: Mapping[str, Any]
    protocol: Protocol | None
    estimate: Mapping[str, Any]
    places: Places
    density: float
    base_weights: int
    patch: str
    base_sha256: str
    patch_bytes: int
    new_tensors: tuple[str, ...]
    adapters: tuple[str, ...]
    registered: Registered | None = None
    same_rows: bool = True

    @property
    def given(self) -> bool:
        """Whether the patch was given to the run, which then knows neither what its tuning took nor its settings."""
        return "given" in self.costs["stages"]

    @property
    def stages(self) -> dict[str, Mapping[str, Any]]:
        """Costs of each stage, in the order in which they run; without the documents, which are made from these. What
        learned from fewer rows goes into the learning curve.
        """
        costs = self.costs["stages"]
        found: dict[str, Mapping[str, Any]] = {}
        for name in sorted(costs, key=lambda name: (_order(name), name)):
            if _order(name) == len(_IN_ORDER):
                continue
            stage = "curve" if name.startswith("curve-") else name
            found[stage] = _together(found[stage], costs[name]) if stage in found else costs[name]
        return found


def read(folder: Path) -> Record:
    """Read a run's folder.

    Raises:
        RunError: not a run, or a stage is missing; says which command makes it.
        IntegrityError: a file is damaged.
    """
    if not (folder / "zogan.yaml").is_file():
        raise RunError("is not a run: it has no zogan.yaml", where=str(folder), todo="Give the folder of a run")
    for name, command in _STAGES.items():
        if not (folder / name).is_file():
            raise RunError(f"has no {name} yet", where=str(folder), todo=f"Run `{command}` first")
    evaluation = Evaluation.load(folder / "evaluation.json")
    if evaluation.after is None:
        raise RunError(
            "holds no figures after tuning", where=str(folder / "evaluation.json"), todo="Run `zogan evaluate`"
        )
    lines = _lines(folder / "metrics.jsonl")
    patch = Patch.load(folder / "patch.safetensors")
    config = _config(folder)
    data = _json(folder / "data.json")
    return Record(
        folder=folder,
        config=config,
        data=data,
        costs=_json(folder / "costs.json"),
        evaluation=evaluation,
        verdict=Verdict.load(folder / "verdict.json"),
        probes=_probes(folder / "probes.json", patch.digest),
        curve=_curve(folder / CURVE, patch.digest),
        explanation=kept(folder, patch.digest),
        metrics=tuple(Metric(info.name, info.higher_is_better, info.rows) for info in evaluation.metrics),
        steps=[line for line in lines if line.get("kind") == "step"],
        epochs=[line for line in lines if line.get("kind") == "epoch"],
        start=next((line for line in lines if line.get("kind") == "start"), None),
        points=[line for line in lines if line.get("kind") == "interpolation"],
        second=next((line for line in lines if line.get("kind") == "adapters"), None),
        folds=next((_without_kind(line) for line in reversed(lines) if line.get("kind") == "folds"), None),
        environment=_if_there(folder / "environment.json"),
        protocol=_protocol(folder / "protocol.json"),
        estimate=_if_there(folder / "estimate.json"),
        places=locate_changes(patch.changes),
        density=patch.density,
        base_weights=patch.meta.base.weights,
        patch=patch.digest,
        base_sha256=patch.meta.base.whole,
        patch_bytes=(folder / "patch.safetensors").stat().st_size,
        new_tensors=tuple(sorted(patch.tensors)),
        adapters=tuple(sorted(patch.adapters)),
        registered=registered(config.registry, patch.digest),
        same_rows=learnt_from(patch.meta.hashes, str(data.get("digest"))),
    )


def inputs(folder: Path) -> list[Path]:
    """The files that a report may read, apart from costs.json, which each document's own stage adds to."""
    found = [path for path in folder.glob("*.json*") if path.name not in ("costs.json", "stages.json")]
    named = ("zogan.yaml", "patch.safetensors", "predictions.safetensors", "full.safetensors")
    return sorted(path for path in (*found, *map(folder.joinpath, named)) if path.is_file())


def _probes(path: Path, patch: str) -> Probes | None:
    """None where another patch was looked at."""
    found = Probes.load(path) if path.is_file() else None
    return found if found is not None and found.patch == patch else None


def _curve(path: Path, patch: str) -> Curve | None:
    """None where it is of other rows than those of the patch."""
    found = Curve.load(path) if path.is_file() else None
    return found if found is not None and found.patch == patch else None


def _without_kind(line: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in line.items() if key != "kind"}


def _order(stage: str) -> int:
    """The stages of another seed stand where the run's own do."""
    name = stage.partition(":")[0].partition("-")[0]
    return _IN_ORDER.index(name) if name in _IN_ORDER else len(_IN_ORDER)


def _together(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    peaks = (one["peak_bytes"] or 0, other["peak_bytes"] or 0)
    return {"wall_seconds": one["wall_seconds"] + other["wall_seconds"], "peak_bytes": max(peaks) or None}


def _config(folder: Path) -> Config:
    tree = yaml.safe_load((folder / "zogan.yaml").read_text(encoding="utf-8"))
    return parse_config(tree, folder=folder, where=str(folder / "zogan.yaml"))


def _protocol(path: Path) -> Protocol | None:
    """What the run is judged by; the hashes of the test rows beside it are not read."""
    if not path.is_file():
        return None
    try:
        return Protocol.model_validate(_json(path).get("protocol"))
    except ValueError as error:
        raise IntegrityError(f"is damaged: {one_line(error)}", where=str(path)) from None


def _if_there(path: Path) -> Mapping[str, Any]:
    return _json(path) if path.is_file() else {}


def _json(path: Path) -> Mapping[str, Any]:
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise IntegrityError(f"is damaged: {error}", where=str(path)) from None
    if not isinstance(tree, dict):
        raise IntegrityError("is damaged: holds no mapping", where=str(path))
    return tree


def _lines(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        if not all(isinstance(line, dict) for line in lines):
            raise ValueError("a line holds no mapping")
    except ValueError as error:
        raise IntegrityError(f"is damaged: {error}", where=str(path)) from None
    return lines
