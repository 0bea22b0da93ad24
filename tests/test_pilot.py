"""The whole pilot on tiny bases: every file, what is kept and what is done again, and kills that change no byte."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from data import LABELS, write_jsonl
from tiny_project import KINDS, Kind, contents, tiny_config, write_project
from zogan.errors import ConfigError, DataError, ModelError, RunError
from zogan.evaluate.evaluation import Evaluation
from zogan.patch import Patch
from zogan.pilot import Until, pilot
from zogan.run import Run
from zogan.select.storage import load_selection
from zogan.tasks.job import Job
from zogan.train import plan
from zogan.train.job import selection_digest
from zogan.train.need import Need
from zogan.train.sizes import Sizes, measure

ALWAYS = {
    "zogan.yaml",
    "environment.json",
    "data.json",
    "patch.safetensors",
    "metrics.jsonl",
    "predictions.safetensors",
    "evaluation.json",
    "protocol.json",
    "costs.json",
    "estimate.json",
    "stages.json",
    "checkpoint/key",
    "checkpoint/state.pt",
    "checkpoint/best.safetensors",
}
DOCUMENTS = {
    f"{stem}{language}{suffix}"
    for stem, suffix in (
        ("report", ".html"),
        ("report", ".pptx"),
        ("model-card", ".md"),
        ("runbook", ".md"),
        ("evidence", ".html"),
        ("evidence", ".md"),
        ("cases", ".csv"),
    )
    for language in ("", ".ja")
}
SAME_AFTER_A_KILL = (
    "selection.safetensors",
    "before.safetensors",
    "patch.safetensors",
    "predictions.safetensors",
    "evaluation.json",
)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


class Killer:
    """Raises KeyboardInterrupt when it is told of progress for the nth time; counts how often it was told."""

    def __init__(self, at: int | None = None) -> None:
        self.at, self.told = at, 0

    def _tick(self) -> None:
        self.told += 1
        if self.told == self.at:
            raise KeyboardInterrupt(f"at {self.at}")

    def start(self, stage: str, total: int) -> None:
        self._tick()

    def advance(self, done: int, **figures: float) -> None:
        self._tick()

    def note(self, message: str) -> None:
        self._tick()


def results(run: Path) -> dict[str, bytes]:
    return {name: (run / name).read_bytes() for name in SAME_AFTER_A_KILL if (run / name).exists()}


def log(run: Path) -> list[dict[str, Any]]:
    """metrics.jsonl without its clock."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


