"""Files made to harm, and files that were damaged: refused with a name, and nothing is touched."""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from tiny_patch import make_base, make_patch, snapshot
from zogan.errors import IntegrityError
from zogan.patch import format
from zogan.patch.folder import apply_folder
from zogan.patch.meta import canonical
from zogan.patch.patch import Patch
from zogan.patch.positions import encode

Parts = dict[str, Tensor]
Tree = dict[str, Any]
NAME = "layer.0.dense.weight"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(tmp_path_factory.mktemp("attack") / "base")


@pytest.fixture(scope="module")
def good(base: Path) -> bytes:
    make_patch(base, head=True, adapter=True).save(base.parent / "good")
    return (base.parent / "good").read_bytes()


def sealed(content: bytes) -> bytes:
    """With the digest that belongs to it: what damage never has, and an attacker always can."""
    blank = content[:35] + b"0" * 64 + content[99:]
    return content[:35] + hashlib.sha256(blank).hexdigest().encode() + content[99:]


def forged(base: Path, alter: Callable[[Parts, Tree], None]) -> bytes:
    """A patch whose tensors and metadata are altered, in proper form and properly sealed."""
    patch = make_patch(base, head=True, adapter=True)
    parts, tree = dict(patch._stored), json.loads(patch.meta.dumps())
    alter(parts, tree)
    return seal_parts(parts, canonical(tree))


def seal_parts(parts: Mapping[str, Tensor], text: str) -> bytes:
    return sealed(b"".join(bytes(chunk) for chunk in format.chunks(parts, {"digest": "0" * 64, "zogan": text})))


def refused(content: bytes, base: Path, tmp_path: Path, fault: str) -> None:
    """Reading refuses, and so do both ways to apply, which touch nothing."""
    path = tmp_path / "evil"
    path.write_bytes(content)
    before, around = snapshot(base), sorted(tmp_path.iterdir())
    with pytest.raises(IntegrityError, match=fault):
        apply_folder(path, base, tmp_path / "new")
    with pytest.raises(IntegrityError, match=fault):
        apply_folder(path, base, in_place=True)
    assert snapshot(base) == before
    assert sorted(tmp_path.iterdir()) == around


def unreadable(content: bytes, base: Path, tmp_path: Path, fault: str) -> None:
    refused(content, base, tmp_path, fault)
    with pytest.raises(IntegrityError, match=fault):
        Patch.load(tmp_path / "evil")


def test_the_forge_makes_good_patches(base: Path, good: bytes) -> None:
    assert forged(base, lambda parts, tree: None) == good


def test_cut_short_or_long(base: Path, good: bytes, tmp_path: Path) -> None:
    lengths = {*range(120), *random.Random(0).sample(range(len(good)), 60), len(good) - 1}
    for length in sorted(lengths):
        (tmp_path / "cut").write_bytes(good[:length])
        with pytest.raises(IntegrityError, match="cut"):
            Patch.load(tmp_path / "cut")
    unreadable(good + b"\0", base, tmp_path, "the file has")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
@given(data=st.data(), bit=st.integers(0, 7))
def test_a_flipped_bit_is_always_seen(good: bytes, tmp_path: Path, data: st.DataObject, bit: int) -> None:
    at = data.draw(st.integers(0, len(good) - 1))
    (tmp_path / "flipped").write_bytes(good[:at] + bytes([good[at] ^ 1 << bit]) + good[at + 1 :])
    with pytest.raises(IntegrityError, match="flipped"):
        Patch.load(tmp_path / "flipped")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
@given(data=st.data(), byte=st.integers(0, 255))
def test_a_changed_byte_under_a_forged_seal_never_breaks_the_reader(
    base: Path, good: bytes, tmp_path: Path, data: st.DataObject, byte: int
) -> None:
    """It may read as another patch, or be refused; never anything else."""
    at = data.draw(st.integers(0, len(good) - 1))
    (tmp_path / "forged").write_bytes(sealed(good[:at] + bytes([byte]) + good[at + 1 :]))
    try:
        Patch.load(tmp_path / "forged")
    except IntegrityError as error:
        assert "forged" in str(error)  # noqa: PT017


def positions_of(numbers: list[int]) -> Tensor:
    return torch.frombuffer(bytearray(encode(torch.tensor(numbers))), dtype=torch.uint8)


def frame_of(content: bytes) -> Tensor:
    return torch.frombuffer(bytearray(zstandard.compress(content)), dtype=torch.uint8)


def put(key: str, value: Callable[[Tensor], Tensor]) -> Callable[[Parts, Tree], None]:
    return lambda parts, tree: parts.__setitem__(key, value(parts[key]))


