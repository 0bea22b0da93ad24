"""Runs, patches and models of real, tiny projects are compared."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import zogan
from tiny_project import Kind, tiny_config, write_project
from zogan.config import load_config
from zogan.errors import ConfigError, DataError, ModelError, RunError, ZoganError
from zogan.evaluate.comparison import side
from zogan.evaluate.comparison.result import Comparison
from zogan.evaluate.evaluation import Evaluation
from zogan.patch import Patch, apply_folder
from zogan.pilot import pilot

MODELS: tuple[Kind, ...] = ("new head", "generation")


@pytest.fixture(scope="module", params=MODELS)
def two_runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project with two runs of different seeds; to be read alone."""
    folder = tmp_path_factory.mktemp("two")
    write_project(folder, request.param, train={"epochs": 3, "batch_size": 8, "rate": 0.02})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        for seed in (0, 1):
            pilot(tiny_config(folder, f"train.seed={seed}", f"output=run{seed}"), until="evaluate")
        yield folder


def never(*given: Any, **named: Any) -> None:
    raise AssertionError("nothing is to be predicted")


def without_names(found: Comparison) -> dict[str, Any]:
    return found.model_dump(exclude={"a": {"name", "kind", "base"}, "b": {"name", "kind", "base"}})


def test_runs_are_compared_by_what_they_kept(two_runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(side, "predict", never)
    found = zogan.compare_runs(two_runs / "run0", two_runs / "run1", looked=never)
    for name, figures in (("run0", {one.metric: one.a for one in found.metrics}), ("run1", _of_b(found))):
        after = Evaluation.load(two_runs / name / "evaluation.json").after
        assert after is not None
        assert figures == {metric: pytest.approx(figure.value) for metric, figure in after.items()}
    assert [one.patch for one in (found.a, found.b)] == [
        Patch.load(two_runs / name / "patch.safetensors").digest for name in ("run0", "run1")
    ]
    assert (found.rows, found.notes) == (24, ())
    assert 0 < found.differing <= 24


def _of_b(found: Comparison) -> dict[str, float]:
    return {one.metric: one.b for one in found.metrics}


def test_a_patch_and_a_merged_model_say_what_the_run_says(two_runs: Path, tmp_path: Path) -> None:
    runs, config = [two_runs / "run0", two_runs / "run1"], two_runs / "zogan.yaml"
    patch = runs[0] / "patch.safetensors"
    apply_folder(patch, two_runs / "base", tmp_path / "merged")
    expected = without_names(zogan.compare_runs(*runs, config=config))
    seen: list[tuple[str, str]] = []
    measured = zogan.compare_runs(patch, runs[1], config=config, looked=lambda *given: seen.append(given))
    assert without_names(measured) == expected
    assert [one[0] for one in seen] == [Patch.load(patch).digest]
    model = zogan.compare_runs(tmp_path / "merged", runs[1], config=config, looked=lambda *given: seen.append(given))
    assert without_names(model) == expected
    assert (model.a.kind, model.b.kind, model.a.patch) == ("model", "run", Patch.load(patch).digest)
    assert seen[1] == (model.a.base, seen[0][1])
    both = zogan.compare_runs(patch, tmp_path / "merged", config=config)
    assert both.differing == 0


def test_adapters_beside_a_merged_model_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("peft")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_project(tmp_path, "generation", method="lora", train={"epochs": 1, "batch_size": 8, "rate": 0.05})
    run = pilot(tiny_config(tmp_path), until="evaluate")
    apply_folder(run.patch, tmp_path / "base", tmp_path / "merged")
    found = zogan.compare_runs(run.folder, tmp_path / "merged", config=tmp_path / "zogan.yaml")
    assert found.differing == 0
    plain = zogan.compare_runs(run.folder, tmp_path / "base", config=tmp_path / "zogan.yaml")
    assert plain.differing == 24
    (tmp_path / "merged" / "adapter" / "adapter_config.json").write_text("[")
    with pytest.raises(ZoganError, match="what a patch put there is damaged"):
        zogan.compare_runs(run.folder, tmp_path / "merged", config=tmp_path / "zogan.yaml")


@pytest.fixture
def project(two_runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy, to be changed. Its runs know where the copy's files are."""
    folder = Path(shutil.copytree(two_runs, tmp_path / "project"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    for name in ("run0", "run1"):
        path = folder / name / "zogan.yaml"
        path.write_text(path.read_text().replace(str(two_runs), str(folder)))
    return folder


def test_slices_come_from_the_run_or_from_the_configuration(project: Path) -> None:
    slices = [{"name": "ones", "matches": "1", "floor": 0.1}]
    path = project / "run0" / "zogan.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {"protocol": {"slices": slices}}))
    runs = (project / "run0", project / "run1")
    found = zogan.compare_runs(*runs)
    (part,) = found.slices
    rows = [row for row in (project / "test.jsonl").read_text().splitlines() if "1" in row.split(",")[0]]
    assert (part.name, part.rows) == ("ones", len(rows))
    assert any("ones" in one.slices for one in found.differences)
    assert not zogan.compare_runs(*runs, config=project / "zogan.yaml").slices
    asked = load_config(project / "zogan.yaml", ["evaluate.level=0.8", f"protocol.slices={yaml.safe_dump(slices)}"])
    assert zogan.compare_runs(*runs, config=asked).slices[0].rows == len(rows)


def test_rows_that_are_gone_leave_the_figures(project: Path) -> None:
    runs = (project / "run0", project / "run1")
    expected = zogan.compare_runs(*runs)
    test = project / "test.jsonl"
    lines = test.read_text().splitlines(keepends=True)
    test.write_text("".join(lines[1:]))
    found = zogan.compare_runs(*runs)
    assert found.metrics == expected.metrics
    assert [one.key for one in found.differences] == [one.key for one in expected.differences]
    assert found.notes == (f"the rows' text and slices are left out: {test} now gives other test rows",)
    with pytest.raises(DataError, match="the configuration's test rows are not those that were predicted"):
        zogan.compare_runs(*runs, config=project / "zogan.yaml")
    test.unlink()
    (note,) = zogan.compare_runs(*runs).notes
    assert "the rows' text and slices are left out: " in note
    assert "no such file" in note


def test_other_rows_are_refused_before_anything_is_predicted(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(side, "predict", never)
    test = project / "test.jsonl"
    test.write_text("".join(test.read_text().splitlines(keepends=True)[2:]))
    for sides in ((project / "run0", project / "run1/patch.safetensors"), (project / "base", project / "run0")):
        with pytest.raises(ZoganError, match=r"other test rows: .*22 in both|has no head for this task's labels"):
            zogan.compare_runs(*sides, config=project / "zogan.yaml")


def test_what_cannot_be_compared_is_refused(project: Path) -> None:
    run, config = project / "run0", project / "zogan.yaml"
    with pytest.raises(ConfigError, match="is a patch, and nothing says on which rows to measure it"):
        zogan.compare_runs(run, run / "patch.safetensors")
    with pytest.raises(ZoganError, match=r"nowhere: does not exist\. Give a run's folder"):
        zogan.compare_runs(run, "nowhere")
    (project / "empty").mkdir()
    with pytest.raises(ZoganError, match=r"is no run and no model: it has neither zogan\.yaml nor config\.json"):
        zogan.compare_runs(run, project / "empty")
    with pytest.raises(RunError, match=r"has no predictions\.safetensors yet\. Run `zogan evaluate`"):
        zogan.compare_runs(run, project)
    tree = yaml.safe_load(config.read_text())
    shutil.copytree(project / "base", project / "other")
    weights = project / "other" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    config.write_text(yaml.safe_dump(tree | {"model": "other"}))
    with pytest.raises(ConfigError, match=r"patch\.safetensors: is a patch of another base than"):
        zogan.compare_runs(run, run / "patch.safetensors", config=config)
    (run / "evaluation.json").unlink()
    with pytest.raises(RunError, match=r"run0: has no evaluation\.json yet"):
        zogan.compare_runs(run, run)


def test_a_base_without_a_head_predicts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_project(tmp_path)
    with pytest.raises(ModelError, match=r"base: has no head for this task's labels.*`zogan patch apply` made"):
        zogan.compare_runs(tmp_path / "base", tmp_path / "base", config=tmp_path / "zogan.yaml")


def test_runs_of_other_data_say_how_many_rows_each_has(project: Path) -> None:
    rows = [line for line in (project / "test.jsonl").read_text().splitlines() if line][:20]
    (project / "few.jsonl").write_text("\n".join(rows) + "\n")
    pilot(tiny_config(project, "data.test=few.jsonl", "output=few"), until="evaluate")
    with pytest.raises(DataError, match=r"4 are in .*run0 alone, 0 in .*few alone, 20 in both"):
        zogan.compare_runs(project / "run0", project / "few")