@pytest.mark.parametrize(
    ("kind", "method"),
    [
        *((kind, method) for kind in KINDS for method in ("sparse", "full", "lora")),
        ("new head", "head"),
    ],
)
def test_a_run_leaves_every_file_and_a_second_call_keeps_them(tmp_path: Path, kind: Kind, method: str) -> None:
    if method == "lora":
        pytest.importorskip("peft")
    write_project(tmp_path, kind, method=method)
    config, base = tiny_config(tmp_path), contents(tmp_path / "base")
    before, selection, report = kind == "new head", method == "sparse", method == "sparse"
    until: Until = "report" if report else "evaluate"  # the pages take longer than all the rest
    run = pilot(config, until=until)
    stages = [*["select"] * selection, *["head_only"] * before, "tune", "evaluate"]
    stages += ["probe", "verdict", *sorted(DOCUMENTS)] if report else []
    assert run.stages == dict.fromkeys(stages, "done")
    files = contents(run.folder)
    wanted = [*ALWAYS, *["selection.safetensors"] * selection, *["before.safetensors"] * before]
    assert files.keys() - {".lock"} == {*wanted, *((*DOCUMENTS, "probes.json", "verdict.json") if report else ())}
    assert contents(tmp_path / "base") == base
    again = pilot(config, until=until)
    assert again.stages == dict.fromkeys(stages, "kept")
    assert contents(run.folder) == files

    evaluation, patch = Evaluation.load(run.evaluation), Patch.load(run.patch)
    assert evaluation.before_is == ("head_only" if before else "base")
    assert evaluation.after is not None
    assert bool(patch.tensors) == before
    assert bool(patch.adapters) == (method == "lora")
    assert bool(patch.changes) == (method in ("sparse", "full"))
    assert {line["epoch"] for line in log(run.folder) if line["kind"] == "epoch"} <= {1, 2, 3}
    costs = json.loads((run.folder / "costs.json").read_text())
    assert costs["stages"].keys() == set(stages)
    assert 0 < costs["trainable"] <= costs["model_parameters"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a new head and a finished run, to be copied."""
    folder = tmp_path_factory.mktemp("finished")
    write_project(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        pilot(tiny_config(folder))
    return folder


@pytest.fixture
def project(finished: Path, tmp_path: Path) -> Path:
    """A copy of it: what a run is made from does not depend on where it lies."""
    return Path(shutil.copytree(finished, tmp_path / "project"))


ALL = frozenset({"select", "head_only", "tune", "evaluate"})


@pytest.mark.parametrize(
    ("overrides", "again"),
    [
        (("language=ja", "train.checkpoint_seconds=0"), set()),
        (("evaluate.resamples=200",), {"evaluate"}),
        # The validation rows run in batches of this size too, and rounding may move the best epoch.
        (("evaluate.batch_size=5",), {"head_only", "tune", "evaluate"}),
        (("evaluate.tokens_per_batch=60",), {"head_only", "tune", "evaluate"}),
        (("train.epochs=2",), {"tune", "evaluate"}),
        (("train.rate=0.001",), {"tune", "evaluate"}),
        (("train.warmup=0",), {"head_only", "tune", "evaluate"}),
        (("budget.density=0.01",), {"select", "tune", "evaluate"}),
        (("train.batch_size=6",), {"select", "tune", "evaluate"}),
        (("train.tokens_per_batch=60",), {"select", "tune", "evaluate"}),
        (("regularize.decay=1",), {"tune", "evaluate"}),
        (("train.seed=1",), ALL),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, tuple) else "",
)
def test_a_changed_option_redoes_what_depends_on_it_and_no_more(
    project: Path, overrides: tuple[str, ...], again: set[str]
) -> None:
    run = pilot(tiny_config(project, *overrides), until="evaluate")
    assert {name for name, status in run.stages.items() if status == "done"} == again
    assert run.stages.keys() == ALL


def one_row_less(project: Path) -> None:
    path = project / "train.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))


def other_tokenizer(project: Path) -> None:
    path = project / "base" / "tokenizer.json"
    tree = json.loads(path.read_text())
    tree["post_processor"] = None
    path.write_text(json.dumps(tree))


def other_weights(project: Path) -> None:
    from tiny import tiny_encoder

    shutil.rmtree(project / "base")
    tiny_encoder(project / "base", pooling="mean", normalize=True, seed=1)


def other_pooling(project: Path) -> None:
    path = project / "base" / "1_Pooling" / "config.json"
    path.write_text(path.read_text().replace("true", "false").replace('cls_token": false', 'cls_token": true'))


def blank_line_first(project: Path) -> None:
    path = project / "test.jsonl"
    path.write_text("\n" + path.read_text())


def another_name(project: Path) -> None:
    (project / "train.jsonl").rename(project / "learn.jsonl")
    path = project / "zogan.yaml"
    path.write_text(path.read_text().replace("train.jsonl", "learn.jsonl"))


@pytest.mark.parametrize(
    ("change", "again"),
    [
        (one_row_less, ALL),
        (other_tokenizer, ALL),
        (other_weights, ALL),
        (other_pooling, ALL),
        # Predictions and examples name their rows by line.
        (blank_line_first, {"evaluate"}),
        (another_name, set()),
        (lambda project: (project / "run" / "selection.safetensors").write_bytes(b""), {"select"}),
        (lambda project: (project / "run" / "patch.safetensors").unlink(), {"tune", "evaluate"}),
        (lambda project: (project / "run" / "evaluation.json").write_text("{}"), {"evaluate"}),
        (lambda project: (project / "run" / "predictions.safetensors").unlink(), {"evaluate"}),
        (lambda project: (project / "run" / "predictions.safetensors").write_bytes(b"torn"), {"evaluate"}),
        (lambda project: (project / "run" / "costs.json").unlink(), ALL),
    ],
)
def test_a_changed_file_redoes_what_reads_it_and_no_more(
    finished: Path, project: Path, change: Callable[[Path], object], again: set[str]
) -> None:
    change(project)
    run = pilot(tiny_config(project), until="evaluate")
    assert {name for name, status in run.stages.items() if status == "done"} == again
    if again < ALL:
        unbroken, now = results(finished / "run"), results(project / "run")
        assert now.keys() == unbroken.keys()
        named = {"predictions.safetensors", "evaluation.json"} if change is blank_line_first else set()
        assert {name for name in now if now[name] != unbroken[name]} <= named


def test_what_a_stage_says_it_does_not_read_changes_no_byte(project: Path) -> None:
    before = results(project / "run")
    pilot(tiny_config(project, "train.epochs=2", "output=apart"), until="tune")
    apart = results(project / "apart")
    same = {name for name in before if before[name] == apart.get(name)}
    assert same == {"selection.safetensors", "before.safetensors"}


def test_stages_run_up_to_the_one_that_is_asked_for(tmp_path: Path) -> None:
    write_project(tmp_path, "own head", train={"epochs": 1})
    files: dict[Until, str] = {
        "data": "data.json",
        "select": "selection.safetensors",
        "tune": "patch.safetensors",
        "evaluate": "evaluation.json",
        "probe": "probes.json",
        "verdict": "verdict.json",
        "report": "report.html",
    }
    for index, until in enumerate(files):
        run = pilot(tiny_config(tmp_path), until=until)
        assert [name for name in files if (run.folder / files[name]).is_file()] == list(files)[: index + 1]
        assert [name for name in run.stages if name not in DOCUMENTS] == list(files)[1 : index + 1][:5]
        assert run.stages.keys() >= DOCUMENTS or until != "report"


def test_a_new_patch_leaves_no_figures_of_the_old_one(project: Path) -> None:
    run = pilot(tiny_config(project, "train.epochs=1"), until="tune")
    assert not run.evaluation.exists()
    assert not run.verdict.exists()
    assert not run.predictions.exists()


def test_a_reselection_leaves_what_was_chosen_first_and_in_the_end(tmp_path: Path) -> None:
    write_project(tmp_path, train={"epochs": 3, "batch_size": 8, "reselect": 2, "reselect_share": 0.8, "rate": 0.01})
    config = tiny_config(tmp_path)
    run = pilot(config, until="tune")
    first, last, patch = load_selection(run.first), load_selection(run.selection), Patch.load(run.patch)
    assert "worth" in first.meta
    assert first.count == last.count
    assert patch.meta.hashes["selection"] == selection_digest(last)
    assert [line["step"] for line in log(run.folder) if line["kind"] == "reselect"] == [4, 9]
    files = contents(run.folder)
    assert set(pilot(config, until="tune").stages.values()) == {"kept"}
    assert contents(run.folder) == files
    # The selection is made again where it is not the patch's: from the checkpoint, to the same bytes.
    for spoil in (run.selection.unlink, lambda: shutil.copy(run.first, run.selection)):
        spoil()
        assert pilot(config, until="tune").stages == {"select": "kept", "head_only": "kept", "tune": "done"}
        assert run.selection.read_bytes() == files["selection.safetensors"]
        assert run.patch.read_bytes() == files["patch.safetensors"]
    # Without it the first selection stands alone, under the usual name.
    pilot(tiny_config(tmp_path, "train.reselect=0"), until="select")
    assert run.selection.read_bytes() == files["selection-first.safetensors"]


def test_another_method_in_the_folder_counts_its_own_stages_alone(project: Path) -> None:
    run = pilot(tiny_config(project, "method=full"))
    assert run.stages == {
        "head_only": "kept",
        "tune": "done",
        "evaluate": "done",
        "probe": "done",
        "verdict": "done",
        **dict.fromkeys(DOCUMENTS, "done"),
    }
    costs = json.loads((run.folder / "costs.json").read_text())
    assert costs["stages"].keys() == {"head_only", "tune", "evaluate", "probe", "verdict"} | DOCUMENTS


def test_the_same_project_gives_the_same_bytes_elsewhere(finished: Path, tmp_path: Path) -> None:
    write_project(tmp_path, output="elsewhere")
    assert results(pilot(tiny_config(tmp_path), until="evaluate").folder) == results(finished / "run")


def test_a_base_that_reads_otherwise_is_tuned_from_the_start(tmp_path: Path) -> None:
    write_project(tmp_path, "own head", method="full")
    old = pilot(tiny_config(tmp_path), until="tune").patch.read_bytes()
    other_tokenizer(tmp_path)
    again = pilot(tiny_config(tmp_path), until="tune").patch.read_bytes()
    assert again == pilot(tiny_config(tmp_path, "output=fresh"), until="tune").patch.read_bytes() != old


# Killed and started again


def afresh(folder: Path, tmp_path: Path) -> Path:
    """A copy of a project without its run."""
    return Path(shutil.copytree(folder, tmp_path / "project", ignore=shutil.ignore_patterns("run")))


@pytest.fixture(scope="module", params=["new head", "generation"])
def unbroken(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, int]]:
    """A project whose run was never killed, and how often it told of its progress."""
    folder = tmp_path_factory.mktemp("unbroken")
    write_project(folder, request.param)
    counter = Killer()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        pilot(tiny_config(folder), until="evaluate", progress=counter)
        yield folder, counter.told


@pytest.mark.parametrize(("share", "checkpoint_seconds"), [(0.02, 60), (0.4, 0), (0.8, 60), (0.92, 0), (1.0, 60)])
def test_a_killed_run_ends_with_the_same_bytes(
    unbroken: tuple[Path, int], tmp_path: Path, share: float, checkpoint_seconds: int
) -> None:
    folder, told = unbroken
    project = afresh(folder, tmp_path)
    config, at = tiny_config(project, f"train.checkpoint_seconds={checkpoint_seconds}"), max(1, round(share * told))
    with pytest.raises(KeyboardInterrupt, match=f"at {at}"):
        pilot(config, until="evaluate", progress=Killer(at))
    run = pilot(config, until="evaluate").folder
    assert results(run) == results(folder / "run")
    assert log(run) == log(folder / "run")
    assert not list(run.rglob("*.partial"))


def test_a_run_that_is_killed_again_and_again_ends_with_the_same_bytes(finished: Path, tmp_path: Path) -> None:
    project = afresh(finished, tmp_path)
    config, kills = tiny_config(project, "train.checkpoint_seconds=0"), 0
    while kills < 30:
        try:
            pilot(config, until="evaluate", progress=Killer(100 + 50 * kills))
            break
        except KeyboardInterrupt:
            kills += 1
    assert kills > 1
    assert results(project / "run") == results(finished / "run")
    assert log(project / "run") == log(finished / "run")


def test_a_run_of_another_option_is_not_gone_on_with(finished: Path, tmp_path: Path) -> None:
    project = afresh(finished, tmp_path)
    with pytest.raises(KeyboardInterrupt, match="at 80"):
        pilot(tiny_config(project, "train.rate=0.1", "train.checkpoint_seconds=0"), progress=Killer(80))
    pilot(tiny_config(project), until="evaluate")
    assert results(project / "run") == results(finished / "run")
    assert log(project / "run") == log(finished / "run")


def test_kill_minus_nine_changes_no_byte(finished: Path, tmp_path: Path) -> None:
    project = afresh(finished, tmp_path)
    command = [sys.executable, "-m", "zogan", "pilot", str(project / "zogan.yaml")]
    for line in ("epoch 1 of 60", "epoch 2 of 3"):  # in the head's own training, then in the run's
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            assert any(told.startswith(line) for told in process.stderr)
            process.kill()
            assert process.wait() == -signal.SIGKILL
        assert not (project / "run" / "patch.safetensors").exists()
    run = pilot(tiny_config(project), until="evaluate")
    assert run.stages == {"select": "kept", "head_only": "kept", "tune": "done", "evaluate": "done"}
    assert results(run.folder) == results(finished / "run")
    assert log(run.folder) == log(finished / "run")


# Larger than memory


class Notes(Killer):
    """Killed never; keeps what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)


