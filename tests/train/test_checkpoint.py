"""A checkpoint gives back what it was given, whole or not at all, and to the run of its key alone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from zogan.errors import IntegrityError
from zogan.train import checkpoint
from zogan.train.checkpoint import Checkpoint, put

DAMAGED = r": cannot be read: .*\. Delete the checkpoint to start over$"


def parameters(seed: int = 0, dtype: torch.dtype = torch.float32) -> dict[str, nn.Parameter]:
    generator = torch.Generator().manual_seed(seed)
    return {
        "a.values": nn.Parameter(torch.randn(5, generator=generator).to(dtype)),
        "head.weight": nn.Parameter(torch.randn(3, 4, generator=generator).to(dtype)),
        "none": nn.Parameter(torch.zeros(0, dtype=dtype)),
    }


def same(one: dict[str, nn.Parameter], other: dict[str, nn.Parameter]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), dtype=st.sampled_from([torch.float32, torch.bfloat16, torch.float16]))
def test_what_was_saved_comes_back(tmp_path_factory: pytest.TempPathFactory, seed: int, dtype: torch.dtype) -> None:
    kept = Checkpoint(tmp_path_factory.mktemp("checkpoint"), "key")
    given, best = parameters(seed, dtype), parameters(seed + 1, dtype)
    state = {"state": {"step": 3, "epochs": [{"loss": 0.5}]}, "generators": [torch.get_rng_state()]}
    kept.save(given, state)
    kept.save_best(best)
    found = parameters(seed + 2, dtype)
    back = kept.load(found)
    assert back is not None
    assert same(found, given)
    assert back["state"] == state["state"]
    assert torch.equal(back["generators"][0], torch.get_rng_state())
    kept.load_best(found)
    assert same(found, best)


def test_the_last_one_counts(tmp_path: Path) -> None:
    kept = Checkpoint(tmp_path, "key")
    for seed in (1, 2):
        kept.save(parameters(seed), {"step": seed})
        kept.save_best(parameters(seed))
    found = parameters()
    assert (kept.load(found) or {})["step"] == 2
    assert same(found, parameters(2))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.safetensors", "state.pt"]


def test_parameters_stay_the_optimisers_own(tmp_path: Path) -> None:
    kept, found = Checkpoint(tmp_path, "key"), parameters()
    kept.save(parameters(1), {})
    before = {name: (id(parameter), parameter.data_ptr()) for name, parameter in found.items()}
    kept.load(found)
    assert {name: (id(parameter), parameter.data_ptr()) for name, parameter in found.items()} == before


def test_no_checkpoint_is_a_fresh_start(tmp_path: Path) -> None:
    found = parameters()
    assert Checkpoint(tmp_path / "none", "key").load(found) is None
    assert not (tmp_path / "none").exists()
    assert same(found, parameters())


@pytest.mark.parametrize("what", ["state", "best"])
def test_a_crash_while_writing_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    kept = Checkpoint(tmp_path, "key")
    kept.save(parameters(1), {"step": 1})
    kept.save_best(parameters(1))

    def torn(content: object, path: Path, *rest: object) -> None:
        path.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(torch, "save", torn)
    monkeypatch.setattr(checkpoint, "save_file", torn)
    with pytest.raises(OSError, match="No space left"):
        kept.save(parameters(2), {"step": 2}) if what == "state" else kept.save_best(parameters(2))
    found = parameters()
    assert (kept.load(found) or {})["step"] == 1
    assert same(found, parameters(1))
    kept.load_best(found)
    assert same(found, parameters(1))


class Payload:
    """Unpickled, it would make a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 200,
        b"not a checkpoint\n" * 20,
        {"values": {}},
        {"key": "key"},
        {"key": "key", "values": 1},
        [1, 2],
        3,
    ],
)
def test_a_damaged_state_is_told(tmp_path: Path, content: object) -> None:
    path = tmp_path / "state.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    found = parameters()
    with pytest.raises(IntegrityError, match=r"state\.pt" + DAMAGED):
        Checkpoint(tmp_path, "key").load(found)
    assert same(found, parameters())


def test_a_state_that_runs_code_is_refused(tmp_path: Path) -> None:
    torch.save({"key": "key", "values": Payload(tmp_path / "owned")}, tmp_path / "state.pt")
    with pytest.raises(IntegrityError, match=r"state\.pt" + DAMAGED):
        Checkpoint(tmp_path, "key").load(parameters())
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("spoil", ["missing", "cut", "empty", "another run's", "without a tensor", "without a key"])
def test_damaged_best_values_are_told(tmp_path: Path, spoil: str) -> None:
    path, kept, found = tmp_path / "best.safetensors", Checkpoint(tmp_path, "key"), parameters()
    kept.save_best(parameters(1))
    if spoil == "missing":
        path.unlink()
    elif spoil == "cut":
        path.write_bytes(path.read_bytes()[:-4])
    elif spoil == "empty":
        path.write_bytes(b"")
    elif spoil == "another run's":
        # As a run under another key leaves it that was killed before its own first state.
        Checkpoint(tmp_path, "other").save_best(parameters(2))
    elif spoil == "without a tensor":
        save_file({"a.values": torch.zeros(5)}, path, {"key": "key"})
    else:
        save_file({name: p.detach() for name, p in parameters(1).items()}, path)
    with pytest.raises(IntegrityError, match=r"best\.safetensors" + DAMAGED):
        kept.load_best(found)
    assert same(found, parameters())


def test_put_copies_past_autograd() -> None:
    found, values = parameters(), {name: p.detach() for name, p in parameters(1).items()}
    put(found, values)
    assert same(found, parameters(1))
    assert all(parameter.grad_fn is None and parameter.requires_grad for parameter in found.values())
    assert found["a.values"].data_ptr() != values["a.values"].data_ptr()
