"""Entries of several patches in one tensor, and the proof that patches are a stack."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tiny_stack import folder_of, make_stack
from zogan.errors import IntegrityError
from zogan.patch.change import bits
from zogan.patch.compose import compose_patches
from zogan.patch.format import PatchFile, chunks
from zogan.patch.meta import canonical
from zogan.patch.patch import Patch
from zogan.patch.stack import entries, layer_of, relation, text


def seal_parts(parts: Mapping[str, Tensor], text: str) -> bytes:
    """A patch file of any tensors and metadata, with the digest that belongs to it."""
    content = b"".join(bytes(chunk) for chunk in chunks(parts, {"digest": "0" * 64, "zogan": text}))
    return content[:35] + hashlib.sha256(content).hexdigest().encode() + content[99:]


def test_entries_lie_by_position_then_by_place(tmp_path: Path) -> None:
    stack = make_stack(tmp_path, 4, density=0.8, seed=1)
    files = [PatchFile.open(path) for path in stack.paths]
    name = "layers.0.q.weight"
    found = entries(files, name)
    rows = sorted(
        (position, place)
        for place, file in enumerate(files)
        if name in file.meta.after
        for position in file.change(name).positions.tolist()
    )
    assert list(zip(found.positions.tolist(), found.places.tolist(), strict=True)) == rows
    assert found.again.tolist() == [False, *(a[0] == b[0] for a, b in itertools.pairwise(rows))]
    assert not found.broken.any()
    base = bits(stack.states[0][name].reshape(-1))
    assert torch.equal(bits(found.bare), base[found.positions])


def test_values_that_lie_are_found_behind_digests_that_fit(tmp_path: Path) -> None:
    """Sealed anew with another old value: digests chain, values do not."""
    stack = make_stack(tmp_path, 2, density=1.0, seed=4)
    low, patch = (Patch.load(path) for path in stack.paths)
    name, parts = "layers.1.q.weight", dict(patch._stored)
    shared = torch.isin(patch.changes[name].positions, low.changes[name].positions).nonzero().flatten()
    lie = bits(parts[f"old/{name}"]).clone()
    lie[shared[0]] ^= 1 << 20
    parts[f"old/{name}"] = lie.view(torch.float32)
    (tmp_path / "lie").write_bytes(seal_parts(parts, canonical(json.loads(patch.meta.dumps()))))
    position = int(patch.changes[name].positions[shared[0]])
    told = rf"lie, tensor '{name}': its old value at position {position} is .*, where .*01.safetensors put .*1 in all"
    for base in (None, stack.base):
        with pytest.raises(IntegrityError, match=told):
            compose_patches([stack.paths[0], tmp_path / "lie"], tmp_path / "out", base=base)
    with pytest.raises(IntegrityError, match="the patches' values do not fit their own digests"):
        compose_patches([tmp_path / "lie"], tmp_path / "out", base=folder_of(stack.states[1], tmp_path / "one"))


def test_a_digest_of_a_tensor_that_lies_is_found_by_the_base(tmp_path: Path) -> None:
    stack = make_stack(tmp_path, 1, density=1.0)
    patch = Patch.load(stack.paths[0])
    tree = json.loads(patch.meta.dumps())
    tree["base"]["tensors"][min(patch.changes)] = "1" * 64
    (tmp_path / "lie").write_bytes(seal_parts(patch._stored, canonical(tree)))
    with pytest.raises(IntegrityError, match="is not the tensor of the folder"):
        compose_patches([tmp_path / "lie"], tmp_path / "out", base=stack.base)


def test_relations(tmp_path: Path) -> None:
    stack = make_stack(tmp_path, 3, density=0.9, seed=6)
    files = [PatchFile.open(path) for path in stack.paths]
    assert [relation(files, place) for place in (1, 2)] == ["stack", "stack"]
    assert relation([files[0], files[2]], 1) == "other base"
    assert relation([files[0], files[0]], 1) == "competes"


def test_layers_and_values_as_text() -> None:
    for name, layer in (
        ("model.layers.3.mlp.up.weight", "model.layers.3"),
        ("embeddings.word.weight", "embeddings.word"),
        ("scale", "scale"),
        ("h.0.1.w", "h.0"),
    ):
        assert layer_of(name) == layer
    assert text(torch.tensor(-0.0)) == "-0.0"
    assert text(torch.tensor(-torch.nan).half()) == "nan (0xfe00)"
    assert text(torch.tensor(True)) == "True"
