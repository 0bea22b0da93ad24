"""Where patches meet, against a count by position in plain Python."""

from __future__ import annotations

import tempfile
from pathlib import Path
from random import Random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from tiny_patch import make_base, make_patch
from tiny_stack import DTYPES, make_stack
from zogan.errors import IntegrityError, ZoganError
from zogan.patch.change import bits
from zogan.patch.conflicts import Conflicts, find_conflicts
from zogan.patch.patch import Patch
from zogan.sparse.attach import Delta
from zogan.weights import fingerprint


def counted(paths: list[Path]) -> dict[tuple[str, int, int], list[int]]:
    """Shared, follow, compete and foreign, by tensor and the places of the patch below and above."""
    found: dict[tuple[str, int, int], list[int]] = {}
    last: dict[tuple[str, int], tuple[int, int, int]] = {}  # place, bits now, bits in the beginning
    for place, path in enumerate(paths, start=1):
        for name, change in Patch.load(path).changes.items():
            rows = zip(change.positions.tolist(), bits(change.old).tolist(), bits(change.new).tolist(), strict=True)
            for position, old, new in rows:
                if (name, position) in last:
                    below, now, bare = last[name, position]
                    kind = 1 if old == now else 2 if old == bare else 3
                    counts = found.setdefault((name, below, place), [0, 0, 0, 0])
                    counts[0], counts[kind] = counts[0] + 1, counts[kind] + 1
                else:
                    bare = old
                last[name, position] = (place, new, bare)
    return found


def met(conflicts: Conflicts) -> dict[tuple[str, int, int], list[int]]:
    return {
        (one.tensor, one.below, one.above): [one.shared, one.follow, one.compete, one.foreign]
        for one in conflicts.meetings
    }


@settings(max_examples=10, deadline=None)
@given(dtype=st.sampled_from(DTYPES), count=st.integers(2, 6), shuffled=st.randoms(), seed=st.integers(0, 10**6))
def test_every_shared_position_is_counted(dtype: torch.dtype, count: int, shuffled: Random, seed: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        stack = make_stack(root, count, dtype=dtype, seed=seed, density=0.6)
        in_turn = find_conflicts(stack.paths)
        assert in_turn.stack
        assert met(in_turn) == counted(stack.paths)
        assert all(one.follow == one.shared for one in in_turn.meetings)
        for place in range(2):
            make_patch(stack.base, 0.4, seed=seed + place).save(root / f"rival{place}")
        mixed = [*stack.paths, root / "rival0", root / "rival1"]
        shuffled.shuffle(mixed)
        assert met(find_conflicts(mixed)) == counted(mixed)


def test_patches_of_one_base_compete(tmp_path: Path) -> None:
    base = make_base(tmp_path / "base")
    for place in (1, 2):
        make_patch(base, 0.5, seed=place, head=True, adapter=True).save(tmp_path / str(place))
    found = find_conflicts([tmp_path / "1", tmp_path / "2"])
    assert (found.stack, found.disjoint) == (False, False)
    assert [one.relation for one in found.patches] == [None, "competes"]
    assert all(one.compete == one.shared for one in found.meetings)
    low, high = (Patch.load(tmp_path / place).changes["embeddings.weight"] for place in "12")
    (meeting,) = (one for one in found.meetings if one.tensor == "embeddings.weight")
    position = meeting.first[0].position
    assert position == min(set(low.positions.tolist()) & set(high.positions.tolist()))
    assert len(meeting.first) == 5
    assert [(one.name, one.places) for one in found.tensors] == [("head.bias", (1, 2)), ("head.weight", (1, 2))]
    assert [(one.name, one.places) for one in found.adapters] == [("base_model.model.q", (1, 2))]


def test_disjoint_patches_of_one_base_compete_too(tmp_path: Path) -> None:
    """No weight is changed twice, yet the second belongs to the bare base."""
    base = make_base(tmp_path / "base", shapes={"a": (4,), "b": (4,)})
    for name in "ab":
        stored = make_patch(base, 1.0).changes[name]
        delta = Delta(stored.positions, stored.old, stored.new)
        Patch.capture({name: delta}, {name: name}, fingerprint(base), base).save(tmp_path / name)
    found = find_conflicts([tmp_path / "a", tmp_path / "b"])
    assert (found.stack, found.disjoint, found.patches[1].relation) == (False, True, "competes")


def test_another_base_is_neither(tmp_path: Path) -> None:
    for seed in (1, 5):
        make_patch(make_base(tmp_path / f"base{seed}", seed=seed), 0.9).save(tmp_path / str(seed))
    found = find_conflicts([tmp_path / "1", tmp_path / "5"])
    assert found.patches[1].relation == "other base"
    assert sum(one.foreign for one in found.meetings) > 0


def test_a_head_alone_leaves_the_base_as_it_is(tmp_path: Path) -> None:
    base = make_base(tmp_path / "base")
    make_patch(base, 0.0, head=True).save(tmp_path / "head")
    make_patch(base, 0.5).save(tmp_path / "body")
    assert find_conflicts([tmp_path / "head", tmp_path / "body"]).stack


def test_values_are_shown_with_the_bits_of_nan(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    values = [torch.tensor([1.0]), torch.tensor([torch.nan]), torch.tensor([-0.0])]
    for place in (0, 1):
        save_file({"w": values[place]}, tmp_path / "base" / "model.safetensors")
        delta = Delta(torch.tensor([0]), values[place], values[place + 1])
        patch = Patch.capture({"w": delta}, {"w": "w"}, fingerprint(tmp_path / "base"), tmp_path / "base")
        patch.save(tmp_path / str(place))
    (meeting,) = find_conflicts([tmp_path / "0", tmp_path / "1"]).meetings
    (shown,) = meeting.first
    assert (shown.below_new, shown.above_old, shown.above_new) == ("nan (0x7fc00000)", "nan (0x7fc00000)", "-0.0")


def test_refused(tmp_path: Path) -> None:
    make_patch(make_base(tmp_path / "base")).save(tmp_path / "p")
    make_patch(make_base(tmp_path / "wide", torch.bfloat16)).save(tmp_path / "q")
    with pytest.raises(ZoganError, match="1 patches are given, 2 are the least"):
        find_conflicts([tmp_path / "p"])
    with pytest.raises(IntegrityError, match=r"q, tensor '.*': is BF16 .*, and F32 .* in .*p\. These patches belong"):
        find_conflicts([tmp_path / "p", tmp_path / "q"])
    with pytest.raises(ZoganError, match="no such file"):
        find_conflicts([tmp_path / "p", tmp_path / "none"])
