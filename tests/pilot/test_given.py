"""A patch that no run tuned is judged as one that a run did, and taken for nothing that it is not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from commands import failure, printed_json, printed_text
from people import team
from tiny_project import at_work, tiny_config, write_project
from zogan.cli.app import run
from zogan.errors import ConfigError, IntegrityError, ModelError
from zogan.evaluate.verdict.verdict import Verdict
from zogan.patch import Patch, apply_folder, compose_patches, describe
from zogan.patch.meta import learnt_from
from zogan.pilot import pilot
from zogan.registry.event import Evaluated
from zogan.report.facts import rows_said
from zogan.report.record import read
from zogan.report.words import Words

FAST = ("probes.robustness=false", "probes.forgetting=false", "probes.churn.limit=0.99")
GIVEN = ["pilot", "--patch", "composed.safetensors", *(part for one in FAST for part in ("--set", one))]


@pytest.fixture(scope="module")
def stacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with two patches, the second tuned on what the first left, and both as one."""
    folder = tmp_path_factory.mktemp("stacked")
    write_project(folder, "own head", train={"epochs": 1, "batch_size": 8})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        pilot(tiny_config(folder, "output=one"), until="tune")
        apply_folder(folder / "one" / "patch.safetensors", folder / "base", output=folder / "tuned")
        pilot(tiny_config(folder, "model=tuned", "output=two"), until="tune")
    parts = [folder / name / "patch.safetensors" for name in ("one", "two")]
    compose_patches(parts, folder / "composed.safetensors", base=folder / "base")
    return folder


