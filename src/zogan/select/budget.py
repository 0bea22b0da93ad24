"""Worth and price of depth: what the best weights of the layers promise, and what it costs to reach them.

The lower the lowest layer that may change, the more there is to choose from, and the more of the model runs forward and
backward in every step. Worth comes from the saliency pass; price from shapes and row lengths, so that the same
configuration chooses the same on every machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zogan.errors import ConfigError

TOLERANCE = 0.01
"""Share of the worth that is given up for a lower price."""

_SHOWN = 8


@dataclass(frozen=True)
class Option:
    """A depth that can be chosen.

    Attributes:
        depth: topmost layers that may change.
        time: operations of the whole run, selection and cache included, as a share of full fine-tuning's.
        memory: bytes that the process takes at most.
        worth: of the weights that would change, as a share of what the deepest option has; known after the pass.
    """

    depth: int
    time: float
    memory: int
    worth: float | None = None

    def as_json(self, *, timed: bool) -> dict[str, Any]:
        """For the selection's meta: what decided. What hangs on this process, the memory, is left out.

        Args:
            timed: with the price, which hangs on the whole loop's options.
        """
        worth = None if self.worth is None else round(self.worth, 4)
        return {"depth": self.depth, "worth": worth, **({"time": round(self.time, 4)} if timed else {})}


def affordable(options: Sequence[Option], *, time: float | None, memory: int | None) -> list[Option]:
    """The options within both bounds.

    Args:
        options: one for each depth, from 1 up.
        time: largest share of full fine-tuning's operations.
        memory: most bytes.

    Raises:
        ConfigError: there is none, with the bound that would leave one.
    """
    in_time = [option for option in options if time is None or option.time <= time]
    if not in_time:
        least = min(options, key=lambda option: option.time)
        raise ConfigError(
            f"even {_layers(least.depth)} and the saliency pass take {least.time:.2f} of full fine-tuning's operations",
            where="budget.time",
            todo=f"--set budget.time={_up(least.time)}" if least.time < 1 else "Take fewer select.batches",
        )
    found = [option for option in in_time if memory is None or option.memory <= memory]
    if not found:
        least = min(in_time, key=lambda option: option.memory)
        raise ConfigError(
            f"even {_layers(least.depth)} take about {least.memory / 1e9:.1f} GB",
            where="budget.memory",
            todo=f"--set budget.memory={least.memory / 1e9 + 0.05:.1f}GB, a smaller train.batch_size or max_length",
        )
    return found


def weighed(options: Sequence[Option], worth: Mapping[int, float]) -> list[Option]:
    """The options with what is chosen in their layers worth, from one saliency pass over the deepest.

    Args:
        options: by depth, ascending; the last is the deepest.
        worth: layer, counted from the top (0 is the topmost), to the scores of its chosen weights, added up.
    """
    whole = sum(worth.values())
    return [
        Option(
            option.depth,
            option.time,
            option.memory,
            sum(value for layer, value in worth.items() if layer < option.depth) / whole if whole > 0 else None,
        )
        for option in options
    ]


def best(options: Sequence[Option]) -> Option:
    """The most worth; of those within `TOLERANCE` of it, the one with the lowest price."""
    deepest = max(options, key=lambda option: option.depth)
    if deepest.worth is None:
        return deepest
    most = max(option.worth or 0.0 for option in options)
    return min(
        (option for option in options if (option.worth or 0.0) >= (1 - TOLERANCE) * most),
        key=lambda option: (option.time, option.depth),
    )


def shown(options: Sequence[Option], chosen: Option) -> str:
    """The frontier in one line: of many depths some, and always the chosen one."""
    step, last = -(-len(options) // _SHOWN), len(options) - 1
    some = [option for place, option in enumerate(options) if option == chosen or (last - place) % step == 0]
    parts = []
    for option in some:
        worth = "" if option.worth is None else f"{100 * option.worth:.0f} % of the worth at "
        mark = " (chosen)" if option == chosen else ""
        parts.append(f"{option.depth}: {worth}{option.time:.2f} of full fine-tuning's operations{mark}")
    return "layers that may change: " + "; ".join(parts)


def _layers(count: int) -> str:
    return "one layer" if count == 1 else f"{count} layers"


def _up(share: float) -> str:
    return f"{min(int(share * 100 + 1) / 100, 1.0):.2f}"
