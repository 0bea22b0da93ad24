"""A folder that a patch was applied to: what the patch put beside the weights, read back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from zogan.errors import IntegrityError, one_line
from zogan.patch import beside
from zogan.patch.meta import BaseMeta, PatchMeta
from zogan.patch.patch import Patch
from zogan.weights import header, read_tensor


@dataclass(frozen=True)
class Merged:
    """What a folder of weights lacks to be the tuned model.

    Attributes:
        digest: of the patch that was applied, SHA-256 in hex.
        rest: new tensors and adapters, as a patch that changes no weight of the folder.
    """

    digest: str
    rest: Patch


def merged(folder: Path, fingerprint: str) -> Merged | None:
    """Read zogan.json and the files beside it; None where no patch was applied.

    Args:
        folder: with the model's weights.
        fingerprint: of those.

    Raises:
        IntegrityError: one of the files is damaged.
    """
    digest = beside.applied(folder)
    if digest is None:
        return None
    adapters = _tensors(folder / beside.ADAPTER / "adapter_model.safetensors")
    try:
        task = json.loads((folder / beside.NOTE).read_bytes())["task"]
        config = json.loads((folder / beside.ADAPTER / "adapter_config.json").read_bytes()) if adapters else None
        base = BaseMeta(whole=fingerprint, weights=0, tensors={})
        meta = PatchMeta(base=base, shapes={}, after={}, task=task, adapter=config)
    except (OSError, ValueError, KeyError, RecursionError) as error:
        what = f"what a patch put there is damaged: {one_line(error)}"
        raise IntegrityError(what, where=str(folder), todo="Apply the patch to its base again") from None
    return Merged(digest, Patch({}, _tensors(folder / beside.TENSORS), adapters, meta))


def _tensors(path: Path) -> dict[str, Tensor]:
    return {name: read_tensor(info) for name, info in header(path).items()} if path.is_file() else {}