@pytest.fixture
def project(stacked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, which is the working directory."""
    return at_work(stacked, tmp_path / "project", monkeypatch)


def test_a_composed_stack_comes_to_a_verdict_and_into_the_registry(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tree = printed_json(GIVEN, capsys)
    assert {"given", "evaluate", "probe", "verdict"} <= tree["stages"].keys()
    assert not {"select", "tune"} & tree["stages"].keys()
    given, kept = project / "composed.safetensors", project / "run" / "patch.safetensors"
    assert kept.read_bytes() == given.read_bytes()
    assert Verdict.load(project / "run" / "verdict.json").patch == describe(given).digest
    assert not (project / "run" / "estimate.json").exists()
    # Both parts say that they learnt from these rows: the gap to them is a gap.
    assert "overfitting" in _evaluation(project)

    # A composed patch names its parts' data, and no data of its own: what it was measured on is the evidence's.
    assert "data" not in describe(given).hashes
    here = team(project / "registry")
    here.registry.add(kept, identity=here.engineer, at=here.now())
    brought = here.registry.evaluate(project / "run", identity=here.engineer, at=here.now()).body
    assert isinstance(brought, Evaluated)
    assert brought.patch == describe(given).digest
    assert brought.data == json.loads((project / "run" / "data.json").read_text())["digest"]
    # Where a patch names its data, they must be those of the run all the same.
    one = Patch.load(project / "one" / "patch.safetensors")
    other = Patch(
        one.changes,
        one.tensors,
        one.adapters,
        one.meta.model_copy(update={"hashes": {**one.meta.hashes, "data": "f" * 64}}),
    )
    other.save(project / "other.safetensors")
    pilot(tiny_config(project, *FAST, "output=other"), given=project / "other.safetensors")
    with pytest.raises(IntegrityError, match="the evidence is of another data"):
        here.registry.evaluate(project / "other", identity=here.engineer, at=here.now())


def test_the_same_again_keeps_what_stands_and_another_file_does_not(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    printed_json(GIVEN, capsys)
    again = printed_json(GIVEN, capsys)["stages"]
    assert {again[name] for name in ("given", "evaluate", "probe", "verdict", "report.html")} == {"kept"}
    shutil.copyfile(project / "one" / "patch.safetensors", project / "composed.safetensors")
    tree = printed_json(GIVEN, capsys)
    assert {tree["stages"][name] for name in ("given", "evaluate", "probe", "verdict")} == {"done"}
    assert tree["verdict"]["patch"] == describe(project / "one" / "patch.safetensors").digest


def test_no_document_tells_of_a_tuning_that_was_not(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ", measured in " in printed_text(GIVEN, capsys)
    record = read(project / "run")
    assert record.given
    for language in ("en", "ja"):
        words = Words(language)
        told = {name: (project / "run" / name).read_text(encoding="utf-8") for name in _documents(language)}
        for name, text in told.items():
            assert words("settings.given") in text, name
            assert words("settings.why") not in text, name
            assert words("cost.say.took").split("{")[0] not in text, name
        assert words("card.method.given") in told[f"model-card{'.ja' if language == 'ja' else ''}.md"]
        assert rows_said(record, words) == words("question.rows_given", train="48", test="24")


def test_of_rows_that_the_patch_does_not_name_nothing_is_claimed(project: Path) -> None:
    whole = Patch.load(project / "composed.safetensors")
    named = {key: value for key, value in whole.meta.hashes.items() if not key.endswith("data")}
    bare = Patch(whole.changes, whole.tensors, whole.adapters, whole.meta.model_copy(update={"hashes": named}))
    bare.save(project / "bare.safetensors")
    pilot(tiny_config(project, *FAST), given=project / "bare.safetensors")
    record = read(project / "run")
    assert record.evaluation.overfitting is None
    assert "may have seen some of the test rows" in rows_said(record, Words("en"))
    assert "may have seen some of the test rows" in (project / "run" / "report.html").read_text(encoding="utf-8")


def test_a_patch_with_adapters_is_judged_with_them(project: Path) -> None:
    pilot(tiny_config(project, "method=lora", "lora.rank=2", "output=lora"), until="evaluate")
    given = project / "lora" / "patch.safetensors"
    assert describe(given).adapters
    pilot(tiny_config(project, *FAST), given=given)
    figures = [json.loads((project / name / "evaluation.json").read_text())["after"] for name in ("lora", "run")]
    assert figures[0] == figures[1]
    record = read(project / "run")
    assert record.adapters
    assert "adapters stand beside them" in (project / "run" / "model-card.md").read_text(encoding="utf-8")


def test_a_patch_that_does_not_fit_is_refused_before_anything_is_done(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    upper = ["pilot", "--patch", "two/patch.safetensors"]
    line = failure(upper, capsys, 4)
    assert line.startswith("two/patch.safetensors: is a patch of base ")
    assert "one patch of it and those below it with `zogan patch compose`" in line
    assert "no such file" in failure(["pilot", "--patch", "nowhere.safetensors"], capsys)
    assert not (project / "run" / "data.json").exists()
    assert run([*upper, "--set", "model=tuned", "-q", *(part for one in FAST for part in ("--set", one))]) == 0

    whole = Patch.load(project / "composed.safetensors")
    task = {**whole.meta.task, "labels": ["up", "down"]}
    Patch(whole.changes, {}, {}, whole.meta.model_copy(update={"task": task})).save(project / "labels.safetensors")
    with pytest.raises(ModelError, match="the patch was made for labels"):
        pilot(tiny_config(project, "output=labels"), given=project / "labels.safetensors")


def test_what_asks_for_several_tunings_is_refused(project: Path) -> None:
    given = project / "composed.safetensors"
    with pytest.raises(ConfigError, match=r"several trainings, and one patch is given.*protocol\.seeds=\[0\]"):
        pilot(tiny_config(project, "protocol.seeds=[0,1]"), given=given)
    with pytest.raises(ConfigError, match="tunes anew on fewer rows"):
        pilot(tiny_config(project, "evaluate.learning_curve=true"), given=given)


def test_a_tuned_run_and_one_that_was_given_its_patch_do_not_replace_each_other(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tuned = (project / "one" / "patch.safetensors").read_bytes()
    line = failure([*GIVEN, "--set", "output=one"], capsys)
    assert "holds a run that tunes its own patch, which the given one would replace" in line
    assert (project / "one" / "patch.safetensors").read_bytes() == tuned
    printed_json(GIVEN, capsys)
    assert "Give the patch again with `zogan pilot --patch`" in failure(["tune"], capsys)


def test_learnt_from_asks_every_part() -> None:
    assert learnt_from({"data": "a"}, "a")
    assert learnt_from({"1.data": "a", "2.1.data": "a", "2.config": "b"}, "a")
    assert not learnt_from({"1.data": "a", "2.data": "b"}, "a")
    assert not learnt_from({"config": "a"}, "a")


def _evaluation(project: Path) -> dict[str, object]:
    """The figures, without what was not measured."""
    tree = json.loads((project / "run" / "evaluation.json").read_text())
    return {name: value for name, value in tree.items() if value is not None}


def _documents(language: str) -> list[str]:
    """In which the settings of a training stand."""
    own = ".ja" if language == "ja" else ""
    return [f"report{own}.html", f"model-card{own}.md", f"runbook{own}.md"]
