"""The settings that curves.py measures: for each method a grid of rates and batch sizes, best-known setting first."""

from __future__ import annotations

from typing import Any

Row = dict[str, Any]

METHODS = ("ours", "full", "lora", "rslora64", "shira", "setfit")


def at(
    batch_size: int,
    rate: float,
    epochs: int,
    *,
    head_rate: float | None = None,
    start: str | None = None,
    criterion: str | None = None,
    pattern: str | None = None,
    batches: int | None = None,
    **budget: Any,
) -> Row:
    """A setting; with depth or density it is one of ours, and single weights are chosen by row unless `allocation` says
    otherwise. `batches` are those of selection."""
    train: Row = {"batch_size": batch_size, "rate": rate, "epochs": epochs}
    if head_rate is not None:
        train["head_rate"] = head_rate
    if start is not None:
        train["head_start"] = start
    if not budget:
        return {"train": train}
    allocation = budget.pop("allocation", "tensor" if pattern else "row")
    chosen = {"allocation": allocation, "criterion": criterion, "pattern": pattern, "batches": batches}
    return {"train": train, "budget": budget, "select": {key: value for key, value in chosen.items() if value}}


def pairs(batch_size: int, rate: float, steps: int) -> Row:
    """A setting of SetFit's: steps on batches of pairs."""
    return {"train": {"batch_size": batch_size, "rate": rate, "epochs": 1}, "setfit": {"max_steps": steps}}


# By task and number of rows (banking77: a class).
GRIDS: dict[tuple[str, int], dict[str, list[Row]]] = {
    ("e2e-cleaned", 300): {
        "ours": [
            at(2, 6e-3, 1, depth="all", density=0.04, criterion="random", pattern="columns"),
            at(2, 6e-3, 1, depth=20, density=0.02, criterion="random", pattern="columns"),
            at(2, 6e-3, 1, depth=17, density=0.02, criterion="random", pattern="columns"),
            at(2, 5e-3, 2, depth=20, density=0.03, criterion="random", pattern="columns"),
            at(2, 4e-3, 2, depth="all", density=0.04, criterion="random", pattern="columns"),
            at(2, 1.5e-2, 2, depth="all", criterion="relative", batches=4),
            at(2, 3e-2, 1, depth="all", criterion="relative", batches=4),
            at(2, 6e-3, 1, depth="all", density=0.02, criterion="random"),
        ],
        "full": [at(4, 1e-4, 1), at(4, 1e-4, 2), at(8, 1e-4, 2), at(2, 5e-5, 1), at(2, 1e-4, 1), at(4, 2e-4, 1)],
        "lora": [at(2, 2e-3, 1), at(2, 1e-3, 2), at(4, 2e-3, 1), at(2, 4e-3, 1), at(1, 1e-3, 1), at(8, 1e-3, 2)],
        "rslora64": [at(2, 5e-4, 1), at(2, 1e-3, 1), at(4, 5e-4, 2)],
        "shira": [at(2, 3e-3, 1), at(2, 1.5e-3, 2), at(4, 3e-3, 1)],
    },
    ("banking77", 10): {
        "ours": [
            at(32, 3e-3, 10, depth="all", allocation="global"),
            at(32, 1e-3, 3, depth=3, head_rate=0.0005, start="logistic"),
            at(32, 1e-3, 6, depth="all", head_rate=0.0005, start="logistic"),
            at(32, 3e-3, 10, depth=3, allocation="global"),
            at(16, 3e-3, 5, depth=3, head_rate=0.005),
            at(32, 3e-3, 10, depth=3, head_rate=0.005),
            at(16, 3e-3, 5, depth="all", head_rate=0.005),
            at(8, 3e-3, 3, depth=3, head_rate=0.005),
        ],
        "full": [
            at(32, 5e-5, 10),
            at(32, 5e-5, 5, head_rate=0.0005, start="logistic"),
            at(16, 5e-5, 5, head_rate=0.005),
            at(32, 1e-4, 5, head_rate=0.005),
            at(8, 5e-5, 3, head_rate=0.005),
        ],
        "lora": [
            at(32, 1e-3, 10),
            at(16, 1e-3, 5, head_rate=0.005),
            at(32, 2e-3, 5, head_rate=0.005),
            at(8, 1e-3, 3, head_rate=0.005),
        ],
        "rslora64": [at(32, 5e-4, 10), at(16, 5e-4, 5, head_rate=0.005)],
        "shira": [at(32, 3e-3, 10), at(16, 3e-3, 5, head_rate=0.005)],
        "setfit": [pairs(16, 2e-5, 400), pairs(16, 2e-5, 100), pairs(16, 5e-5, 200)],
    },
    ("banking77", 50): {
        "ours": [
            at(
                32,
                1e-3,
                3,
                depth=2,
                density=0.2,
                criterion="random",
                pattern="columns",
                head_rate=0.0005,
                start="logistic",
            ),
            at(32, 1e-3, 3, depth=3, head_rate=0.0005, start="logistic"),
            at(32, 3e-3, 4, depth=3, head_rate=0.001, start="logistic"),
            at(32, 3e-3, 5, depth=3, head_rate=0.005),
            at(32, 3e-3, 5, depth="all", head_rate=0.005),
            at(16, 3e-3, 3, depth=3, head_rate=0.005),
        ],
        "full": [at(32, 5e-5, 5, head_rate=0.005), at(16, 5e-5, 3, head_rate=0.005), at(16, 1e-4, 3, head_rate=0.005)],
        "lora": [at(32, 1e-3, 5, head_rate=0.005), at(16, 1e-3, 3, head_rate=0.005), at(16, 2e-3, 3, head_rate=0.005)],
        "rslora64": [at(32, 5e-4, 5, head_rate=0.005)],
        "shira": [at(32, 3e-3, 5, head_rate=0.005)],
        "setfit": [pairs(16, 2e-5, 400)],
    },
    ("e2e-cleaned", 3000): {
        "ours": [
            at(4, 5e-3, 1, depth=20, density=0.02, criterion="random", pattern="columns"),
            at(4, 5e-3, 1, depth=12, density=0.02, criterion="random", pattern="columns"),
            at(2, 1.5e-2, 1, depth="all", criterion="relative", batches=4),
        ],
        "full": [at(8, 1e-4, 1), at(4, 5e-5, 1)],
        "lora": [at(4, 1e-3, 1), at(2, 1e-3, 1), at(4, 2e-3, 1)],
        "rslora64": [at(4, 5e-4, 1)],
        "shira": [at(4, 1.5e-3, 1)],
    },
}


def label(setting: Row) -> str:
    """A setting in words."""
    train = setting["train"]
    words = [f"batch {train['batch_size']}", f"rate {train['rate']:g}", f"{train['epochs']} epochs"]
    words += [f"head rate {train['head_rate']:g}"] if "head_rate" in train else []
    words += [f"head start {train['head_start']}"] if "head_start" in train else []
    parts = (setting.get(part, {}) for part in ("budget", "select", "setfit"))
    return ", ".join([*words, *(f"{key} {value}".replace("_", " ") for part in parts for key, value in part.items())])
