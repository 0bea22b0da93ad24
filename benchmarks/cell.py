"""One method on one job, in a process of its own, so that its peak memory is its own: figures as JSON on stdout.

python benchmarks/cell.py CONFIG.json
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import zogan
from zogan.config import parse_config
from zogan.pilot import HEAD_ONLY
from zogan.tasks import open_job
from zogan.train.meter import Meter
from zogan.train.methods import load_adapters


def main() -> None:
    path = Path(sys.argv[1])
    config = parse_config(json.loads(path.read_text()), folder=path.parent)
    if config.method == "head":
        config = config.model_copy(update={"train": config.train.model_copy(update=HEAD_ONLY)})
    job = open_job(config)
    with Meter() as meter:
        tuned = zogan.tune(job)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "patch.safetensors"
        tuned.patch.save(file)
        size = file.stat().st_size
    # As the model "before", the patch is evaluated alone, with a new head or without.
    evaluation = zogan.evaluate(job, before=tuned.patch, adapt=load_adapters)
    figures = {name: figure.value for name, figure in evaluation.before.items()}
    print(
        json.dumps(
            {
                "seconds": meter.cost.wall_seconds,
                "peak_bytes": meter.cost.peak_bytes,
                "file_bytes": size,
                "trainable": tuned.trainable,
                "density": tuned.patch.density,
                "epochs": len(tuned.epochs),
                **figures,
            }
        )
    )


if __name__ == "__main__":
    main()
