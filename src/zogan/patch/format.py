"""The bytes of a patch file: a safetensors file of one canonical form, sealed by a digest over all of it."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from zogan.errors import IntegrityError, ZoganError
from zogan.patch.change import Change, raw
from zogan.patch.meta import PatchMeta
from zogan.patch.positions import LARGEST, decode
from zogan.weights import DTYPES, TensorInfo, header, read_tensor

START = b'{"__metadata__":{"digest":"'
"""The first bytes of the header, after its length. The digest's 64 hex digits follow."""

DIGEST = 8 + len(START)
"""Where in the file they stand."""

BLANK = "0" * 64
"""What stands there while the digest is taken."""

DTYPE_NAMES = {dtype: name for name, dtype in DTYPES.items()}
"""torch's dtype -> safetensors' name of it."""

_HEADER_LIMIT = 64 * 2**20  # bytes
_CHUNK = 16 * 2**20  # bytes

Specs = Mapping[str, tuple[str, tuple[int, ...]]]  # name -> dtype, shape


def layout(specs: Specs, metadata: Mapping[str, str]) -> bytes:
    """The header of a safetensors file in its one form: widest dtype first, then by name, with no holes.

    Returns: 8 bytes of length, then JSON, filled up with spaces to a multiple of 8.
    """
    tree: dict[str, object] = {"__metadata__": dict(metadata)}
    end = 0
    for name in order(specs):
        dtype, shape = specs[name]
        start, end = end, end + DTYPES[dtype].itemsize * math.prod(shape)
        tree[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(tree, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def order(specs: Specs) -> list[str]:
    """Names as their bytes follow each other. Widest first, so that every tensor is aligned to its own width."""
    return sorted(specs, key=lambda name: (-DTYPES[specs[name][0]].itemsize, name))


def chunks(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> Iterator[bytes | memoryview]:
    """A whole safetensors file, piece by piece; independent of the order in which `tensors` come."""
    specs = {name: (DTYPE_NAMES[tensor.dtype], tuple(tensor.shape)) for name, tensor in tensors.items()}
    yield layout(specs, metadata)
    for name in order(specs):
        yield raw(tensors[name])


def seal(tensors: Mapping[str, Tensor], meta: PatchMeta) -> str:
    """The digest of a patch: SHA-256 of its file in which the digest's own 64 digits are zeros."""
    digest = hashlib.sha256()
    for chunk in chunks(tensors, metadata_of(meta, BLANK)):
        digest.update(chunk)
    return digest.hexdigest()


def metadata_of(meta: PatchMeta, digest: str) -> dict[str, str]:
    """safetensors' metadata: the digest first, so that it stands at one place in every file."""
    return {"digest": digest, "zogan": meta.dumps()}


@dataclass(frozen=True)
class PatchFile:
    """A patch file of which header, metadata and digest are proven; tensors are read and proven one at a time."""

    path: Path
    meta: PatchMeta
    digest: str
    infos: Mapping[str, TensorInfo]

    @classmethod
    def open(cls, path: Path) -> PatchFile:
        """Prove all but the tensors' contents.

        Raises:
            ZoganError: no such file.
            IntegrityError: with the file's and, where it is one tensor's fault, the tensor's name.
        """
        if not path.is_file():
            raise ZoganError("no such file", where=str(path))
        with path.open("rb") as stream:
            start = stream.read(DIGEST)
            told = stream.read(64).decode("ascii", "replace")
        length = int.from_bytes(start[:8], "little")
        if start[8:] != START:
            raise IntegrityError("is no patch of zogan", where=str(path))
        if length > _HEADER_LIMIT:
            raise IntegrityError(f"the header's length, {length}, is over {_HEADER_LIMIT} bytes", where=str(path))
        infos = header(path)
        _check_digest(path, told)
        meta = _read_meta(path, length, infos)
        _check_names(path, meta, infos)
        return cls(path, meta, told, infos)

    @property
    def names(self) -> list[str]:
        """The base's tensors that change, sorted."""
        return sorted(self.meta.after)

    def change(self, name: str) -> Change:
        """Read what changes in one tensor, and prove it."""
        old, new = (read_tensor(self.infos[f"{part}/{name}"]) for part in ("old", "new"))
        code = self.infos[f"positions/{name}"]
        shape = self.meta.shapes[name]
        try:
            if code.dtype != "U8" or len(code.shape) != 1 or old.dim() != 1:
                raise ValueError("positions are not U8 of one dimension, or values not of one")
            if (old.dtype, old.shape) != (new.dtype, new.shape):
                raise ValueError("old and new values differ in dtype or number")
            if not 0 < len(old) <= math.prod(shape) <= LARGEST:
                raise ValueError(f"{len(old)} values in shape {list(shape)}")
            positions = decode(raw(read_tensor(code)).tobytes(), len(old), math.prod(shape))
            return Change(self.infos[f"old/{name}"].dtype, shape, positions, old, new)
        except ValueError as error:
            raise IntegrityError(str(error), where=f"{self.path}, tensor {name!r}") from None

    def whole(self, prefix: str) -> dict[str, Tensor]:
        """Read the tensors stored whole: `prefix` is "tensor" or "adapter"."""
        found = {}
        for key, info in self.infos.items():
            part, _, name = key.partition("/")
            if part == prefix:
                found[name] = read_tensor(info)
        return dict(sorted(found.items()))


def write(path: Path, tensors: Mapping[str, Tensor], meta: PatchMeta) -> None:
    """Write a patch file under a temporary name, then rename it, so that it is whole or not there."""
    part = path.with_name(f".{path.name}.part")
    with part.open("wb") as stream:
        for chunk in chunks(tensors, metadata_of(meta, seal(tensors, meta))):
            stream.write(chunk)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(path)


def _check_digest(path: Path, told: str) -> None:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        digest.update(stream.read(DIGEST))
        digest.update(BLANK.encode())
        stream.seek(64, os.SEEK_CUR)
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    if digest.hexdigest() != told:
        raise IntegrityError(
            f"is damaged: its digest is {digest.hexdigest()[:12]}…, it was written with {told[:12]}…",
            where=str(path),
            todo="Copy it again from where it was made",
        )


def _read_meta(path: Path, length: int, infos: Mapping[str, TensorInfo]) -> PatchMeta:
    with path.open("rb") as stream:
        text = stream.read(8 + length)
    metadata = json.loads(text[8:])["__metadata__"]
    try:
        if list(metadata) != ["digest", "zogan"]:
            raise ValueError("metadata has other keys than digest and zogan")
        if layout({name: (info.dtype, info.shape) for name, info in infos.items()}, metadata) != text:
            raise ValueError("the header is not in its canonical form")
        return PatchMeta.loads(metadata["zogan"])
    except ValueError as error:
        raise IntegrityError(str(error), where=str(path)) from None


def _check_names(path: Path, meta: PatchMeta, infos: Mapping[str, TensorInfo]) -> None:
    changed = meta.after.keys()
    for what, names in (("base.tensors", meta.base.tensors.keys()), ("shapes", meta.shapes.keys())):
        if names != changed:
            odd = min(names ^ changed)
            raise IntegrityError(f"stands in only one of {what} and after", where=f"{path}, tensor {odd!r}")
    wanted = {f"{part}/{name}" for name in changed for part in ("positions", "old", "new")}
    whole = {key for key in infos if key.startswith(("tensor/", "adapter/"))}
    for key in sorted(wanted ^ (infos.keys() - whole)):
        fault = "is missing" if key in wanted else "belongs to nothing that the metadata names"
        raise IntegrityError(fault, where=f"{path}, tensor {key!r}")
    for key in sorted(changed | {key.partition("/")[2] for key in whole}):
        if odd_name := name_fault(key):
            raise IntegrityError(odd_name, where=f"{path}, tensor {key!r}")
    for key in sorted(whole):
        if infos[key].nbytes == 0:
            raise IntegrityError("is empty", where=f"{path}, tensor {key!r}")
    if any(key.startswith("adapter/") for key in whole) != (meta.adapter is not None):
        raise IntegrityError("adapters and their configuration stand only together", where=str(path))


def name_fault(name: str) -> str | None:
    """What is wrong with a tensor's name, if anything: it must never read as a path."""
    if not name or len(name) > 500 or not name.isprintable():
        return "the name is empty, too long or not printable"
    if "/" in name or "\\" in name or name.startswith(".") or ".." in name:
        return "the name reads as a path"
    return None