def drop(key: str) -> Callable[[Parts, Tree], None]:
    return lambda parts, tree: parts.__delitem__(key)


def meta(*path: str, value: Any) -> Callable[[Parts, Tree], None]:
    def alter(parts: Parts, tree: Tree) -> None:
        for key in path[:-1]:
            tree = tree[key]
        tree[path[-1]] = value

    return alter


def rename(new: str) -> Callable[[Parts, Tree], None]:
    def alter(parts: Parts, tree: Tree) -> None:
        for part in ("positions", "old", "new"):
            parts[f"{part}/{new}"] = parts.pop(f"{part}/{NAME}")
        for names in (tree["base"]["tensors"], tree["shapes"], tree["after"]):
            names[new] = names.pop(NAME)

    return alter


def forget(*path: str) -> Callable[[Parts, Tree], None]:
    def alter(parts: Parts, tree: Tree) -> None:
        for key in path:
            tree = tree[key]
        del tree[NAME]

    return alter


AT, OLD, NEW = (f"{part}/{NAME}" for part in ("positions", "old", "new"))

FORGERIES: dict[str, tuple[Callable[[Parts, Tree], None], str]] = {
    "positions past the end": (
        put(AT, lambda _: positions_of([*range(12), 200])),
        "tensor .*: positions: one is not below 128",
    ),
    "too few positions": (put(AT, lambda _: positions_of([1, 2])), "2 gaps, where 13 values stand"),
    "too many positions": (put(AT, lambda _: positions_of(list(range(14)))), "14 gaps, where 13 values stand"),
    "positions as floats": (put(AT, lambda t: t.float()), "not U8 of one dimension"),
    "positions in two dimensions": (put(AT, lambda t: t[None]), "not U8 of one dimension"),
    "no zstd": (put(AT, lambda t: torch.zeros(9, dtype=torch.uint8)), "no zstd frame"),
    "no frame at all": (put(AT, lambda t: t[:0]), "no zstd frame"),
    "two frames": (put(AT, lambda t: torch.cat([t, t])), "no zstd frame"),
    "a bomb": (put(AT, lambda t: frame_of(bytes(2**27))), "the content takes 134217728 bytes, 106 are the most"),
    "fewer old values": (put(OLD, lambda t: t[1:].clone()), "differ in dtype or number|the patch is for"),
    "fewer new values": (put(NEW, lambda t: t[1:].clone()), "differ in dtype or number|the patch is for"),
    "old values in another dtype": (put(OLD, lambda t: t.bfloat16()), "differ in dtype or number|the patch is for"),
    "values in two dimensions": (put(OLD, lambda t: t[None]), "values not of one"),
    "nothing changes": (
        lambda p, t: p.update({NEW: p[OLD].clone()}),
        "a position is listed whose value does not change",
    ),
    "no positions": (drop(AT), f"tensor '{AT}': is missing"),
    "no old values": (drop(OLD), f"tensor '{OLD}': is missing"),
    "no new values": (drop(NEW), f"tensor '{NEW}': is missing"),
    "values that nothing names": (lambda p, t: p.update({"old/more": torch.ones(1)}), "belongs to nothing"),
    "a tensor without a prefix": (lambda p, t: p.update({"more": torch.ones(1)}), "belongs to nothing"),
    "an unknown prefix": (lambda p, t: p.update({"evil/more": torch.ones(1)}), "belongs to nothing"),
    "an empty new tensor": (put("tensor/head.bias", lambda t: t[:0].clone()), "is empty"),
    "adapters without configuration": (meta("adapter", value=None), "stand only together"),
    "configuration without adapters": (drop("adapter/base_model.model.q.lora_A.weight"), "stand only together"),
    "a path for a name": (rename("../../etc/passwd"), "the name reads as a path"),
    "a hidden file for a name": (rename(".zogan-journal"), "the name reads as a path"),
    "a control character in a name": (rename("a\x1b[2Jb"), "not printable"),
    "a new tensor with a path for a name": (
        lambda p, t: p.update({"tensor/../x": torch.ones(1)}),
        "reads as a path",
    ),
    "an adapter with a path for a name": (lambda p, t: p.update({"adapter//x": torch.ones(1)}), "reads as a path"),
    "not in base.tensors": (
        forget("base", "tensors"),
        f"tensor '{NAME}': stands in only one of base.tensors and after",
    ),
    "not in shapes": (forget("shapes"), f"tensor '{NAME}': stands in only one of shapes and after"),
    "not in after": (forget("after"), "stands in only one of base.tensors and after"),
    "an empty shape": (meta("shapes", NAME, value=[0, 8]), "13 values in shape|the patch is for"),
    "a giant shape": (meta("shapes", NAME, value=[2**40, 2**40]), "13 values in shape|the patch is for"),
    "a shape too small": (meta("shapes", NAME, value=[3, 4]), "13 values in shape|the patch is for"),
    "another format": (meta("format", value=2), "format 2 is unknown"),
    "an unknown key": (meta("more", value=1), "more"),
    "a digest that is none": (meta("after", NAME, value="x" * 64), f"after.{NAME}"),
    "a task that is none": (meta("task", value=[]), "task"),
}


