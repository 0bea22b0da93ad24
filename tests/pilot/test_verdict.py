"""A run is judged, from its files and the freeze in force; and again only where something changed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import zogan.pilot
from tiny_project import contents, tiny_config, write_project
from zogan.errors import ConfigError, DataError, IntegrityError, RunError
from zogan.evaluate.evaluation import Evaluation
from zogan.evaluate.protocol.lock import freeze
from zogan.evaluate.protocol.looks import NAME, Look, add_look
from zogan.evaluate.protocol.state import state, too_late
from zogan.evaluate.verdict.verdict import Verdict
from zogan.patch import Patch
from zogan.pilot import Looked, judge_run, pilot
from zogan.run import Run
from zogan.tasks import open_job

AT = "2026-01-02T03:04:05+00:00"
PRAISE = {"name": "praise", "column": "label", "value": "good", "floor": 0.0}
LAX: dict[str, Any] = {
    "claim": "non_inferiority",
    "margin": 0.9,
    "slices": [PRAISE],
    "limits": {"latency_ms": 60000, "peak_bytes": "900GB", "patch_bytes": "1MB", "density": 0.5},
}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose run is judged, to be copied."""
    folder = tmp_path_factory.mktemp("finished")
    write_project(folder, "own head", protocol=LAX)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        pilot(tiny_config(folder), until="verdict", beside=folder)
    return folder


@pytest.fixture
def project(finished: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(finished, tmp_path / "project"))


def verdict_of(project: Path) -> Verdict:
    return Verdict.load(project / "run" / "verdict.json")


def judged(project: Path) -> tuple[Verdict, str]:
    """Judge the run as it lies there; and whether it was `done` or `kept`."""
    with Run(project / "run") as run:
        found = judge_run(run)
    return found, run.stages["verdict"]


def frozen(project: Path, *, late: bool = False) -> None:
    """Freeze the project's protocol as if it were before anything was run, unless it is to be late."""
    now = state(open_job(tiny_config(project)), project)
    why = too_late(project / "run", project, now.test) if late else ()
    freeze(project, now.protocol, now.test, at=AT, exploratory=why)


def look(project: Path) -> None:
    patch, test = Patch.load(project / "run" / "patch.safetensors").digest, verdict_of(project).test
    add_look(project / NAME, Look(at=AT, patch=patch, command="pilot", test=test))


def kinds(found: Verdict) -> list[str]:
    return [one.kind for one in found.standing.exploratory]


def test_every_clause_is_judged_and_all_hold(finished: Path) -> None:
    found = verdict_of(finished)
    assert [(one.kind, one.name) for one in found.clauses] == [
        ("claim", "accuracy"),
        ("slice", "praise"),
        *(("limit", name) for name in ("latency_ms", "peak_bytes", "patch_bytes", "density")),
    ]
    assert {one.outcome for one in found.clauses} == {"accepted"}
    assert (found.outcome, found.exploratory, kinds(found)) == ("accepted", True, ["never_frozen"])
    run = Run(finished / "run")
    evidence = Evaluation.load(run.evaluation).evidence
    assert evidence is not None
    assert evidence.matched is not None
    assert evidence.slices["praise"].rows == 8
    measured = {one.name: one.value for one in found.clauses}
    assert measured["patch_bytes"] == run.patch.stat().st_size
    assert measured["latency_ms"] == json.loads((run.folder / "costs.json").read_text())["latency_ms"]
    assert found.sentences["ja"].verdict.startswith("合格：")


def test_a_verdict_is_kept_until_something_changes(project: Path) -> None:
    before = contents(project / "run")
    assert judged(project)[1] == "kept"
    assert contents(project / "run") == before
    run = pilot(tiny_config(project, "protocol.margin=0.05"), until="verdict", beside=project)
    assert run.stages == {"select": "kept", "tune": "kept", "evaluate": "kept", "probe": "kept", "verdict": "done"}
    assert verdict_of(project).margin == 0.05
    run = pilot(tiny_config(project, "protocol.alpha=0.1"), until="verdict", beside=project)
    assert run.stages == {"select": "kept", "tune": "kept", "evaluate": "done", "probe": "kept", "verdict": "done"}


def test_what_was_frozen_and_looked_at_once_is_confirmed(project: Path) -> None:
    frozen(project)
    assert kinds(judged(project)[0]) == ["uncounted"]
    look(project)
    found, status = judged(project)
    assert (found.exploratory, found.standing.looks, found.standing.frozen_at, status) == (False, 1, AT, "done")
    look(project)
    assert judged(project)[0].standing.looks == 2


def test_a_freeze_that_came_too_late_is_exploratory(project: Path) -> None:
    frozen(project, late=True)
    look(project)
    found = judged(project)[0]
    assert kinds(found)[:2] == ["after_patch", "after_evaluation"]
    assert "the run had a patch by then (run/patch.safetensors)" in found.sentences["en"].standing[0]
    assert "すでにパッチがありました（run/patch.safetensors）" in found.sentences["ja"].standing[0]


def test_a_changed_protocol_is_exploratory_with_what_changed(project: Path) -> None:
    frozen(project)
    look(project)
    pilot(tiny_config(project, "protocol.margin=0.8"), until="verdict", beside=project)
    found = verdict_of(project)
    assert kinds(found) == ["key"]
    assert found.sentences["en"].standing[0] == "margin was 0.9 when it was frozen, and is 0.8."


