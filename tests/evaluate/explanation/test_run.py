"""All of an explanation, over runs in which one layer does the good."""

from __future__ import annotations

import builtins
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

import zogan
from planted_run import USEFUL, planted_job, planted_run
from tiny_project import contents
from zogan.errors import ConfigError, DataError, RunError
from zogan.evaluate.explanation.part import smaller
from zogan.evaluate.explanation.result import Explanation
from zogan.evaluate.protocol.sample import digest_of_test
from zogan.patch import Patch


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of generation with its run; to be read alone."""
    folder = tmp_path_factory.mktemp("explained") / "texts"
    planted_run(folder, "generation", folder / "cache")
    return folder


@pytest.fixture(scope="module")
def whole(texts: Path) -> tuple[Explanation, list[tuple[str, str]]]:
    """All of it, and the looks that were told."""
    looks: list[tuple[str, str]] = []

    def looked(patch: str, test: str) -> None:
        looks.append((patch, test))

    before = contents(texts / "run")
    found = zogan.explain_run(texts / "run", smallest=texts / "small.safetensors", cache=texts / "cache", looked=looked)
    assert contents(texts / "run") == before
    return found, looks


def test_where_adds_up_to_the_patch(texts: Path, whole: tuple[Explanation, Any]) -> None:
    patch, where = Patch.load(texts / "run/patch.safetensors"), whole[0].where
    vectors = where.vectors.changed if where.vectors is not None else 0
    assert sum(cell.changed for cell in where.cells) + vectors == patch.count == where.changed
    assert {cell.layer for cell in where.cells} == {0, 1, USEFUL}
    (one,) = (cell for cell in where.cells if (cell.layer, cell.kind) == (USEFUL, "self_attn.q_proj"))
    change = patch.changes[f"model.layers.{USEFUL}.self_attn.q_proj.weight"]
    assert one.size == pytest.approx(float((change.new - change.old).norm() / change.old.norm()), rel=1e-5)
    assert one.share == one.changed / one.weights


def test_the_useful_layer_is_found(whole: tuple[Explanation, Any]) -> None:
    found = whole[0].worth
    assert found is not None
    assert (found.metric, found.split, found.rows, found.cut) == ("loss", "validation", 12, 0)
    worth = {one.layer: one.worth for one in found.parts}
    assert worth[USEFUL].better is True
    assert worth[USEFUL].value < -0.1
    assert max(abs(worth[layer].value) for layer in (0, 1)) < 1e-4
    assert found.together.worth.value == pytest.approx(worth[USEFUL].value, abs=1e-4)
    assert found.together.changed == whole[0].where.changed


def test_the_smallest_part_keeps_the_verdict(texts: Path, whole: tuple[Explanation, Any]) -> None:
    found, looks = whole
    assert found.smallest is not None
    assert found.smallest.parts == (f"layer.{USEFUL}",)
    assert {(step.part, step.kept) for step in found.smallest.steps} == {("layer.0", True), ("layer.1", True)}
    assert (found.smallest.rule, found.smallest.whole) == ("verdict", "accepted")
    confirmed = found.smallest.confirmation
    assert confirmed is not None
    assert (confirmed.whole, confirmed.part, confirmed.kept, confirmed.rows) == ("accepted", "accepted", True, 24)
    part, patch = Patch.load(texts / "small.safetensors"), Patch.load(texts / "run/patch.safetensors")
    assert part.digest == found.smallest.patch
    assert part.meta.parent == patch.digest
    assert (texts / "small.safetensors").stat().st_size == found.smallest.patch_bytes
    assert part.count == found.smallest.changed < patch.count
    assert all(torch.equal(change.new, patch.changes[name].new) for name, change in part.changes.items())
    # The one look, of the smaller patch; the search saw no test row.
    assert looks == [(part.digest, digest_of_test(planted_job(texts, texts / "cache").splits.test))]


def test_rows_that_tell_the_most_are_explained(whole: tuple[Explanation, Any]) -> None:
    found = whole[0]
    assert found.skipped == {}
    assert [row.why for row in found.rows] == ["right", "uncertain"]  # the loss of every row fell
    for row in found.rows:
        assert row.before is not None
        assert row.after.log_probability > row.before.log_probability
        assert row.answer == row.target
        assert "".join(piece.text for piece in row.pieces).count("parcel") == 1
        assert [one.similarity for one in row.neighbours] == sorted(
            (one.similarity for one in row.neighbours), reverse=True
        )
    assert Explanation.model_validate_json(found.dumps()) == found


def test_rows_and_texts_alone(texts: Path) -> None:
    found = zogan.explain_run(texts / "run", rows=[2], texts=["Where is parcel 1?"], cache=texts / "cache")
    row, text = found.rows
    assert (found.worth, found.smallest) == (None, None)
    assert (row.why, row.row, row.place) == ("row", 2, "test.jsonl:2")
    assert (text.why, text.row, text.place, text.target) == ("text", None, None, None)
    assert text.answer in text.after.answer or text.answer == ""
    assert text.neighbours[0].text == "Where is parcel 1?"
    assert text.neighbours[0].similarity == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("number", [0, 25, -1])
def test_a_row_that_is_not_there_is_refused(texts: Path, number: int) -> None:
    with pytest.raises(DataError, match=rf"--row: there is no test row {number}\. Give one from 1 to 24"):
        zogan.explain_run(texts / "run", rows=[number], cache=texts / "cache")


def test_an_empty_text_is_refused(texts: Path) -> None:
    with pytest.raises(DataError, match="--text: is empty"):
        zogan.explain_run(texts / "run", texts=[" \n"], cache=texts / "cache")


def test_without_captum_rows_are_skipped_or_refused(texts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = builtins.__import__

    def absent(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("captum"):
            raise ImportError(name)
        return plain(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(ConfigError, match=r"captum, which is not installed\. .*pip install 'zogan\[explain\]'"):
        zogan.explain_run(texts / "run", rows=[1], cache=texts / "cache")
    found = zogan.explain_run(texts / "run", cache=texts / "cache")
    assert "zogan[explain]" in found.skipped["rows"]
    assert found.worth is not None
    assert found.rows == ()


def test_what_is_no_run_of_this_patch_is_refused(texts: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is not a run"):
        zogan.explain_run(tmp_path)
    folder = Path(shutil.copytree(texts, tmp_path / "texts"))
    patch = Patch.load(folder / "run/patch.safetensors")
    smaller(patch, sorted(patch.changes)[:1]).save(folder / "run/patch.safetensors")
    with pytest.raises(RunError, match="was evaluated with another patch"):
        zogan.explain_run(folder / "run", cache=folder / "cache")
    (folder / "run/predictions.safetensors").unlink()
    with pytest.raises(RunError, match=r"has no predictions\.safetensors yet.*zogan pilot"):
        zogan.explain_run(folder / "run", cache=folder / "cache")


def test_of_a_patch_that_is_not_accepted_no_part_is_sought(tmp_path: Path) -> None:
    run = planted_run(tmp_path / "classes", "own head", tmp_path / "cache")
    found = zogan.explain_run(run, smallest=tmp_path / "small.safetensors", cache=tmp_path / "cache")
    assert found.worth is not None
    assert found.worth.metric == "accuracy"
    assert all(one.worth.method == "score" for one in found.worth.parts)
    assert found.smallest is None
    assert "there is none to keep" in found.skipped["smallest"]
    assert not (tmp_path / "small.safetensors").exists()
    for row in found.rows:
        assert row.before is not None
        for name, side in (("before", row.before), ("after", row.after)):
            added = sum(getattr(piece, name) for piece in row.pieces)
            assert added == pytest.approx(side.log_probability - side.baseline, abs=0.01)
            assert added == pytest.approx(side.log_probability - side.baseline + side.delta, abs=1e-6)
