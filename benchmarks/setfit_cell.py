"""SetFit at one setting, through its own package, in a process of its own; prints what curve_cell.py prints.

    python benchmarks/setfit_cell.py CELL.json

CELL.json is as in curve_cell.py, with `setfit: {max_steps: …}` besides: steps on pairs of rows, after which SetFit fits
its own head. Rows, base and clock are those of the other cells; there is one point, at the end. (`train.epochs` is not
used: pairs are drawn for so many steps.)
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

from peak import peak_bytes
from zogan.config import parse_config
from zogan.models import open_base
from zogan.tasks import open_job

try:
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments
except ImportError as error:
    raise SystemExit(f"SetFit needs its package ({error}): .venv/bin/pip install --group peers") from None


def main() -> None:
    path = Path(sys.argv[1])
    tree = json.loads(path.read_text(encoding="utf-8"))
    steps = tree.pop("setfit")["max_steps"]
    config = parse_config({**tree, "method": "full"}, folder=path.parent)
    open_base(config.model)
    start = time.perf_counter()
    job = open_job(config)
    rows, train = job.splits.train, config.train
    with tempfile.TemporaryDirectory() as scratch:
        model = SetFitModel.from_pretrained(str(job.base.folder))
        arguments = TrainingArguments(
            output_dir=scratch,
            batch_size=train.batch_size,
            max_steps=steps,
            body_learning_rate=config.rate,
            seed=train.seed,
            report_to="none",
            save_strategy="no",
            show_progress_bar=False,
        )
        labels = [job.splits.labels.index(row.target) for row in rows]
        dataset = Dataset.from_dict({"text": [row.input for row in rows], "label": labels})
        Trainer(model=model, args=arguments, train_dataset=dataset).train()
        seconds, peak = time.perf_counter() - start, peak_bytes()
        right, validated = (
            statistics.mean(
                job.splits.labels[int(one)] == row.target
                for one, row in zip(model.predict([row.input for row in part]), part, strict=True)
            )
            for part in (job.splits.test, job.splits.validation)
        )
        saved = Path(scratch) / "model"
        model.save_pretrained(saved)
        size = sum(file.stat().st_size for file in saved.rglob("*") if file.is_file())
    trainable = sum(p.numel() for p in model.model_body.parameters()) + model.model_head.coef_.size
    point = {"seconds": seconds, "figure": right, "peak_bytes": peak, "validation": [1 - validated]}
    print(json.dumps({"points": [point], "file_bytes": size, "trainable": trainable}))


if __name__ == "__main__":
    main()
