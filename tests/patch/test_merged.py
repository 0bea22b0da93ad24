"""What a patch put beside the weights is what it held."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tiny_patch import make_base, make_patch
from zogan.errors import IntegrityError
from zogan.patch.folder import apply_folder
from zogan.patch.merged import merged


@pytest.mark.parametrize(("head", "adapter"), [(False, False), (True, False), (False, True), (True, True)])
def test_what_stands_beside_the_weights_is_read_back(tmp_path: Path, head: bool, adapter: bool) -> None:
    base = make_base(tmp_path / "base")
    patch = make_patch(base, 0.3, seed=1, head=head, adapter=adapter)
    patch.save(tmp_path / "p.safetensors")
    apply_folder(tmp_path / "p.safetensors", base, tmp_path / "tuned")
    found = merged(tmp_path / "tuned", "0" * 64)
    assert found is not None
    assert found.digest == patch.digest
    assert (found.rest.count, found.rest.meta.base.whole) == (0, "0" * 64)
    assert (found.rest.meta.task, found.rest.meta.adapter) == (patch.meta.task, patch.meta.adapter)
    for held, read in ((patch.tensors, found.rest.tensors), (patch.adapters, found.rest.adapters)):
        assert held.keys() == read.keys()
        assert all(torch.equal(held[name], read[name]) for name in held)


def test_a_folder_without_a_patch_has_none(tmp_path: Path) -> None:
    assert merged(make_base(tmp_path / "base"), "0" * 64) is None


@pytest.mark.parametrize("note", ['{"patch": "1"}', '{"patch": "1", "task": 3}', "{"])
def test_a_damaged_note_is_refused(tmp_path: Path, note: str) -> None:
    base = make_base(tmp_path / "base")
    (base / "zogan.json").write_text(note)
    with pytest.raises(IntegrityError, match=r"damaged|is not readable as JSON"):
        merged(base, "0" * 64)
