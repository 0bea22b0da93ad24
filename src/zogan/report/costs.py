"""What tuning took, and what full fine-tuning would have taken or did take: time, memory, file and money."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

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
    seconds = sum(one["wall_seconds"] for one in stages)
    peak_bytes = max((one["peak_bytes"] or 0 for one in stages), default=0)
    trainable = record.costs.get("trainable", record.places.changed)
    return Spent("measured", seconds, peak_bytes, record.patch_bytes, trainable, _price(record, seconds))


def beside_full(record: Record) -> tuple[Spent, Spent] | None:
    """This run and full fine-tuning on the same rows, both measured or both estimated: what else the machine did
    meanwhile is in a measured time, and not in an estimated one. None where neither is known, or the patch was given.
    """
    if record.given or record.config.method == "full":
        return None
    file = record.folder / "full.safetensors"
    if "full" in record.stages and file.is_file():
        stage = record.stages["full"]
        weights = record.costs.get("model_parameters", record.base_weights)
        seconds = stage["wall_seconds"]
        price = _price(record, seconds)
        full = Spent("measured", seconds, stage["peak_bytes"] or 0, file.stat().st_size, weights, price)
        return of_this_run(record), full
    if not record.estimate.get("full"):
        return None
    return _estimated(record, record.estimate), _estimated(record, record.estimate["full"])


def cost_sentences(record: Record, words: Words) -> list[str]:
    """What it took, beside full fine-tuning where that is known: the comparison first. Of a patch that was given, that
    its tuning is not known here.
    """
    if record.given:
        seconds = sum(one["wall_seconds"] for one in record.stages.values())
        return [words("cost.say.given", time=words.duration(seconds), file=words.size(record.patch_bytes))]
    ours, pair = of_this_run(record), beside_full(record)
    found = []
    if pair is not None:
        found.append(_beside(*pair, words))
    found.append(words("cost.say.took", **_taken(ours, words)))
    if pair is not None:
        found.append(words(f"cost.say.full_{pair[1].source}", **_taken(pair[1], words)))
    if ours.price is not None:
        found.append(words("cost.say.money", money=money(record, ours, words)))
        if pair is not None:
            found.append(words("cost.say.money_full", money=money(record, pair[1], words)))
    expected = record.estimate.get("seconds")
    if expected:
        found.append(words("cost.say.expected", time=words.duration(expected)))
    return found


def money(record: Record, spent: Spent, words: Words) -> str:
    """A price with its currency; – where none is known."""
    if spent.price is None:
        return "–"
    return f"{words.number(spent.price, 2 if spent.price >= 0.1 else 3)} {record.config.cost.currency}"


def _taken(spent: Spent, words: Words) -> dict[str, str]:
    return {
        "time": words.duration(spent.seconds),
        "memory": words.size(spent.peak_bytes) if spent.peak_bytes else "–",
        "file": words.size(spent.file_bytes),
    }


def _beside(ours: Spent, full: Spent, words: Words) -> str:
    time = words.percent(ours.seconds / full.seconds, 0)
    if not (ours.peak_bytes and full.peak_bytes):
        return words("cost.say.beside_time", time=time)
    memory = words.percent(ours.peak_bytes / full.peak_bytes, 0)
    return words(f"cost.say.beside_{full.source}", time=time, memory=memory)


def _estimated(record: Record, found: Mapping[str, Any]) -> Spent:
    taken = {name: found[name] for name in ("seconds", "peak_bytes", "file_bytes", "trainable")}
    return Spent("estimated", **taken, price=_price(record, found["seconds"]))


def _price(record: Record, seconds: float) -> float | None:
    per_hour = record.config.cost.per_hour
    return None if per_hour is None else seconds / 3600 * per_hour
