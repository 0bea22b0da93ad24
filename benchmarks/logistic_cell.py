"""Logistic regression on a base's frozen features, in a process of its own; prints what curve_cell.py prints.

    python benchmarks/logistic_cell.py CELL.json

The penalty is the one of scikit-learn's grid that is best on the validation rows.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from peak import peak_bytes
from zogan.config import parse_config
from zogan.data.batch import batch_size
from zogan.models import open_base
from zogan.tasks import open_job
from zogan.tasks.classification import Classification

PENALTIES = np.logspace(-4, 4, 10)
"""As in `LogisticRegressionCV`."""


def main() -> None:
    path = Path(sys.argv[1])
    tree = json.loads(path.read_text(encoding="utf-8"))
    config = parse_config({**tree, "method": "head"}, folder=path.parent)
    open_base(config.model)
    start = time.perf_counter()
    job = open_job(config)
    if not isinstance(job.task, Classification):
        raise SystemExit("logistic regression is for classification")
    model, size = job.task.model(seed=0), batch_size(config.evaluate)
    x, y = {}, {}
    for split in ("train", "validation"):
        examples = job.examples(split)
        x[split] = job.task.features(model, examples, size).cpu().numpy()
        y[split] = np.array([example.labels[0] for example in examples])
    fits = [LogisticRegression(C=penalty, max_iter=1000).fit(x["train"], y["train"]) for penalty in PENALTIES]
    scores = []
    for fit in fits:
        loss = log_loss(y["validation"], fit.predict_proba(x["validation"]), labels=fit.classes_)
        scores.append((float((fit.predict(x["validation"]) != y["validation"]).mean()), float(loss)))
    best = min(range(len(fits)), key=lambda place: scores[place])
    seconds, peak = time.perf_counter() - start, peak_bytes()
    held_out = job.examples("test")
    truth = np.array([example.labels[0] for example in held_out])
    right = float((fits[best].predict(job.task.features(model, held_out, size).cpu().numpy()) == truth).mean())
    trainable = fits[best].coef_.size + fits[best].intercept_.size
    point = {"seconds": seconds, "figure": right, "peak_bytes": peak, "validation": scores[best]}
    print(json.dumps({"points": [point], "file_bytes": 4 * trainable, "trainable": trainable}))


if __name__ == "__main__":
    main()
