"""Compare two runs, patches or models on the same test rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from zogan.config import Config
from zogan.data.load import load
from zogan.data.rows import Row
from zogan.errors import DataError, ZoganError
from zogan.evaluate.comparison.figures import compare_pair
from zogan.evaluate.comparison.pair import pair
from zogan.evaluate.comparison.result import Comparison
from zogan.evaluate.comparison.side import Looked, Opener, Side, config_of, kind_of
from zogan.evaluate.protocol.sample import row_key
from zogan.evaluate.protocol.slices import members
from zogan.progress import Progress


def compare_runs(
    first: str, second: str, *, config: Config | None, progress: Progress, looked: Looked | None
) -> Comparison:
    """See `zogan.compare_runs`."""
    found = pair(*_opened(first, second, Opener(config, progress=progress, looked=looked)))
    told: list[str] = []
    settings, rows = (config, _of(config, found.a)) if config is not None else _of_a_run((found.a, found.b), told)
    if config is not None and rows is None:
        raise DataError(
            "the configuration's test rows are not those that were predicted",
            where=found.a.name,
            todo="Give the configuration of the runs with --config, or none",
        )
    slices = members(rows, settings.protocol.slices) if rows is not None else {}
    return compare_pair(found, rows, slices, settings=settings.evaluate, seed=settings.train.seed, notes=told)


def _opened(first: str, second: str, opener: Opener) -> tuple[Side, Side]:
    """Runs before what must be predicted, so that all is known to fit before that."""
    if kind_of(first) != "run" and kind_of(second) == "run":
        b = opener.open(second)
        return opener.open(first, b), b
    a = opener.open(first)
    return a, opener.open(second, a)


def _of_a_run(sides: Sequence[Side], told: list[str]) -> tuple[Config, list[Row] | None]:
    """The configuration of the first run whose test rows are still at hand, in the order of the first side's."""
    configs = [config_of(Path(side.name)) for side in sides]
    faults = []
    for config in configs:
        try:
            rows = _of(config, sides[0])
        except ZoganError as error:
            faults.append(str(error))
            continue
        if rows is not None:
            return config, rows
        faults.append(f"{config.data.test or config.data.train} now gives other test rows")
    told.append(f"the rows' text and slices are left out: {faults[0]}")
    return configs[0], None


def _of(config: Config, side: Side) -> list[Row] | None:
    """The rows that a side predicted, in its order; None where the configuration has others."""
    at_hand: defaultdict[str, list[Row]] = defaultdict(list)
    for row in load(config).test:
        at_hand[row_key(row)].append(row)
    if any(key not in at_hand for key in side.keys):
        return None
    return [at_hand[key][0] for key in side.keys]
