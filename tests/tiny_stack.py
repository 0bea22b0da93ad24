"""Stacks of patches on a small base, with every state between them held densely: the reference for what patches do."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tiny_patch import WIDTHS, Shapes, generator, make_base, random_bits
from zogan.patch.change import bits
from zogan.patch.format import PatchFile
from zogan.patch.patch import Patch
from zogan.sparse.attach import Delta
from zogan.weights import fingerprint

State = dict[str, Tensor]

SHAPES: Shapes = {"layers.0.q.weight": (7, 5), "layers.1.q.weight": (4, 6), "norm": (9,)}


@dataclass(frozen=True)
class Stack:
    """Patches from the lowest up. `states[0]` is the base, `states[k]` what the first k patches make of it."""

    base: Path
    paths: list[Path]
    states: list[State]
    heads: list[dict[str, Tensor]]


def make_stack(
    root: Path,
    count: int,
    *,
    dtype: torch.dtype = torch.float32,
    seed: int = 0,
    density: float = 0.3,
    heads: bool = False,
    apart: bool = False,
) -> Stack:
    """Pile up patches: to random bits, to the base's own value again, to NaN, -0.0 and 0.0.

    Args:
        root: for the files.
        count: how many.
        dtype: of the base.
        seed: of all that is drawn.
        density: largest share of a tensor's weights in one patch; now and then a patch has none in a tensor.
        heads: some patches bring new tensors, of two names.
        apart: no two patches share a position.
    """
    base = make_base(root / "base", dtype, SHAPES, seed=seed)
    draw = generator(seed + 1)
    # Copies: what is loaded is the file's own memory, which changes with it.
    states = [{name: tensor.clone() for name, tensor in load_file(base / "model.safetensors").items()}]
    paths: list[Path] = []
    brought: list[dict[str, Tensor]] = []
    here = root / "state"
    shutil.copytree(base, here)
    free = {name: torch.randperm(state.numel(), generator=draw) for name, state in states[0].items()}
    for place in range(count):
        state = {name: tensor.clone() for name, tensor in states[-1].items()}
        deltas = {}
        for name, tensor in sorted(state.items()):
            listed = int(torch.randint(0, round(density * tensor.numel()) + 1, (), generator=draw))
            if apart:
                positions, free[name] = free[name][:listed], free[name][listed:]
            else:
                positions = torch.randperm(tensor.numel(), generator=draw)[:listed]
            positions = positions.sort().values
            flat = tensor.reshape(-1)
            old = bits(flat)[positions].view(dtype)
            new = _values(states[0][name].reshape(-1), positions, draw)
            deltas[name] = Delta(positions, old, new)
            bits(flat)[positions] = bits(new)
        head: dict[str, Tensor] = {}
        if heads and int(torch.randint(0, 2, (), generator=draw)):
            names = ["head.weight", "head.bias"][: 1 + int(torch.randint(0, 2, (), generator=draw))]
            head = {name: torch.randn(2, 3, generator=draw) for name in names}
        patch = Patch.capture(
            deltas,
            {name: name for name in deltas},
            fingerprint(here),
            here,
            tensors=head,
            task={"task": "classification", "place": place, "temperature": 1.5},
            tools={"zogan": "0.1.0"},
            hashes={"data": f"{place:064}"},
            parent=PatchFile.open(paths[-1]).digest if paths else None,
        )
        path = root / f"{place + 1:02}.safetensors"
        patch.save(path)
        save_file(state, here / "model.safetensors", metadata={"format": "pt"})
        states, paths, brought = [*states, state], [*paths, path], [*brought, head]
    return Stack(base, paths, states, brought)


def _values(base: Tensor, positions: Tensor, draw: torch.Generator) -> Tensor:
    """Random bits, among them the base's own, NaN, -0.0 and 0.0."""
    count, dtype = len(positions), base.dtype
    kinds = torch.randint(0, 6, (count,), generator=draw)
    values = random_bits((count,), dtype, int(torch.randint(0, 10**6, (), generator=draw)))
    odd = torch.tensor([torch.nan, -0.0, 0.0]).to(dtype)
    integers = bits(values)
    integers[kinds == 3] = bits(base)[positions][kinds == 3]
    for kind, value in zip((0, 1, 2), bits(odd), strict=True):
        integers[kinds == kind] = value
    return integers.view(dtype)


def applied(state: State, patch: Path, *, back: bool = False) -> State:
    """What a patch makes of a state, by the specification: the values to go stand there, then those to come do."""
    result = {name: tensor.clone() for name, tensor in state.items()}
    for name, change in Patch.load(patch).changes.items():
        flat = result[name].reshape(-1)
        held, wanted = (change.new, change.old) if back else (change.old, change.new)
        assert torch.equal(bits(flat)[change.positions], bits(held)), name
        bits(flat)[change.positions] = bits(wanted)
    return result


def same(left: State, right: State) -> bool:
    """Whether two states are the same bit for bit."""
    return left.keys() == right.keys() and all(torch.equal(bits(left[name]), bits(right[name])) for name in left)


def folder_of(state: State, folder: Path) -> Path:
    """A base folder that holds a state."""
    folder.mkdir(exist_ok=True)
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps({"model_type": "tiny"}))
    return folder


DTYPES = [dtype for dtype in WIDTHS if dtype != torch.float64]
