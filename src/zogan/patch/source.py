"""A model folder that patches are proved against: where its tensors lie, and the digest of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Shaped
from torch import Tensor

from zogan.errors import IntegrityError, RunError, ZoganError
from zogan.patch import journal
from zogan.patch.disk import locked
from zogan.progress import Progress
from zogan.weights import TensorInfo, fingerprint, headers, read_tensor


@dataclass(frozen=True)
class Source:
    """A folder, read and not written.

    Attributes:
        folder: with the weights.
        whole: digest over all tensors.
        digests: of each tensor, by name.
        infos: where each lies.
    """

    folder: Path
    whole: str
    digests: Mapping[str, str]
    infos: Mapping[str, TensorInfo]

    @classmethod
    def open(cls, folder: Path, progress: Progress) -> Source:
        """Digest every tensor of a folder; memory stays at one chunk of 16 MiB.

        Raises:
            ZoganError: no such folder.
            ModelError: it has no safetensors.
            RunError: another command is at work there, or was killed.
        """
        if not folder.is_dir():
            raise ZoganError("no such folder", where=str(folder))
        with locked(folder, shared=True):
            if journal.pending(folder):
                raise RunError(
                    "a zogan command was killed here", where=str(folder), todo="Give its command again, to finish it"
                )
            found = fingerprint(folder, progress=progress)
            return cls(folder, found.whole, found.tensors, headers(folder))

    @property
    def weights(self) -> int:
        """Weights in all tensors."""
        return sum(info.numel for info in self.infos.values())

    def fitting(self, name: str, dtype: str, shape: tuple[int, ...], patch: Path) -> TensorInfo:
        """Where a patch's tensor lies here.

        Raises:
            IntegrityError: it is not here, or has another dtype or shape.
        """
        where = f"{self.folder}, tensor {name!r}"
        if name not in self.infos:
            raise IntegrityError(f"is not in the folder, and {patch} changes it", where=where, todo=_RETRAIN)
        info = self.infos[name]
        if (info.dtype, info.shape) != (dtype, shape):
            raise IntegrityError(
                f"is {info.dtype} {list(info.shape)}, {patch} is for {dtype} {list(shape)}", where=where, todo=_RETRAIN
            )
        return info

    def read(self, name: str) -> Shaped[Tensor, "..."]:
        """Read one tensor, as stored."""
        return read_tensor(self.infos[name])


_RETRAIN = "A patch fits bases of the same tensors alone; for this one, tune anew"
