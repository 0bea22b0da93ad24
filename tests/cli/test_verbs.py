"""Each verb parses, calls and prints. Stages are stood in for: their own tests run them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import zogan.demo
import zogan.pilot
from sample_run import sample_patch, write_run
from zogan.cli.app import run
from zogan.config import Config
from zogan.patch import Patch
from zogan.patch.change import bits
from zogan.select.storage import save_selection
from zogan.sparse.selection import Selection


@dataclass
class FakeRun:
    """What the pilot returns."""

    folder: Path
    stages: dict[str, str] = field(default_factory=lambda: {"select": "done", "tune": "kept"})

    selection = property(lambda self: self.folder / "selection.safetensors")
    patch = property(lambda self: self.folder / "patch.safetensors")
    evaluation = property(lambda self: self.folder / "evaluation.json")
    report = property(lambda self: self.folder / "report.html")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a configuration, and a pilot that has its run ready."""
    (tmp_path / "zogan.yaml").write_text("model: m\ntask: classification\ndata: {train: train.jsonl}\n")
    folder = write_run(tmp_path / "runs" / "first")
    positions = {"layer.0.q.weight": torch.tensor([1, 5]), "layer.1.q.weight": torch.tensor([0, 1, 2])}
    shapes = dict.fromkeys(positions, (10, 10))
    save_selection(
        Selection(positions, shapes, ("head.weight",), {"criterion": "gradient"}), folder / "selection.safetensors"
    )
    asked: list[tuple[Config, str]] = []

    def pilot(
        config: Config,
        *,
        given: Path | None = None,
        until: str = "report",
        progress: Any,
        looked: Any = None,
        beside: Any = None,
    ) -> FakeRun:
        assert given is None
        asked.append((config, until))
        progress.start(until, 1)
        progress.advance(1)
        return FakeRun(folder)

    monkeypatch.setattr(zogan.pilot, "pilot", pilot)
    monkeypatch.setattr(zogan.pilot, "asked", asked, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def result(arguments: list[str], capsys: pytest.CaptureFixture[str], code: int = 0) -> dict[str, Any]:
    """What the command prints with --json."""
    assert run([*arguments, "--json"]) == code
    printed = capsys.readouterr()
    assert printed.err == ""
    tree: dict[str, Any] = json.loads(printed.out)
    return tree


def text(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What the command prints for people."""
    assert run(arguments) == 0
    return capsys.readouterr().out


def test_pilot_ends_with_the_answer_the_figures_and_the_report(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = text(["pilot", "--set", "train.epochs=3"], capsys)
    assert out.startswith("Accepted: Accuracy rose from 73.4 % to 78.3 %")
    assert "Macro-F1" in out
    assert f"report: {project / 'runs/first/report.html'}" in out
    config, until = zogan.pilot.asked[0]  # type: ignore[attr-defined]
    assert (config.train.epochs, until) == (3, "report")
    tree = result(["pilot"], capsys)
    assert tree["outcome"] == tree["verdict"]["outcome"] == "accepted"
    assert tree["stages"] == {"select": "done", "tune": "kept"}
    assert tree["after"]["accuracy"]["value"] > tree["before"]["accuracy"]["value"]


def test_select_says_where_the_weights_lie(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = text(["select"], capsys)
    assert out.startswith("5 weights chosen, 2.5 % of the matrices that may change\n")
    tree = result(["select"], capsys)
    assert (tree["chosen"], tree["share"]) == (5, 0.025)
    assert tree["tensors"] == {"layer.0.q.weight": 2, "layer.1.q.weight": 3}


def test_select_is_for_the_sparse_method(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["select", "--set", "method=full"]) == 2
    assert "method 'full' chooses no weights" in capsys.readouterr().err


def test_tune_shows_epochs_cost_and_patch(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = text(["tune"], capsys)
    assert "validation loss" in out
    assert "in 2 min 21 s, at most 910 MB of memory" in out
    tree = result(["tune"], capsys)
    assert (tree["best_epoch"], len(tree["epochs"])) == (5, 7)
    assert tree["wall_seconds"] == 141.2


def test_evaluate_shows_both_sides(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = text(["evaluate"], capsys)
    assert "before: head only" in out
    assert "+3.0 to +6.8 points" in out
    assert result(["evaluate"], capsys)["difference"]["accuracy"]["better"] is True


def test_report_writes_both_languages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_run(tmp_path / "run")
    tree = result(["report", str(folder), "--language", "ja", "--only", "html"], capsys)
    assert tree["pages"] == [str(folder / "report.en.html"), str(folder / "report.html")]


def test_report_of_no_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", str(tmp_path)]) == 2
    assert "is not a run" in capsys.readouterr().err


def test_init_writes_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "train.jsonl").write_text('{"text": "a", "label": "b"}\n')
    out = text(["init", str(tmp_path), "--model", "base"], capsys)
    assert f"next:    zogan data check {tmp_path / 'zogan.yaml'}" in out
    assert run(["init", str(tmp_path)]) == 2
    assert "exists already. Give --force" in capsys.readouterr().err
    assert result(["init", str(tmp_path), "--force"], capsys)["to_fill_in"] == ["model"]


def test_init_refuses_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert run(["init", str(tmp_path / "file")]) == 2
    assert "is a file, not a folder" in capsys.readouterr().err


def test_demo_writes_and_runs(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def write_demo(task: str, folder: Path, *, progress: Any) -> Path:
        folder.mkdir()
        (folder / "zogan.yaml").write_text((project / "zogan.yaml").read_text())
        return folder / "zogan.yaml"

    monkeypatch.setattr(zogan.demo, "write_demo", write_demo)
    out = text(["demo", "classification", "--no-run"], capsys)
    assert "next: zogan pilot demo-classification/zogan.yaml" in out
    assert not zogan.pilot.asked  # type: ignore[attr-defined]
    assert result(["demo", "classification", "elsewhere"], capsys)["outcome"] == "accepted"


def rows(path: Path, *labels: str) -> None:
    lines = [
        json.dumps({"text": f"{path.stem} {label} {number}", "label": label}) for label in labels for number in range(9)
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_data_check_lists_findings_and_goes_on_without_a_model(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows(project / "train.jsonl", "good", "bad", "bad")
    assert run(["data", "check"]) == 0
    printed = capsys.readouterr()
    assert "lengths are not looked at: " in printed.err
    assert "warning: 9 × " in printed.out
    assert "a run would go on" in printed.out


def test_data_check_leaves_with_two_where_a_run_would_refuse(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows(project / "train.jsonl", "only")
    tree = result(["data", "check", "--quiet"], capsys, 2)
    assert tree["fatal"] is True
    assert run(["data", "check", "--quiet"]) == 2
    assert "a run would refuse this data" in capsys.readouterr().out


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder with the base that `patch` belongs to, and the patch beside it."""
    from zogan.weights import fingerprint

    folder = tmp_path / "model"
    folder.mkdir()
    weight = torch.arange(12, dtype=torch.float32).view(3, 4)
    save_file({"layer.0.q.weight": weight}, folder / "model.safetensors")
    (folder / "config.json").write_text("{}")
    from zogan.sparse.attach import Delta

    positions = torch.tensor([2, 7])
    delta = Delta(positions, weight.flatten()[positions], torch.tensor([-1.0, -2.0]))
    names = {"q": "layer.0.q.weight"}
    Patch.capture({"q": delta}, names, fingerprint(folder), folder).save(tmp_path / "patch.safetensors")
    return folder


def test_patch_is_applied_and_taken_back(tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, tuned, base = tmp_path / "patch.safetensors", tmp_path / "tuned", tmp_path / "again"
    tree = result(["patch", "apply", str(file), str(model), "-o", str(tuned), "--quiet"], capsys)
    assert (tree["weights"], tree["folder"]) == (2, str(tuned))
    assert load_file(tuned / "model.safetensors")["layer.0.q.weight"].flatten()[7] == -2
    assert "reverted: 2 weights" in text(["patch", "revert", str(file), str(tuned), "-o", str(base)], capsys)
    before, after = (load_file(folder / "model.safetensors")["layer.0.q.weight"] for folder in (model, base))
    assert torch.equal(bits(before), bits(after))
    assert "applied: 2" in text(["patch", "apply", str(file), str(model), "--in-place"], capsys)
    assert run(["patch", "apply", str(file), str(model), "--in-place"]) in (2, 4)


def test_a_patch_of_another_base_leaves_with_four(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_file({"layer.0.q.weight": torch.zeros(3, 4)}, model / "model.safetensors")
    assert run(["patch", "apply", str(tmp_path / "patch.safetensors"), str(model), "--in-place", "-q"]) == 4
    assert capsys.readouterr().err.startswith("error: ")


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ([], "nothing says where the result goes"),
        (["-o", "out", "--in-place"], "--output and --in-place exclude each other"),
    ],
)
def test_one_place_for_the_result_must_be_named(
    options: list[str], what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for verb in ("apply", "revert"):
        assert run(["patch", verb, "file", "folder", *options]) == 2
        assert what in capsys.readouterr().err


def test_a_package_is_never_changed_in_place(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["patch", "apply", "file", "package:some-model", "--in-place"]) == 2
    assert "only a folder can be changed in place" in capsys.readouterr().err


def test_patch_show_says_what_it_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    patch = sample_patch(layers=2)
    patch.save(tmp_path / "patch.safetensors")
    out = text(["patch", "show", str(tmp_path / "patch.safetensors")], capsys)
    assert patch.digest in out
    assert "encoder.layer.1.output.dense.weight" in out
    assert "head.weight" in out
    tree = result(["patch", "show", str(tmp_path / "patch.safetensors")], capsys)
    assert tree["changed"] == patch.count


def test_an_unknown_key_names_the_nearest(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["tune", "--set", "train.epoch=3"]) == 2
    assert "unknown key 'train.epoch'. Did you mean 'epochs'?" in capsys.readouterr().err


def test_a_missing_configuration_says_how_to_make_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["pilot"]) == 2
    assert capsys.readouterr().err == "error: zogan.yaml: no such file. Make one with `zogan init`\n"
