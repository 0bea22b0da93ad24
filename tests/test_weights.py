"""Tensors on disk: equal to what safetensors reads, digests that are pinned, hostile headers refused."""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor

from tiny import tiny_decoder
from zogan.errors import IntegrityError, ModelError, ZoganError
from zogan.weights import (
    DTYPES,
    INDEX,
    SINGLE,
    Fingerprint,
    TensorInfo,
    fingerprint,
    header,
    headers,
    read_tensor,
    tensor_digest,
    weight_files,
    whole_digest,
)

ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


def write_raw(file: Path, tree: object, data: bytes = b"", *, length: int | None = None) -> Path:
    text = tree if isinstance(tree, bytes) else json.dumps(tree).encode()
    file.write_bytes((len(text) if length is None else length).to_bytes(8, "little") + text + data)
    return file


def write_shards(folder: Path, shards: dict[str, dict[str, Tensor]], weight_map: dict[str, Any] | None = None) -> Path:
    folder.mkdir(exist_ok=True)
    for name, tensors in shards.items():
        save_file(tensors, folder / name)
    found = {tensor: name for name, tensors in shards.items() for tensor in tensors}
    (folder / INDEX).write_text(json.dumps({"weight_map": found if weight_map is None else weight_map}))
    return folder


def same_bits(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and one.dtype == other.dtype and to_bytes(one) == to_bytes(other)


def to_bytes(tensor: Tensor) -> bytes:
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b""


@st.composite
def tensors(draw: st.DrawFn) -> dict[str, Tensor]:
    """A few small tensors of random bytes, scalars and empty ones among them."""
    found = {}
    for name in draw(st.lists(st.text("abc.é\n", min_size=1, max_size=6), min_size=1, max_size=4, unique=True)):
        dtype = draw(st.sampled_from([dtype for dtype in DTYPES.values() if dtype is not torch.bool]))
        shape = draw(st.lists(st.integers(0, 3), max_size=3))
        count = int(torch.tensor(shape, dtype=torch.int64).prod()) * dtype.itemsize
        data = draw(st.binary(min_size=count, max_size=count))
        tensor = torch.empty(shape, dtype=dtype)
        if count:
            tensor.reshape(-1).view(torch.uint8).copy_(torch.tensor(list(data), dtype=torch.uint8))
        found[name] = tensor
    return found


@settings(deadline=None)
@given(tensors())
def test_reads_what_safetensors_wrote(written: dict[str, Tensor]) -> None:
    with tempfile.TemporaryDirectory() as name:
        save_file(written, Path(name) / SINGLE)
        infos = headers(Path(name))
        assert list(infos) == sorted(written)
        for key, tensor in written.items():
            assert same_bits(read_tensor(infos[key]), tensor)
            assert (infos[key].shape, infos[key].torch_dtype) == (tuple(tensor.shape), tensor.dtype)
            assert (infos[key].numel, infos[key].nbytes) == (tensor.numel(), tensor.numel() * tensor.dtype.itemsize)


@settings(deadline=None)
@given(tensors(), st.data())
def test_fingerprint_does_not_depend_on_shards(written: dict[str, Tensor], data: st.DataObject) -> None:
    shards: dict[str, dict[str, Tensor]] = {}
    for name, tensor in written.items():
        shards.setdefault(data.draw(st.sampled_from(["a.safetensors", "b.safetensors"])), {})[name] = tensor
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        save_file(written, Path(one) / SINGLE)
        assert fingerprint(write_shards(Path(other), shards)) == fingerprint(Path(one))


@settings(deadline=None)
@given(tensors(), st.data())
def test_fingerprint_sees_each_byte(written: dict[str, Tensor], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / SINGLE
        save_file(written, file)
        before, infos = fingerprint(Path(name)), [info for info in headers(Path(name)).values() if info.nbytes]
        if not infos:
            return
        info = data.draw(st.sampled_from(infos))
        place = data.draw(st.integers(info.start, info.stop - 1))
        whole = bytearray(file.read_bytes())
        whole[place] ^= 1 << data.draw(st.integers(0, 7))
        file.write_bytes(whole)
        after = fingerprint(Path(name))
    assert after.whole != before.whole
    assert {key for key in written if after.tensors[key] != before.tensors[key]} == {info.name}


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_damaged_headers_are_refused_or_true(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / SINGLE
        save_file({"a": torch.ones(3, 2), "b": torch.ones(4, dtype=torch.bfloat16)}, file)
        whole = bytearray(file.read_bytes())
        for _ in range(data.draw(st.integers(1, 3))):
            whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
        file.write_bytes(whole[: data.draw(st.integers(0, len(whole)))])
        try:
            infos = header(file)
        except ZoganError as error:
            assert str(file) in str(error)  # noqa: PT017
            return
        for info in infos.values():
            assert info.stop <= file.stat().st_size
            assert read_tensor(info).shape == info.shape


def test_digests_are_pinned() -> None:
    digest = tensor_digest("BF16", (2, 1), [b"\x80\x3f", memoryview(b"\x00\x40")])
    assert digest == hashlib.sha256(b"BF16 [2, 1]\n\x80\x3f\x00\x40").hexdigest()
    lines = b'["a\\n", "00"]\n["b", "11"]\n'
    assert whole_digest({"b": "11", "a\n": "00"}) == hashlib.sha256(lines).hexdigest()


def test_digest_tells_dtype_and_shape_apart() -> None:
    data = [b"\0" * 8]
    digests = {tensor_digest(*key, data) for key in [("F32", (2,)), ("I32", (2,)), ("F32", (1, 2)), ("F32", (2, 1))]}
    assert len(digests) == 4


def test_fingerprint_counts_bytes(tmp_path: Path) -> None:
    class Listener:
        def __init__(self) -> None:
            self.told: list[tuple[object, ...]] = []

        def start(self, stage: str, total: int) -> None:
            self.told.append((stage, total))

        def advance(self, done: int, **figures: float) -> None:
            self.told.append((done,))

        def note(self, message: str) -> None: ...

    save_file({"a": torch.ones(3), "b": torch.ones(2, dtype=torch.float16)}, tmp_path / SINGLE)
    listener = Listener()
    found = fingerprint(tmp_path, progress=listener)
    assert listener.told == [("fingerprint", 16), (12,), (16,)]
    assert found == Fingerprint(whole_digest(found.tensors), found.tensors)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_tied_weights_appear_once(tmp_path: Path, dtype: torch.dtype) -> None:
    whole = tiny_decoder(tmp_path / "whole", dtype=dtype)
    sharded = tiny_decoder(tmp_path / "sharded", dtype=dtype, max_shard_size="20KB")
    assert len(weight_files(sharded)) > 1
    assert not any("lm_head" in name for name in headers(whole))
    assert fingerprint(whole) == fingerprint(sharded)
    expected = load_file(whole / SINGLE)
    assert all(same_bits(read_tensor(info), expected[name]) for name, info in headers(sharded).items())


def test_large_tensors_are_read_in_chunks(tmp_path: Path) -> None:
    big = torch.arange(5 * 2**20 + 7, dtype=torch.float32)  # more than one chunk of 16 MiB
    save_file({"big": big}, tmp_path / SINGLE)
    assert torch.equal(read_tensor(headers(tmp_path)["big"]), big)
    data = big.numpy().tobytes()
    assert fingerprint(tmp_path).tensors["big"] == tensor_digest("F32", big.shape, [data])


def test_a_tensor_has_its_own_memory(tmp_path: Path) -> None:
    save_file({"a": torch.ones(4)}, tmp_path / SINGLE)
    tensor = read_tensor(headers(tmp_path)["a"])
    tensor.zero_()
    assert torch.equal(read_tensor(headers(tmp_path)["a"]), torch.ones(4))


@pytest.mark.parametrize(
    ("tree", "data", "message"),
    [
        (b"[]      ", b"", "the header is no JSON object"),
        (b"{nothing", b"", "not readable as JSON"),
        (b"{" + b'"a":[' * 100_000, b"", "not readable as JSON"),
        (b'{"a":1,"a":1}', b"", "a key stands twice"),
        (b'{"\xff":1}', b"", "not readable as JSON"),
        ({"__metadata__": {"a": 1}}, b"", "__metadata__ is no mapping of strings"),
        ({"__metadata__": 1}, b"", "__metadata__ is no mapping of strings"),
        ({"w": 1}, b"", "tensor 'w': needs exactly dtype, shape and data_offsets"),
        ({"w": {**ENTRY, "more": 1}}, bytes(8), "tensor 'w': needs exactly"),
        ({"w": {**ENTRY, "dtype": "F33"}}, bytes(8), "tensor 'w': unknown dtype 'F33'"),
        ({"w": {**ENTRY, "dtype": []}}, bytes(8), r"tensor 'w': unknown dtype \[\]"),
        ({"w": {**ENTRY, "shape": [-2]}}, bytes(8), r"tensor 'w': shape \[-2\] is no list of sizes"),
        ({"w": {**ENTRY, "shape": [2.0]}}, bytes(8), r"tensor 'w': shape \[2.0\] is no list"),
        ({"w": {**ENTRY, "shape": [True, 2]}}, bytes(8), "tensor 'w': shape .* is no list"),
        ({"w": {**ENTRY, "shape": [2**40, 2**40]}}, bytes(8), "tensor 'w': F32 .* takes .* bytes, not 8"),
        ({"w": {**ENTRY, "shape": [3]}}, bytes(8), r"tensor 'w': F32 \[3\] takes 12 bytes, not 8"),
        ({"w": {**ENTRY, "data_offsets": [8, 0]}}, bytes(8), "tensor 'w': data_offsets .* are no start and stop"),
        ({"w": {**ENTRY, "data_offsets": [0, 8, 9]}}, bytes(8), "tensor 'w': data_offsets"),
        ({"w": {**ENTRY, "data_offsets": [4, 12]}}, bytes(12), "tensor 'w': leaves a gap before it"),
        ({"v": ENTRY, "w": {**ENTRY, "data_offsets": [4, 12]}}, bytes(12), "tensor 'w': overlaps the tensor before it"),
        ({"w": ENTRY}, bytes(7), "the file has .* bytes, its header describes"),
        ({"w": ENTRY}, bytes(9), "the file has .* bytes, its header describes"),
    ],
)
def test_hostile_headers_are_refused(tmp_path: Path, tree: object, data: bytes, message: str) -> None:
    write_raw(tmp_path / SINGLE, tree, data)
    with pytest.raises(IntegrityError, match=message) as caught:
        headers(tmp_path)
    assert str(tmp_path / SINGLE) in str(caught.value)


@pytest.mark.parametrize(("length", "message"), [(2**63, "more than the file's"), (3, "not readable as JSON")])
def test_lying_lengths_are_refused(tmp_path: Path, length: int, message: str) -> None:
    with pytest.raises(IntegrityError, match=message):
        header(write_raw(tmp_path / SINGLE, {"w": ENTRY}, bytes(8), length=length))


def test_giant_header_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / SINGLE
    with file.open("wb") as stream:  # sparse: takes no room
        stream.write((200_000_000).to_bytes(8, "little") + b"{")
        stream.truncate(300_000_000)
    with pytest.raises(IntegrityError, match="more than 100000000 bytes"):
        header(file)


@pytest.mark.parametrize("size", [0, 5, 8])
def test_short_file_is_refused(tmp_path: Path, size: int) -> None:
    (tmp_path / SINGLE).write_bytes(b"\x09" + bytes(size)[1:] if size else b"")
    with pytest.raises(IntegrityError, match=SINGLE):
        headers(tmp_path)


def test_a_file_that_shrank_meanwhile_is_told(tmp_path: Path) -> None:
    file = tmp_path / SINGLE
    file.write_bytes(bytes(4))
    with pytest.raises(IntegrityError, match="tensor 'w': the file ends inside it"):
        read_tensor(TensorInfo("w", file, "F32", (2,), 0, 8))


def test_pickled_weights_are_refused_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "training_args.bin").touch()
    with pytest.raises(ModelError, match=r"has no model.safetensors and no"):
        headers(tmp_path)
    (tmp_path / "pytorch_model.bin").touch()
    with pytest.raises(ModelError, match=r"only pickled weights \(pytorch_model.bin\).*save_pretrained"):
        headers(tmp_path)


def test_missing_shard_is_named(tmp_path: Path) -> None:
    write_shards(tmp_path, {"a.safetensors": {"a": torch.ones(1)}, "b.safetensors": {"b": torch.ones(1)}})
    (tmp_path / "b.safetensors").unlink()
    with pytest.raises(ModelError, match=r"shard b.safetensors is missing"):
        headers(tmp_path)


@pytest.mark.parametrize(
    ("weight_map", "message"),
    [
        ({}, "has no weight_map"),
        ([], "has no weight_map"),
        ({"a": "../a.safetensors"}, "no safetensors file of this folder"),
        ({"a": "/a.safetensors"}, "no safetensors file of this folder"),
        ({"a": "a.bin"}, "no safetensors file of this folder"),
        ({"a": 1}, "no safetensors file of this folder"),
        ({"other": "a.safetensors"}, "tensor 'other' is not in a.safetensors"),
        ({"a": "b.safetensors", "b": "a.safetensors"}, "tensor 'a' is not in b.safetensors"),
    ],
)
def test_wrong_index_is_refused(tmp_path: Path, weight_map: Any, message: str) -> None:
    shards = {"a.safetensors": {"a": torch.ones(1)}, "b.safetensors": {"b": torch.ones(1)}}
    write_shards(tmp_path, shards, weight_map)
    with pytest.raises(IntegrityError, match=message):
        headers(tmp_path)


def test_index_that_is_no_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / INDEX).write_text("[1]")
    with pytest.raises(IntegrityError, match="no JSON object"):
        headers(tmp_path)


def test_tensor_in_two_shards_is_refused(tmp_path: Path) -> None:
    shards = {"a.safetensors": {"a": torch.ones(1), "b": torch.ones(1)}, "b.safetensors": {"a": torch.ones(1)}}
    write_shards(tmp_path, shards, {"a": "b.safetensors", "b": "a.safetensors"})
    with pytest.raises(IntegrityError, match=r"tensor 'a': also stands in a.safetensors"):
        headers(tmp_path)
