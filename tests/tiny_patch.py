"""Small bases on disk and patches for them: what the tests of patches share."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from zogan.patch.change import bits
from zogan.patch.patch import Patch
from zogan.sparse.attach import Delta
from zogan.weights import fingerprint, headers, read_tensor

Shapes = Mapping[str, tuple[int, ...]]

SHAPES: Shapes = {
    "embeddings.weight": (50, 8),
    "layer.0.dense.weight": (16, 8),
    "layer.0.dense.bias": (16,),
    "scale": (),
}
WIDTHS = {
    torch.float64: torch.int64,
    torch.float32: torch.int32,
    torch.bfloat16: torch.int16,
    torch.float16: torch.int16,
}


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_bits(shape: tuple[int, ...], dtype: torch.dtype, seed: int) -> Tensor:
    """Any bits at all: NaN with every payload, infinities, -0.0 and subnormals among them."""
    integer = WIDTHS[dtype]
    info = torch.iinfo(integer)
    return torch.randint(info.min, info.max, shape, dtype=integer, generator=generator(seed)).view(dtype)


def make_base(
    folder: Path, dtype: torch.dtype = torch.float32, shapes: Shapes = SHAPES, *, shards: int = 1, seed: int = 0
) -> Path:
    """Write a base: one file or shards with their index, and other files beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: random_bits(shape, dtype, seed + i) for i, (name, shape) in enumerate(sorted(shapes.items()))}
    if shards == 1:
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    else:
        places = {name: f"model-{i % shards + 1:05}-of-{shards:05}.safetensors" for i, name in enumerate(tensors)}
        for file in set(places.values()):
            save_file({name: tensors[name] for name in tensors if places[name] == file}, folder / file)
        index = {"metadata": {}, "weight_map": places}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "config.json").write_text('{"model_type": "tiny"}')
    (folder / "1_Pooling").mkdir(exist_ok=True)
    (folder / "1_Pooling" / "config.json").write_text("{}")
    return folder


def make_patch(
    folder: Path, density: float = 0.1, *, seed: int = 1, head: bool = False, adapter: bool = False
) -> Patch:
    """A patch for a base folder, to random bits at random positions of every tensor."""
    deltas = {}
    for i, (name, info) in enumerate(headers(folder).items()):
        stored = read_tensor(info).reshape(-1)
        count = round(density * info.numel)
        positions = torch.randperm(info.numel, generator=generator(seed + i))[:count].sort().values
        new = random_bits((count,), info.torch_dtype, seed + 100 + i)
        deltas[name] = Delta(positions, bits(stored)[positions].view(info.torch_dtype), new)
    return Patch.capture(
        deltas,
        {name: name for name in deltas},
        fingerprint(folder),
        folder,
        tensors={"head.weight": torch.ones(2, 8), "head.bias": torch.zeros(2)} if head else None,
        adapters={"base_model.model.q.lora_A.weight": torch.ones(2, 8)} if adapter else None,
        adapter={"peft_type": "LORA", "r": 2} if adapter else None,
        task={"task": "classification", "labels": ["良い", "bad"]},
        tools={"zogan": "0.1.0"},
        hashes={"data": "0" * 64},
    )


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file of a folder, hidden ones too, with its bytes; folders with none."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in sorted(folder.rglob("*"))
    }
