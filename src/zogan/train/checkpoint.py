"""Where a killed run goes on from: the few trained values, the optimiser and the place in the data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from zogan.errors import IntegrityError

STATE, BEST = "state.pt", "best.safetensors"

Place = Callable[[Mapping[str, Tensor]], None]
"""Is given the places that were kept with values, before those are put back: of which weights they are."""

_PLACES = "places/"

_NOT_OURS = (ValueError, LookupError, TypeError, AttributeError)
"""What a file raises that can be read, and holds something else."""


class Checkpoint:
    """A folder with the last state and the best values. Files appear whole or not at all.

    Args:
        folder: made when first written to.
        key: hash of all that the run depends on; a state under another key is not taken up.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self.folder, self.key = folder, key

    def save(self, trained: Mapping[str, nn.Parameter], state: Mapping[str, Any]) -> None:
        """Keep the trained parameters and whatever else the loop needs."""
        self.folder.mkdir(parents=True, exist_ok=True)
        whole = {"key": self.key, "values": {name: p.detach() for name, p in trained.items()}, **state}
        partial = self.folder / (STATE + ".partial")
        torch.save(whole, partial)
        partial.replace(self.folder / STATE)

    def load(self, trained: Mapping[str, nn.Parameter], place: Place | None = None) -> dict[str, Any] | None:
        """Put the kept parameters back in place; the rest of the state, or None where there is none of this key.

        Args:
            trained: by name.
            place: is given the state's `places` before.

        Raises:
            IntegrityError: the file is damaged.
        """
        path = self.folder / STATE
        if not path.is_file():
            return None
        try:
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
            if state["key"] != self.key or state["values"].keys() != trained.keys():
                return None
            if place is not None:
                place(state["places"])
        except (RuntimeError, EOFError, OSError, UnpicklingError, *_NOT_OURS) as error:
            raise _damaged(path, error) from None
        put(trained, state["values"])
        return state

    def save_best(self, trained: Mapping[str, nn.Parameter], places: Mapping[str, Tensor] | None = None) -> None:
        """Keep the parameters as the best so far; with places, where they may be of other weights later."""
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self.folder / (BEST + ".partial")
        tensors = {name: p.detach().cpu().contiguous() for name, p in trained.items()}
        tensors |= {_PLACES + name: tensor.clone() for name, tensor in (places or {}).items()}
        save_file(tensors, partial, {"key": self.key})
        partial.replace(self.folder / BEST)

    def load_best(self, trained: Mapping[str, nn.Parameter], place: Place | None = None) -> None:
        """Put the best parameters back in place.

        Args:
            trained: by name.
            place: is given the places that were kept with them before.

        Raises:
            IntegrityError: the file is missing, damaged, or of a run under another key.
        """
        path = self.folder / BEST
        try:
            with safe_open(path, framework="pt") as file:
                if (file.metadata() or {}).get("key") != self.key:
                    raise ValueError("it is of another run")
                values = {name: file.get_tensor(name) for name in trained}
                names = [name for name in file.keys() if name.startswith(_PLACES)]  # noqa: SIM118
                places = {name.removeprefix(_PLACES): file.get_tensor(name) for name in names}
            if place is not None:
                place(places)
        except (SafetensorError, OSError, ValueError, LookupError) as error:
            raise _damaged(path, error) from None
        put(trained, values)


def put(trained: Mapping[str, nn.Parameter], values: Mapping[str, Tensor]) -> None:
    """Copy values into parameters of the same names."""
    with torch.no_grad():
        for name, parameter in trained.items():
            parameter.copy_(values[name])


def _damaged(path: Path, error: Exception) -> IntegrityError:
    # The first line says it; torch goes on with advice on how to load what must not be trusted.
    what = str(error).partition("\n")[0] or type(error).__name__
    return IntegrityError(f"cannot be read: {what}", where=str(path), todo="Delete the checkpoint to start over")
