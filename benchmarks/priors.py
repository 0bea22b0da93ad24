"""Make the table of priors that a search's first trials come from, of the studies that were measured.

Every study-NAME.json is read with the variants of NAME.py. A variant's figure is that on the held-out rows at the epoch
that is best on validation; its gain is the mean difference from the study's first variant over seeds, better being
more. Of each development setting the few variants that gain most are kept, each with the values that it gives to keys
that a search tries. A part of the budget is among them only where the study varies it: otherwise it is the user's.

    python benchmarks/priors.py --data FOLDER [--results benchmarks/results] [--kept 3]
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from development import GENERATION, SETTINGS, drawn
from methods import Row, read
from study import Study
from zogan.search.priors import TABLE, Gain, Kind, Prior, features_of, read_priors
from zogan.search.space import DIMENSIONS

SEARCHED = {one.key for one in DIMENSIONS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with banking77/ and e2e-cleaned/")
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"), help="where the studies lie")
    parser.add_argument("--kept", type=int, default=3, help="variants of each setting")
    parser.add_argument("--table", type=Path, default=TABLE, help="the file to write")
    options: Any = parser.parse_args()

    studies = [
        Study(name := file.stem.removeprefix("study-"), import_module(name).VARIANTS, file)
        for file in sorted(options.results.glob("study-*.json"))
    ]
    table = [prior for setting in SETTINGS for prior in best(setting, studies, options.data, options.kept)]
    text = json.dumps([prior.model_dump() for prior in table], indent=1) + "\n"
    partial = options.table.with_suffix(".partial")
    partial.write_text(text, encoding="utf-8")
    read_priors(partial)
    partial.replace(options.table)

    print("| task | settings | gain | pairs |")
    print("| --- | --- | --- | --- |")
    for prior in table:
        settings = ", ".join(f"{key.split('.')[-1]} {value}" for key, value in prior.settings.items())
        error = "" if prior.gain.error is None else f" ± {prior.gain.error:.4f}"
        print(f"| {prior.name} | {settings} | {prior.gain.mean:+.4f}{error} | {prior.gain.pairs} |")


def best(setting: str, studies: Sequence[Study], data: Path, kept: int) -> list[Prior]:
    """The variants of a development setting that gain most; none that does not gain."""
    gains = [found for study in studies for found in gained(study, setting)]
    gains = sorted((found for found in gains if found[1].mean > 0), key=lambda found: -found[1].mean)[:kept]
    if not gains:
        return []
    task: Kind = "generation" if setting in GENERATION else "classification"
    features = counted(setting, task, data)
    return [
        Prior(name=setting, task=task, method="sparse", features=features, settings=settings, gain=gain)
        for settings, gain in gains
    ]


def gained(study: Study, setting: str) -> Iterator[tuple[Row, Gain]]:
    """Settings of a study's variants, and the gain of each over the first; not of those that a search cannot try."""
    first, *others = study.variants
    if "method" in study.variants[first]:
        return
    flats = {variant: flat(change) for variant, change in study.variants.items()}
    varied = {key for change in flats.values() for key in change if len({repr(f.get(key)) for f in flats.values()}) > 1}
    figures = study.figures(setting, 1 + max((json.loads(key)[1] for key in study.kept), default=-1))
    sign = -1 if setting in GENERATION else 1  # there it is a loss
    for variant in others:
        if not varied & flats[variant].keys() <= SEARCHED:
            continue
        settings = {
            key: value
            for key, value in flats[variant].items()
            if key in SEARCHED and (key in varied or not key.startswith("budget."))
        }
        pairs = [sign * (figures[variant][s] - figures[first][s]) for s in figures[variant] if s in figures[first]]
        if pairs:
            error = statistics.stdev(pairs) / len(pairs) ** 0.5 if len(pairs) > 1 else None
            mean = round(statistics.mean(pairs), 4)
            yield settings, Gain(mean=mean, error=None if error is None else round(error, 4), pairs=len(pairs))


def flat(change: Row) -> Row:
    """What a variant changes, by dotted key; a method that is not ours too, under its name."""
    parts = {part: value for part, value in change.items() if isinstance(value, dict)}
    whole = {part: value for part, value in change.items() if part not in parts}
    return {**whole, **{f"{part}.{name}": value for part, names in parts.items() for name, value in names.items()}}


def counted(setting: str, task: Kind, data: Path) -> dict[str, float]:
    """Features of a development setting, from its rows as they are drawn."""
    with tempfile.TemporaryDirectory() as folder:
        drawn(setting, data, Path(folder), 0)
        rows = read(Path(folder) / "train.jsonl")
    return features_of(task, rows=len(rows), labels=len({row.get("label") for row in rows}))


if __name__ == "__main__":
    main()
