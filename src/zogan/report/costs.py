"""What tuning took, and what full fine-tuning would have taken or did take: time, memory, file and money."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from zogan.report.record import Record
from zogan.report.words import Words


@dataclass(frozen=True)
class Spent:
    """What one way of tuning takes, without evaluation.

    Args:
        source: measured in this run, or estimated before it.
        seconds: wall time.
        peak_bytes: resident memory at most; 0 where it is not known.
        file_bytes: of what it leaves.
        trainable: weights that train.
        price: in the configured currency; None where no price an hour is given.
    """

    source: Literal["measured", "estimated"]
    seconds: float
    peak_bytes: int
    file_bytes: int
    trainable: int
    price: float | None


def of_this_run(record: Record) -> Spent:
    """Choosing the weights and training them, as measured; with the run's own seed."""
    stages = [record.stages[name] for name in ("select", "tune") if name in record.stages]
    return Spent(
        "measured",
        seconds := sum(one["wall_seconds"] for one in stages),
        max((one["peak_bytes"] or 0 for one in stages), default=0),
        record.patch_bytes,
        record.costs.get("trainable", record.places.changed),
        _price(record, seconds),
    )


def of_full(record: Record) -> Spent | None:
    """Full fine-tuning on the same rows: measured where the protocol asked for it, else estimated."""
    if record.config.method == "full":
        return None
    file = record.folder / "full.safetensors"
    if "full" in record.stages and file.is_file():
        stage = record.stages["full"]
        weights = record.costs.get("model_parameters", record.base_weights)
        seconds = stage["wall_seconds"]
        price = _price(record, seconds)
        return Spent("measured", seconds, stage["peak_bytes"] or 0, file.stat().st_size, weights, price)
    found = record.estimate.get("full")
    if not found:
        return None
    taken = {name: found[name] for name in ("seconds", "peak_bytes", "file_bytes", "trainable")}
    return Spent("estimated", **taken, price=_price(record, found["seconds"]))


def _price(record: Record, seconds: float) -> float | None:
    per_hour = record.config.cost.per_hour
    return None if per_hour is None else seconds / 3600 * per_hour


def cost_sentences(record: Record, words: Words) -> list[str]:
    """What it took, beside full fine-tuning where that is known: the comparison first."""
    ours, full = of_this_run(record), of_full(record)
    memory = words.size(ours.peak_bytes) if ours.peak_bytes else "–"
    took = words("cost.say.took", time=words.duration(ours.seconds), memory=memory, file=words.size(ours.file_bytes))
    found = [] if full is None else [_beside(ours, full, words)]
    if full is not None and full.peak_bytes:
        took_full = {"time": words.duration(full.seconds), "memory": words.size(full.peak_bytes)}
        found += [took, words(f"cost.say.full_{full.source}", **took_full, file=words.size(full.file_bytes))]
    else:
        found.append(took)
    if ours.price is not None:
        found.append(words("cost.say.money", money=money(record, ours, words)))
        if full is not None:
            found.append(words("cost.say.money_full", money=money(record, full, words)))
    expected = record.estimate.get("seconds")
    if expected:
        found.append(words("cost.say.expected", time=words.duration(expected)))
    return found


def money(record: Record, spent: Spent, words: Words) -> str:
    """A price with its currency; – where none is known."""
    if spent.price is None:
        return "–"
    return f"{words.number(spent.price, 2 if spent.price >= 0.1 else 3)} {record.config.cost.currency}"


def _beside(ours: Spent, full: Spent, words: Words) -> str:
    time = words.percent(ours.seconds / full.seconds, 0)
    if not (ours.peak_bytes and full.peak_bytes):
        return words("cost.say.beside_time", time=time)
    return words("cost.say.beside", time=time, memory=words.percent(ours.peak_bytes / full.peak_bytes, 0))