def lowest(run: Run) -> int:
    """The layer nearest to the input of which a patch changes something; of five, the last where it changes none."""
    found = (re.search(r"\.layers?\.(\d)\.", name) for name in Patch.load(run.patch).changes)
    return min((int(place[1]) for place in found if place), default=4)


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each layer counts as one gigabyte, and so does what stands outside of them."""

    def measured(job: Job, model: nn.Module, need: Need, *, program: int) -> Sizes:
        sizes = measure(job, model, need, program=0)
        return replace(sizes, rest=10**9, layers=(10**9,) * len(sizes.layers))

    monkeypatch.setattr(plan, "measure", measured)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("large")
def test_a_base_larger_than_memory_gives_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Kind
) -> None:
    budget, figures = {"density": 0.02, "depth": 2}, {"resamples": 100, "answers": 0, "batch_size": 5}
    write_project(tmp_path, kind, layers=5, budget=budget, evaluate=figures, regularize={"r_drop": 0.0})
    whole, part = Notes(), Notes()
    expected = results(pilot(tiny_config(tmp_path), until="evaluate", progress=whole).folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    run = pilot(tiny_config(tmp_path, "budget.memory=5.5GB", "output=part"), until="evaluate", progress=part)
    assert results(run.folder) == expected
    assert not any("in memory" in note for note in whole.notes)
    found = [note.split(": ")[1] for note in part.notes if note.startswith("the model is larger than the memory")]
    held, evaluated = [note.split(" are")[0] for note in found], f"layers {lowest(run)} to 4"
    stages = ["layers 3 to 4", *["layers 4 to 4"] * (kind == "new head"), "layers 3 to 4", evaluated]
    assert held[: len(stages)] == stages
    assert set(held[len(stages) :]) <= {evaluated}  # what the model knows by heart, and its temperature


@pytest.mark.usefixtures("large")
def test_answers_of_a_base_larger_than_memory_are_refused_before_anything_starts(tmp_path: Path) -> None:
    write_project(tmp_path, "generation", layers=5, budget={"density": 0.02, "depth": 2, "memory": "5.5GB"})
    with pytest.raises(ConfigError, match=r"evaluate\.answers: greedy answers need the whole model"):
        pilot(tiny_config(tmp_path))
    assert contents(tmp_path / "run").keys() <= {".lock"}
    assert pilot(tiny_config(tmp_path), until="tune").patch.exists()
    assert "evaluate" in pilot(tiny_config(tmp_path, "evaluate.answers=0"), until="evaluate").stages


# What is refused


def test_two_runs_in_one_folder_are_refused(project: Path) -> None:
    before = contents(project / "run")
    with Run(project / "run"), pytest.raises(RunError, match="another zogan works in this folder"):
        pilot(tiny_config(project))
    assert contents(project / "run") == before


def test_a_full_disk_is_said_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_project(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9, 10**6))
    with pytest.raises(RunError, match="MB are needed and 1 MB are free"):
        pilot(tiny_config(tmp_path))
    assert contents(tmp_path / "run").keys() <= {".lock"}


def test_full_tuning_asks_for_more_room_than_sparse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(Run, "need", lambda run, wanted: asked.append(wanted))
    write_project(tmp_path)
    for method in ("sparse", "full"):
        pilot(tiny_config(tmp_path, f"method={method}"), until="data")
    assert asked[0] < asked[1]


def test_a_zogan_yaml_that_no_run_wrote_is_not_replaced(tmp_path: Path) -> None:
    path = write_project(tmp_path)
    mine = path.read_bytes()
    with pytest.raises(RunError, match=r"holds a zogan\.yaml that no run wrote"):
        pilot(tiny_config(tmp_path, "output=."))
    assert path.read_bytes() == mine


def test_a_head_that_is_kept_cannot_be_trained_alone(tmp_path: Path) -> None:
    write_project(tmp_path, "own head", method="head")
    with pytest.raises(ConfigError, match="the base keeps its own head"):
        pilot(tiny_config(tmp_path))


def test_an_encoder_cannot_generate(tmp_path: Path) -> None:
    write_project(tmp_path)
    write_jsonl(tmp_path / "train.jsonl", [{"prompt": f"p {n}", "response": f"r {n}"} for n in range(40)])
    config = tiny_config(tmp_path, "task=generation", "data={train: train.jsonl}")
    with pytest.raises(ModelError, match="is an encoder and cannot generate"):
        pilot(config)


def test_rows_of_one_class_are_refused(tmp_path: Path) -> None:
    write_project(tmp_path)
    rows = [{"text": f"text {n}", "label": LABELS[0]} for n in range(40)]
    write_jsonl(tmp_path / "train.jsonl", rows)
    with pytest.raises(DataError, match="train has one class alone"):
        pilot(tiny_config(tmp_path, "data={train: train.jsonl}"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_second_stage_goes_through_all_stages(tmp_path: Path, kind: Kind) -> None:
    write_project(tmp_path, kind, layers=3, adapters={"two_stage": "always", "layers": 2}, lora={"rank": 2})
    config, base = tiny_config(tmp_path), contents(tmp_path / "base")
    until: Until = "report" if kind == "generation" else "evaluate"
    run = pilot(config, until=until)
    patch = Patch.load(run.patch)
    assert patch.changes
    assert patch.adapters
    assert log(run.folder)[-1]["kind"] == "adapters"
    assert (run.folder / "checkpoint" / "adapters" / "best.safetensors").is_file()
    assert contents(tmp_path / "base") == base
    again = pilot(config, until=until)
    assert set(again.stages.values()) == {"kept"}
    if until == "report":
        assert "A second stage went on from there" in run.report.read_text(encoding="utf-8")
    # Another wish concerns the tuning alone, and the fitted head not at all.
    other = pilot(tiny_config(tmp_path, "adapters.two_stage=never"), until="evaluate")
    assert other.stages.pop("tune") == other.stages.pop("evaluate") == "done"
    assert set(other.stages.values()) == {"kept"}
    assert not Patch.load(run.patch).adapters
