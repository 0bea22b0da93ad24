"""The bytes on disk: pinned, of one form, independent of order, readable by the safetensors library."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open

from tiny_patch import make_base, make_patch
from zogan.errors import IntegrityError, ZoganError
from zogan.patch import format
from zogan.patch.change import Change
from zogan.patch.meta import BaseMeta, PatchMeta
from zogan.patch.patch import Patch
from zogan.patch.positions import encode
from zogan.weights import header

PINNED = "ae4a6120c443a816205775c4fcc17af7c6111d916e638f4d5f00dcb38f29d919"
PAGE = Path(__file__).parents[2] / "docs" / "patch-format.md"


def fixed(*, backwards: bool = False) -> Patch:
    """A small patch of which every bit is known."""
    changes = {
        "a.weight": Change(
            "F32", (4, 8), torch.tensor([2, 9, 10, 30]), torch.arange(4.0), torch.tensor([-0.0, 2.0, 3.5, torch.inf])
        ),
        "b.weight": Change("BF16", (3,), torch.arange(3), torch.zeros(3).bfloat16(), torch.ones(3).bfloat16()),
    }
    names = sorted(changes, reverse=backwards)
    task: dict[str, Any] = {"labels": ["良い", "bad"], "task": "classification"}
    return Patch(
        {name: changes[name] for name in names},
        {"head.weight": torch.ones(2, 3)},
        {},
        PatchMeta(
            base=BaseMeta(whole="0" * 64, weights=35, tensors=dict.fromkeys(names, "1" * 64)),
            shapes={name: changes[name].shape for name in names},
            after=dict.fromkeys(names, "2" * 64),
            task={key: task[key] for key in sorted(task, reverse=backwards)},
            tools={"zogan": "0.1.0"},
        ),
    )


def test_the_bytes_are_pinned(tmp_path: Path) -> None:
    """If this fails, files of format 1 have changed: users' files no longer match. Do not mend the figure lightly."""
    fixed().save(tmp_path / "p")
    assert hashlib.sha256((tmp_path / "p").read_bytes()).hexdigest() == PINNED


def test_order_does_not_matter(tmp_path: Path) -> None:
    for backwards in (False, True):
        fixed(backwards=backwards).save(tmp_path / str(backwards))
    assert (tmp_path / "False").read_bytes() == (tmp_path / "True").read_bytes()


def test_another_process_writes_the_same_bytes(tmp_path: Path) -> None:
    """Hashes of strings, and so the order of sets, differ from process to process."""
    script = (
        f"import sys; sys.path[:0] = {[str(Path(__file__).parent), *sys.path]!r}\n"
        "from pathlib import Path\nfrom test_format import fixed\nfixed().save(Path(sys.argv[1]))"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "p")], check=True, env={"PYTHONHASHSEED": "7"})
    assert hashlib.sha256((tmp_path / "p").read_bytes()).hexdigest() == PINNED


def test_the_digest_is_the_files_with_its_own_digits_zeroed(tmp_path: Path) -> None:
    patch = fixed()
    patch.save(tmp_path / "p")
    content = (tmp_path / "p").read_bytes()
    told = content[35:99]
    assert content[8:35] == format.START
    assert hashlib.sha256(content[:35] + b"0" * 64 + content[99:]).hexdigest() == told.decode() == patch.digest
    assert Patch.load(tmp_path / "p").digest == patch.digest
    assert patch.nbytes == len(content)


def test_the_library_reads_it_and_every_tensor_is_aligned(tmp_path: Path) -> None:
    fixed().save(tmp_path / "p")
    with safe_open(tmp_path / "p", framework="pt") as file:
        assert set(file.metadata()) == {"digest", "zogan"}
        assert torch.equal(file.get_tensor("new/b.weight"), torch.ones(3).bfloat16())
    for info in header(tmp_path / "p").values():
        assert info.start % info.torch_dtype.itemsize == 0


def test_the_page_is_enough_to_write_a_reader(tmp_path: Path) -> None:
    """The page's own reader, run on a real patch, gives what zogan gives."""
    (source,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    scope: dict[str, Any] = {}
    exec(source, scope)
    base = make_base(tmp_path / "base", torch.bfloat16, {"w": (300, 70), "v": (9,), "scale": ()})
    patch = make_patch(base, 0.2, head=True)
    patch.save(tmp_path / "p")
    found = {name: rest for name, *rest in scope["read_patch"](tmp_path / "p")}
    assert found.keys() == patch.changes.keys() == {"w", "v"}
    for name, (shape, positions, old, new) in found.items():
        change = patch.changes[name]
        assert tuple(shape) == change.shape
        assert positions.tolist() == change.positions.tolist()
        assert torch.equal(old.view(torch.int16), change.old.view(torch.int16))
        assert torch.equal(new.view(torch.int16), change.new.view(torch.int16))


def test_the_pages_example_is_true() -> None:
    text = PAGE.read_text(encoding="utf-8")
    (frame,) = re.findall(r"^frame +([0-9a-f ]+)$", text, re.MULTILINE)
    assert encode(torch.tensor([2, 9, 10, 30, 57])) == bytes.fromhex(frame)


def test_names_that_read_as_paths() -> None:
    for name in ("../x", "/x", "a/b", "a\\b", ".hidden", "a..b", "", "a\nb", "a\x00b", "x" * 501, "a\u202eb"):
        assert format.name_fault(name), name
    for name in ("a.b-c_d:0", "重み", "model.layers.0.mlp.up_proj.weight"):
        assert format.name_fault(name) is None


def test_no_patch() -> None:
    with pytest.raises(ZoganError, match="no such file"):
        Patch.load(Path("/nowhere/at/all"))


def test_another_safetensors_file_is_no_patch(tmp_path: Path) -> None:
    base = make_base(tmp_path / "base")
    for path in (base / "model.safetensors", base / "config.json"):
        with pytest.raises(IntegrityError, match=r"is no patch of zogan"):
            Patch.load(path)


def test_size_at_half_a_percent(tmp_path: Path) -> None:
    """The shapes of all-MiniLM-L6-v2, every tensor in its own entry, header and digests included."""
    shapes: dict[str, tuple[int, ...]] = {"embeddings.word_embeddings.weight": (30522, 384)}
    for layer in range(6):
        for part in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
            shapes[f"encoder.layer.{layer}.{part}.weight"] = (384, 384)
        shapes[f"encoder.layer.{layer}.intermediate.dense.weight"] = (1536, 384)
        shapes[f"encoder.layer.{layer}.output.dense.weight"] = (384, 1536)
    for dtype in (torch.float32, torch.bfloat16):
        base = make_base(tmp_path / str(dtype), dtype, shapes)
        patch = make_patch(base, 0.005)
        entropy = 0.0454 / 8 * patch.meta.base.weights  # bytes: H(0.005) bits for each weight
        ideal = entropy + 2 * dtype.itemsize * patch.count
        assert patch.nbytes <= 1.05 * ideal
        assert json.loads(patch.meta.dumps())["base"]["weights"] == patch.meta.base.weights