@pytest.mark.parametrize("attack", FORGERIES)
def test_forged(attack: str, base: Path, tmp_path: Path) -> None:
    alter, fault = FORGERIES[attack]
    unreadable(forged(base, alter), base, tmp_path, fault)


# Well-formed files that only the base can give the lie.
LIES: dict[str, tuple[Callable[[Parts, Tree], None], str]] = {
    "a tensor that is not in the base": (rename("no.such"), "tensor 'no.such': is not in the base"),
    "a smaller shape": (meta("shapes", NAME, value=[8, 16]), r"is F32 \[16, 8\], the patch is for F32 \[8, 16\]"),
    "a larger shape": (meta("shapes", NAME, value=[16, 9]), "the patch is for"),
    "another dtype": (
        lambda p, t: p.update({OLD: p[OLD].view(torch.int32), NEW: p[NEW].view(torch.int32)}),
        "the patch is for I32",
    ),
    "another digest before": (meta("base", "tensors", NAME, value="0" * 64), f"tensor '{NAME}': base differs"),
    "another digest after": (meta("after", NAME, value="0" * 64), f"tensor '{NAME}': the patch's values do not fit"),
    "another base": (meta("base", "whole", value="0" * 64), "belongs to base 000000000000"),
    "other old values": (put(OLD, lambda t: torch.full((13,), 0.125)), "the patch's values do not fit its own digests"),
    "other new values": (put(NEW, lambda t: torch.full((13,), 0.125)), "the patch's values do not fit its own digests"),
    "other positions": (put(AT, lambda t: positions_of(list(range(13)))), "the patch's values do not fit"),
}


@pytest.mark.parametrize("lie", LIES)
def test_lies(lie: str, base: Path, tmp_path: Path) -> None:
    alter, fault = LIES[lie]
    refused(forged(base, alter), base, tmp_path, fault)


def test_headers_that_lie(base: Path, good: bytes, tmp_path: Path) -> None:
    length = int.from_bytes(good[:8], "little")
    text, data = good[8 : 8 + length], good[8 + length :]

    def with_header(header: bytes) -> bytes:
        return sealed(len(header).to_bytes(8, "little") + header + data)

    first = re.search(rb'"data_offsets":\[(\d+),(\d+)\]', text)
    assert first is not None
    for header, fault in (
        (text.replace(first[0], b'"data_offsets":[0,99999999]'), "takes"),
        (text.replace(first[0], b'"data_offsets":[8,8]'), "takes"),
        (text.replace(b'"F32"', b'"F99"'), "unknown dtype"),
        (text.replace(b'"shape":[', b'"shape":[-', 1), "no list of sizes|JSON"),
        (text.rstrip() + b" " * 64, "not in its canonical form"),
        (text.rstrip()[:-1] + b',"x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}', "tensor 'x'|canonical"),
        (text.replace(b',"zogan":', b',"more":"","zogan":', 1), "other keys than digest and zogan"),
        (text.replace(b',"zogan":', b',"zogam":', 1), "other keys than digest and zogan"),
        (text.replace(b"}}", b"}", 1), "canonical"),
        (b'{"__metadata__":{"digest":"' + b"0" * 64 + b'"' + b"[" * 200_000, "JSON"),
        (b'{"__metadata__":{"digest":"' + b"\xff" * 64 + b'"}}', "header describes"),
    ):
        assert header != text
        unreadable(with_header(header), base, tmp_path, fault)
    giant = (2**63).to_bytes(8, "little") + good[8:]
    unreadable(giant, base, tmp_path, "length")
    (tmp_path / "evil").write_bytes((2**27).to_bytes(8, "little") + good[8:])
    with (tmp_path / "evil").open("r+b") as stream:
        stream.truncate(2**28)  # sparse: no disk is used
    with pytest.raises(IntegrityError, match="is over 67108864 bytes"):
        Patch.load(tmp_path / "evil")
