"""Two processes tune as one does that accumulates over as many batches."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest
import torch

import data
from tiny import tiny_decoder, tiny_encoder
from zogan.patch import Patch

SCRIPT = """
import sys
from pathlib import Path
import zogan
zogan.tune(Path(sys.argv[1])).patch.save(Path(sys.argv[2]))
"""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def tuned(config: Path, processes: int) -> list[Patch]:
    """The patch of each process."""
    port, running = free_port(), []
    files = [config.with_name(f"{processes}-{rank}.safetensors") for rank in range(processes)]
    for rank, file in enumerate(files):
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": processes, "MASTER_PORT": port}
        environment = {
            **os.environ,
            **{name: str(value) for name, value in place.items()},
            "MASTER_ADDR": "127.0.0.1",
            "ACCELERATE_USE_CPU": "true",
            "OMP_NUM_THREADS": "1",
        }
        command = [sys.executable, "-c", SCRIPT, str(config), str(file)]
        running.append(subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True))
    for process in running:
        _, told = process.communicate()
        assert process.returncode == 0, told
    return [Patch.load(file) for file in files]


@pytest.mark.parametrize(
    ("task", "method", "regularize"),
    [
        ("classification", "full", "{}"),
        ("generation", "sparse", "{}"),
        ("generation", "sparse", "{decay: 2.0, label_smoothing: 0.1, average: 0.5, interpolate: 2}"),
    ],
)
def test_two_processes_are_as_one(
    tmp_path: Path, task: Literal["classification", "generation"], method: Literal["sparse", "full"], regularize: str
) -> None:
    (tiny_encoder if task == "classification" else tiny_decoder)(tmp_path / "base")
    about = json.loads((tmp_path / "base" / "config.json").read_text())
    # Each process draws dropout by itself.
    about |= {key: 0.0 for key in about if "dropout" in key}
    (tmp_path / "base" / "config.json").write_text(json.dumps(about))
    data.write_splits(tmp_path, task, train=20)
    text = f"""
model: base
task: {task}
data: {{train: train.jsonl, validation: validation.jsonl, test: test.jsonl}}
method: {method}
select: {{batches: 2}}
budget: {{density: 0.05}}
regularize: {regularize}
"""
    # Five batches: in the last step one process has none.
    paths = []
    for name, accumulate in (("two", 1), ("one", 2)):
        paths.append(tmp_path / f"{name}.yaml")
        paths[-1].write_text(text + f"train: {{epochs: 2, batch_size: 4, accumulate: {accumulate}, rate: 0.001}}\n")
    first, second = tuned(paths[0], 2)
    (alone,) = tuned(paths[1], 1)
    assert first.digest == second.digest
    assert first.changes.keys() == alone.changes.keys()
    for name, change in first.changes.items():
        known = alone.changes[name]
        both = torch.isin(change.positions, known.positions)
        assert both.float().mean() > 0.99
        there = torch.isin(known.positions, change.positions)
        torch.testing.assert_close(change.new[both], known.new[there], rtol=1e-3, atol=1e-4)


def test_both_processes_end_alike_under_mixout(tmp_path: Path) -> None:
    tiny_decoder(tmp_path / "base")
    data.write_splits(tmp_path, "generation", train=20)
    path = tmp_path / "mixed.yaml"
    path.write_text(
        """
model: base
task: generation
data: {train: train.jsonl, validation: validation.jsonl, test: test.jsonl}
select: {batches: 2}
budget: {density: 0.05}
regularize: {threshold: 0.1, mixout: 0.3}
train: {epochs: 1, batch_size: 4, rate: 0.001}
"""
    )
    first, second = tuned(path, 2)
    assert first.count
    assert first.digest == second.digest