def test_changed_test_rows_are_exploratory_with_how_many(project: Path) -> None:
    frozen(project)
    path = project / "test.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-2]))
    seen: list[str] = []

    def looked(patch: str, test: str) -> None:
        seen.append(test)
        add_look(project / NAME, Look(at=AT, patch=patch, command="pilot", test=test))

    counted: Looked = looked
    pilot(tiny_config(project), until="verdict", looked=counted, beside=project)
    found = verdict_of(project)
    assert kinds(found) == ["rows"]
    assert found.standing.exploratory[0].values == {"added": 0, "removed": 2}
    assert seen == [found.test]


def test_a_kill_between_the_stages_ends_with_the_same_verdict(
    finished: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("verdict.json", "evaluation.json"):
        (project / "run" / name).unlink()

    def killed(run: Run) -> None:
        raise KeyboardInterrupt("between evaluate and verdict")

    with monkeypatch.context() as patch:
        patch.setattr(zogan.pilot, "judge_run", killed)
        with pytest.raises(KeyboardInterrupt, match="between evaluate and verdict"):
            pilot(tiny_config(project), until="verdict", beside=project)
    assert (project / "run" / "evaluation.json").read_bytes() == (finished / "run" / "evaluation.json").read_bytes()
    assert not (project / "run" / "verdict.json").exists()
    run = pilot(tiny_config(project), until="verdict", beside=project)
    assert run.stages == {"select": "kept", "tune": "kept", "evaluate": "kept", "probe": "kept", "verdict": "done"}

    def timeless(found: Verdict) -> list[Any]:
        return [one for one in found.clauses if one.name not in ("latency_ms", "peak_bytes")]

    assert timeless(verdict_of(project)) == timeless(verdict_of(finished))
    assert not list(project.rglob("*.partial"))


def test_a_run_that_is_not_evaluated_is_not_judged(project: Path, tmp_path: Path) -> None:
    (project / "run" / "evaluation.json").unlink()
    with pytest.raises(RunError, match=r"has no evaluation\.json yet\. Run `zogan pilot` first"):
        judged(project)
    (project / "run" / "protocol.json").write_text("{}")
    with pytest.raises(IntegrityError, match=r"protocol\.json: is damaged"):
        judged(project)
    (project / "run" / "protocol.json").unlink()
    with pytest.raises(RunError, match=r"has no protocol\.json yet"):
        judged(project)


def test_a_slice_without_rows_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    write_project(tmp_path, "own head", protocol={"slices": [{**PRAISE, "value": "nobody"}]})
    with pytest.raises(DataError, match="slice 'praise': none of the 24 test rows"):
        pilot(tiny_config(tmp_path))
    assert contents(tmp_path / "run").keys() <= {".lock"}


# What it is held against, and seeds


def test_full_fine_tuning_is_tuned_too_and_once(tmp_path: Path) -> None:
    write_project(tmp_path, "new head", protocol={"against": "full", "claim": "non_inferiority", "margin": 0.9})
    run = pilot(tiny_config(tmp_path), until="verdict")
    assert run.stages["full"] == "done"
    full = Patch.load(run.folder / "full.safetensors")
    assert full.count > Patch.load(run.patch).count
    evidence = Evaluation.load(run.evaluation).evidence
    assert evidence is not None
    assert (evidence.against, verdict_of(tmp_path).against) == ("full", "full")
    again = pilot(tiny_config(tmp_path, "budget.density=0.03"), until="verdict")
    assert (again.stages["full"], again.stages["tune"]) == ("kept", "done")


def test_full_fine_tuning_is_no_rival_of_itself(tmp_path: Path) -> None:
    write_project(tmp_path, "own head", method="full", protocol={"against": "full"})
    with pytest.raises(ConfigError, match=r"protocol\.against: 'full' is the method itself"):
        pilot(tiny_config(tmp_path))


def test_the_patch_in_use_is_a_rival(project: Path) -> None:
    shutil.copy(project / "run" / "patch.safetensors", project / "in-use.safetensors")
    keys = ("protocol={against: production, patch: in-use.safetensors, claim: non_inferiority, margin: 0.9}",)
    run = pilot(tiny_config(project, *keys), until="verdict")
    evidence = Evaluation.load(run.evaluation).evidence
    assert evidence is not None
    assert evidence.difference is not None
    assert (evidence.rival, evidence.difference.value) == (evidence.after, 0)
    assert verdict_of(project).outcome == "accepted"


def test_each_seed_is_tuned_and_all_are_judged(tmp_path: Path) -> None:
    write_project(tmp_path, "new head", protocol={**LAX, "seeds": [0, 1]})
    run = pilot(tiny_config(tmp_path), until="verdict")
    names = {"select", "head_only", "tune"}
    assert run.stages.keys() == names | {f"{name}:1" for name in names} | {"evaluate", "probe", "verdict"}
    other = run.folder / "seeds" / "1"
    assert Patch.load(other / "patch.safetensors").digest != Patch.load(run.patch).digest
    found = verdict_of(tmp_path)
    (claim,) = (one for one in found.clauses if one.kind == "claim")
    assert (found.seeds, claim.method) == ((0, 1), "seeds")
    # A seed by itself gives the same patch.
    alone = pilot(tiny_config(tmp_path, "train.seed=1", "output=alone", "protocol.seeds=null"), until="tune")
    assert alone.patch.read_bytes() == (other / "patch.safetensors").read_bytes()
    assert set(pilot(tiny_config(tmp_path), until="verdict").stages.values()) == {"kept"}


def test_seeds_must_hold_the_runs_own(tmp_path: Path) -> None:
    write_project(tmp_path, "own head", protocol={"seeds": [4, 5]})
    with pytest.raises(ConfigError, match=r"protocol\.seeds: 4, 5 do not hold train\.seed, 0"):
        pilot(tiny_config(tmp_path))
