"""Log a finished run to an MLflow server, for those who keep their runs there."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zogan.errors import ZoganError, one_line
from zogan.report.record import Record, read

PATCH = "zogan.patch"
"""The tag that tells one patch's runs from another's: the patch's SHA-256."""

_LONGEST = 6000
"""Characters of a parameter's value that MLflow takes."""

_OF_TUNING = ("method", "select", "budget", "train", "regularize", "lora", "adapters")
"""Keys of the configuration that say how a patch is tuned."""


@dataclass(frozen=True)
class Tracked:
    """Where a run is logged.

    Attributes:
        uri: of the server or database.
        experiment: its name there.
        run: its identifier there.
        known: whether this patch's run was there already, and nothing was logged again.
    """

    uri: str
    experiment: str
    run: str
    known: bool


def log_to_mlflow(folder: Path, uri: str, *, experiment: str = "zogan") -> Tracked:
    """Log a finished run: configuration, figures, costs, losses by step, and the files that people and machines read.

    A run whose patch is logged in the experiment already is left as it is.

    Args:
        folder: of the run.
        uri: of the MLflow server (http://…) or its database (sqlite:///…).
        experiment: its name; made where absent.

    Raises:
        RunError: not a finished run.
        ZoganError: MLflow is not installed, or the server does not answer or refuses.
    """
    record = read(folder)
    with _client(uri) as client:
        found = client.get_experiment_by_name(experiment)
        place = client.create_experiment(experiment) if found is None else found.experiment_id
        with (folder / "patch.safetensors").open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        mark = f"tags.`{PATCH}` = '{digest}' and attributes.status = 'FINISHED'"
        known = client.search_runs([place], mark, max_results=1)
        if known:
            return Tracked(uri, experiment, known[0].info.run_id, known=True)
        run = client.create_run(place, run_name=folder.resolve().name, tags=tags(record, digest)).info.run_id
        _log(client, run, record)
        client.set_terminated(run)
        return Tracked(uri, experiment, run, known=False)


def tags(record: Record, digest: str) -> dict[str, str]:
    """What a run is found by: its patch, base, task and verdict."""
    return {
        PATCH: digest,
        "zogan.base": record.base_sha256,
        "zogan.task": record.config.task,
        "zogan.verdict": record.verdict.outcome,
        "zogan.version": str(record.environment.get("packages", {}).get("zogan", "")),
    }


def parameters(record: Record) -> dict[str, str]:
    """The configuration as it was resolved, by dotted keys; of a given patch, without how one would be tuned."""
    left_out = set(_OF_TUNING) if record.given else set()
    return {key: str(value)[:_LONGEST] for key, value in _flat(record.config.model_dump(mode="json", exclude=left_out))}


def figures(record: Record) -> dict[str, float]:
    """Figures before and after, costs by stage and sizes, by dotted names."""
    evaluation = record.evaluation
    sides = {"before": evaluation.before, "after": evaluation.after or {}}
    found = {f"{side}.{name}": figure.value for side, by_name in sides.items() for name, figure in by_name.items()}
    for name, cost in record.stages.items():
        found |= {f"cost.{_plain(name)}.{key}": float(cost[key]) for key in ("wall_seconds", "peak_bytes")}
    return found | {"density": record.density, "patch_bytes": float(record.patch_bytes)}


def _log(client: Any, run: str, record: Record) -> None:
    from mlflow.entities import Metric, Param

    values = [Metric(name, value, 0, 0) for name, value in figures(record).items()]
    values += [Metric("train.loss", float(line["loss"]), 0, int(line["step"])) for line in record.steps]
    values += [
        Metric(f"epoch.{name}", float(line[name]), 0, int(line["epoch"]))
        for line in record.epochs
        for name in ("train_loss", "validation_loss")
    ]
    for start in range(0, len(values), 1000):  # as many as a server takes at once
        client.log_batch(run, metrics=values[start : start + 1000])
    named = [Param(key, value) for key, value in parameters(record).items()]
    for start in range(0, len(named), 100):
        client.log_batch(run, params=named[start : start + 100])
    for file in files(record.folder):
        client.log_artifact(run, str(file))


def files(folder: Path) -> list[Path]:
    """What is logged of a run's folder: the patch, what people read, and what went in; no rows and no checkpoints."""
    wanted = (
        *("patch.safetensors", "zogan.yaml", "environment.json", "costs.json", "metrics.jsonl"),
        *("evaluation.json", "protocol.json", "verdict.json", "probes.json", "explanation.json"),
        *("report*.html", "report*.pptx", "model-card*.md", "runbook*.md", "evidence*"),
    )
    return sorted({path for pattern in wanted for path in folder.glob(pattern)})


def _flat(value: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _flat(inner, f"{at}.{key}" if at else str(key))
    else:
        yield _plain(at), value


def _plain(name: str) -> str:
    """With the characters alone that MLflow takes in a name."""
    return "".join(letter if letter.isalnum() or letter in "_-./ " else "/" for letter in name)


@contextmanager
def _client(uri: str) -> Iterator[Any]:
    """MLflow's client, which tells nobody but that server; what it raises is told in a line."""
    # These are read when MLflow is first imported: no word to its makers, and no minutes of trying again.
    for name, value in {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    }.items():
        os.environ.setdefault(name, value)
    try:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
    except ImportError as error:
        raise ZoganError("MLflow is not installed", where="mlflow", todo="Run `pip install 'zogan[mlflow]'`") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its own use of SQLAlchemy
            yield MlflowClient(tracking_uri=uri)
    except (MlflowException, OSError) as error:
        raise ZoganError(
            f"MLflow says: {one_line(error)[:300]}",
            where=uri,
            todo="Check the address, and that the server is up and lets you write",
        ) from error
