"""The tensors of a folder on disk: where each lies, its bytes, and the fingerprint of them all."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor

from zogan.errors import IntegrityError, ModelError
from zogan.progress import Progress, Silent

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"

DTYPES: dict[str, torch.dtype] = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "I8": torch.int8,
    "F8_E5M2": torch.float8_e5m2,
    "F8_E4M3": torch.float8_e4m3fn,
    "I16": torch.int16,
    "U16": torch.uint16,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I32": torch.int32,
    "U32": torch.uint32,
    "F32": torch.float32,
    "I64": torch.int64,
    "U64": torch.uint64,
    "F64": torch.float64,
    "C64": torch.complex64,
}
"""safetensors' name of a dtype -> torch's."""

_HEADER_LIMIT = 100_000_000  # bytes; the safetensors library's own bound
_CHUNK = 16 * 2**20  # bytes read at once


@dataclass(frozen=True)
class TensorInfo:
    """Where a tensor's bytes lie: `file[start:stop]`, absolute byte offsets, row-major, little-endian."""

    name: str
    file: Path
    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int

    @property
    def numel(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.stop - self.start

    @property
    def torch_dtype(self) -> torch.dtype:
        return DTYPES[self.dtype]

    def __str__(self) -> str:
        return f"{self.file}, tensor {self.name!r}"


@dataclass(frozen=True)
class Fingerprint:
    """SHA-256, in hex, of each tensor by name (dtype, shape, bytes) and of them all with their names."""

    whole: str
    tensors: dict[str, str]


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a folder: `model.safetensors`, or the shards that its index names, sorted.

    Raises:
        ModelError: no safetensors, or a shard is missing.
        IntegrityError: an index that is damaged, or points out of the folder.
    """
    if (folder / SINGLE).is_file():
        return [folder / SINGLE]
    if (folder / INDEX).is_file():
        return [folder / name for name in sorted(set(_weight_map(folder).values()))]
    pickled = sorted(path.name for suffix in ("bin", "pt", "pth", "ckpt") for path in folder.glob(f"*.{suffix}"))
    weights = [name for name in pickled if name != "training_args.bin"]
    if weights:
        raise ModelError(
            f"has only pickled weights ({weights[0]}), which can run any code when opened",
            where=str(folder),
            todo="On a machine where you trust the file: AutoModel.from_pretrained(FOLDER).save_pretrained(NEW), and"
            " the same with AutoTokenizer; then give NEW",
        )
    raise ModelError(f"has no {SINGLE} and no {INDEX}", where=str(folder))


def headers(folder: Path) -> dict[str, TensorInfo]:
    """Read where every tensor of the folder lies, sorted by name. Tied weights appear once, as they are stored.

    Raises:
        ModelError: no safetensors, or a shard is missing.
        IntegrityError: a damaged header, or an index that disagrees with its shards.
    """
    found: dict[str, TensorInfo] = {}
    for file in weight_files(folder):
        for info in header(file).values():
            if info.name in found:
                raise IntegrityError(f"also stands in {found[info.name].file.name}", where=str(info))
            found[info.name] = info
    if not (folder / SINGLE).is_file():
        for name, shard in _weight_map(folder).items():
            if name not in found or found[name].file != folder / shard:
                raise IntegrityError(
                    f"tensor {name!r} is not in {shard}, where it is said to be", where=f"{folder / INDEX}"
                )
    return dict(sorted(found.items()))


def header(file: Path) -> dict[str, TensorInfo]:
    """Read and check the header of one safetensors file, in the order of its bytes.

    Raises:
        IntegrityError: with the file's and the tensor's name. Nothing past the header is read.
    """
    size = file.stat().st_size
    with file.open("rb") as stream:
        first = stream.read(8)
        length = int.from_bytes(first, "little")
        if len(first) < 8 or length > size - 8:
            raise _damaged(file, f"the header's length, {length}, is more than the file's {size} bytes")
        if length > _HEADER_LIMIT:
            raise _damaged(file, f"the header's length, {length}, is more than {_HEADER_LIMIT} bytes")
        text = stream.read(length)
    if not text.startswith(b"{"):
        raise _damaged(file, "the header is no JSON object")
    tree = _parse(text, file)
    metadata = tree.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise _damaged(file, "__metadata__ is no mapping of strings")
    infos = sorted(
        (_entry(file, name, entry, 8 + length) for name, entry in tree.items()),
        key=lambda info: (info.start, info.stop),
    )
    end = 8 + length
    for info in infos:
        if info.start != end:
            fault = "overlaps the tensor before it" if info.start < end else "leaves a gap before it"
            raise IntegrityError(f"{fault} (bytes {info.start} to {info.stop})", where=str(info))
        end = info.stop
    if end != size:
        fault = f"the file has {size} bytes, its header describes {end}"
        raise _damaged(file, fault)
    return {info.name: info for info in infos}


def tensor_digest(dtype: str, shape: Sequence[int], chunks: Iterable[bytes | memoryview]) -> str:
    """SHA-256, in hex, of a tensor: the line `dtype [d0, d1, ...]`, then its bytes (row-major, little-endian).

    Args:
        dtype: as safetensors names it, such as "BF16".
        shape: the dimensions.
        chunks: the bytes, in order, in parts of any size.
    """
    digest = hashlib.sha256(f"{dtype} {[int(size) for size in shape]}\n".encode())
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()


def whole_digest(tensors: Mapping[str, str]) -> str:
    """SHA-256, in hex, of the lines `["name", "digest"]` (JSON, ASCII) of all tensors, sorted by name."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(f"{json.dumps([name, tensors[name]])}\n".encode())
    return digest.hexdigest()


def fingerprint(folder: Path, *, progress: Progress | None = None) -> Fingerprint:
    """Digest every tensor of a folder. The same tensors give the same fingerprint, sharded or not.

    Streams: memory stays at one chunk of 16 MiB. `progress` counts bytes.
    """
    progress = progress or Silent()
    infos = headers(folder)
    progress.start("fingerprint", sum(info.nbytes for info in infos.values()))
    done = 0
    tensors = {}
    for name, info in infos.items():
        tensors[name] = tensor_digest(info.dtype, info.shape, read_chunks(info))
        done += info.nbytes
        progress.advance(done)
    return Fingerprint(whole_digest(tensors), tensors)


def read_chunks(info: TensorInfo) -> Iterator[memoryview]:
    """A tensor's bytes, at most 16 MiB at once. Each chunk is valid until the next is asked for."""
    buffer = memoryview(bytearray(min(_CHUNK, info.nbytes)))
    left = info.nbytes
    with info.file.open("rb") as stream:
        stream.seek(info.start)
        while left:
            chunk = buffer[: min(left, len(buffer))]
            if stream.readinto(chunk) != len(chunk):
                raise IntegrityError("the file ends inside it", where=str(info))
            left -= len(chunk)
            yield chunk


def read_tensor(info: TensorInfo) -> Shaped[Tensor, "..."]:
    """Read one tensor into memory of its own.

    Returns: shape and dtype as stored.
    """
    tensor = torch.empty(info.shape, dtype=info.torch_dtype)
    # A flat byte view of any dtype, bfloat16 (unknown to numpy) and scalars too.
    target = tensor.reshape(-1).view(torch.uint8).numpy().data if info.nbytes else memoryview(b"")
    done = 0
    for chunk in read_chunks(info):
        target[done : done + len(chunk)] = chunk
        done += len(chunk)
    return tensor


def _weight_map(folder: Path) -> dict[str, str]:
    file = folder / INDEX
    tree = _parse(file.read_bytes(), file)
    shards = tree.get("weight_map")
    if not isinstance(shards, dict) or not shards:
        raise _damaged(file, "has no weight_map")
    for name, shard in shards.items():
        path = PurePosixPath(shard) if isinstance(shard, str) else PurePosixPath("/")
        if path.is_absolute() or ".." in path.parts or path.suffix != ".safetensors":
            raise _damaged(
                file, f"tensor {name!r} is said to be in {shard!r}, which is no safetensors file of this folder"
            )
        if not (folder / shard).is_file():
            raise ModelError(f"shard {shard} is missing", where=str(folder), todo=f"Copy every file that {INDEX} names")
    return shards


def _parse(text: bytes, file: Path) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        tree = dict(pairs)
        if len(tree) != len(pairs):
            raise ValueError("a key stands twice")
        return tree

    try:
        tree = json.loads(text.decode("utf-8"), object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise _damaged(file, f"not readable as JSON: {error}") from None
    if not isinstance(tree, dict):
        raise _damaged(file, "the header is no JSON object")
    return tree


def _entry(file: Path, name: str, entry: object, data: int) -> TensorInfo:
    where = f"{file}, tensor {name!r}"
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise IntegrityError("needs exactly dtype, shape and data_offsets", where=where)
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise IntegrityError(f"unknown dtype {dtype!r}", where=where)
    if not _naturals(shape):
        raise IntegrityError(f"shape {shape!r} is no list of sizes", where=where)
    if not _naturals(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise IntegrityError(f"data_offsets {offsets!r} are no start and stop", where=where)
    nbytes = math.prod(shape) * DTYPES[dtype].itemsize
    if nbytes != offsets[1] - offsets[0]:
        raise IntegrityError(f"{dtype} {shape} takes {nbytes} bytes, not {offsets[1] - offsets[0]}", where=where)
    return TensorInfo(name, file, dtype, tuple(shape), data + offsets[0], data + offsets[1])


def _naturals(value: object) -> bool:
    # bool is an int to Python, and no size.
    return isinstance(value, list) and all(type(item) is int and item >= 0 for item in value)


def _damaged(file: Path, fault: str) -> IntegrityError:
    return IntegrityError(fault, where=str(file), todo="The file is damaged or no safetensors file; copy it again")
