"""A model to hand on: tuned weights, bill of materials, signature; whole, or not there."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tiny_patch import make_base, make_patch, snapshot
from zogan.errors import IntegrityError, ZoganError
from zogan.patch.export import export_patch
from zogan.patch.folder import apply_folder
from zogan.patch.patch import Patch

pytest.importorskip("cyclonedx")


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return make_base(tmp_path / "base", shards=2)


@pytest.fixture
def patch(base: Path) -> Path:
    make_patch(base, head=True, adapter=True).save(base.parent / "p.safetensors")
    return base.parent / "p.safetensors"


def test_the_folder_is_the_applied_one_and_its_bill(base: Path, patch: Path, tmp_path: Path) -> None:
    before = snapshot(base)
    done = export_patch(patch, base, tmp_path / "out")
    apply_folder(patch, base, tmp_path / "applied")
    found = snapshot(tmp_path / "out")
    bill = json.loads(found.pop("bom.cdx.json"))
    assert found == snapshot(tmp_path / "applied")
    assert snapshot(base) == before
    assert (done.signature, done.patch) == (None, Patch.load(patch).digest)
    assert done.files == len(bill["components"]) - 2 + 1  # without base and patch, with the bill itself
    assert sorted(path.name for path in tmp_path.iterdir()) == ["applied", "base", "out", "p.safetensors"]


def test_every_file_is_in_the_bill_with_its_hash(base: Path, patch: Path, tmp_path: Path) -> None:
    export_patch(patch, base, tmp_path / "out", name="tuned")
    tree = json.loads((tmp_path / "out" / "bom.cdx.json").read_text())
    assert (tree["bomFormat"], tree["specVersion"]) == ("CycloneDX", "1.6")
    model = tree["metadata"]["component"]
    held = Patch.load(patch)
    assert (model["name"], model["type"], model["version"]) == ("tuned", "machine-learning-model", held.digest)
    facts = {one["name"]: one["value"] for one in model["properties"]}
    assert facts["zogan:base"] == held.meta.base.whole
    assert facts["zogan:changed"] == str(held.count)
    assert facts["zogan:hash:data"] == "0" * 64
    listed = {one["name"]: one["hashes"][0]["content"] for one in tree["components"] if one["type"] == "file"}
    assert listed.pop("p.safetensors") == hashlib.sha256(patch.read_bytes()).hexdigest()
    there = {
        name: content for name, content in snapshot(tmp_path / "out").items() if (tmp_path / "out" / name).is_file()
    }
    there.pop("bom.cdx.json")
    assert listed == {name: hashlib.sha256(content).hexdigest() for name, content in there.items()}
    (depends,) = (one for one in tree["dependencies"] if one["ref"] == "model")
    assert len(depends["dependsOn"]) == len(tree["components"])


def test_the_bill_is_the_same_each_time(base: Path, patch: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        export_patch(patch, base, tmp_path / name, name="tuned")
    assert snapshot(tmp_path / "one") == snapshot(tmp_path / "two")


def test_refused_and_nothing_is_left(base: Path, patch: Path, tmp_path: Path) -> None:
    def refuse(fault: str, kind: type[ZoganError] = ZoganError, folder: Path = base, key: Path | None = None) -> None:
        before = sorted(tmp_path.iterdir())
        with pytest.raises(kind, match=fault):
            export_patch(patch, folder, tmp_path / "out", key=key)
        assert sorted(tmp_path.iterdir()) == before

    refuse("base differs", IntegrityError, make_base(tmp_path / "other", shards=2, seed=3))
    (tmp_path / "out.sig").write_bytes(b"mine")
    refuse("out.sig: exists already")
    (tmp_path / "out.sig").unlink()
    (base / "bom.cdx.json").write_text("{}")
    refuse("bom.cdx.json: is in the way of the bill of materials")
    (base / "bom.cdx.json").unlink()
    (tmp_path / ".out.zogan-export").mkdir()  # by a killed command
    export_patch(patch, base, tmp_path / "out")
    refuse("out: exists already")


def test_the_card_of_the_run_goes_along(base: Path, patch: Path, tmp_path: Path) -> None:
    (base / "README.md").write_text("the base\n")
    card = f"# tuned\n{Patch.load(patch).digest}\n"
    (tmp_path / "model-card.md").write_text(card)
    done = export_patch(patch, base, tmp_path / "out")
    assert done.card is not None
    assert (done.card, done.card.read_text()) == (tmp_path / "out" / "README.md", card)
    assert (tmp_path / "out" / "README.base.md").read_text() == "the base\n"
    listed = {one["name"] for one in json.loads(done.bom.read_text())["components"] if one["type"] == "file"}
    assert {"README.md", "README.base.md"} <= listed
    (tmp_path / "model-card.md").rename(tmp_path / "elsewhere.md")
    export_patch(patch, base, tmp_path / "named", card=tmp_path / "elsewhere.md")
    assert (tmp_path / "named" / "README.md").read_text() == card


def test_the_card_of_another_patch_does_not(base: Path, patch: Path, tmp_path: Path) -> None:
    (tmp_path / "model-card.md").write_text(f"# another\n{'a' * 64}\n")
    assert export_patch(patch, base, tmp_path / "out").card is None
    with pytest.raises(ZoganError, match="is no card of the patch"):
        export_patch(patch, base, tmp_path / "given", card=tmp_path / "model-card.md")
    assert not (tmp_path / "given").exists()
