"""The pilot as a command, on a real run: what it prints, its exit codes, and what it refuses in one line."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from commands import failure, printed_json, printed_text
from tiny_project import contents
from zogan.cli.app import run
from zogan.run import Run

KEPT = dict.fromkeys(("select", "tune", "evaluate", "probe", "verdict"), "kept")

CONFIGURED = ["pilot", "select", "tune", "evaluate", "data check"]


def test_json_is_all_that_stands_on_stdout(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(tuned / "run")
    tree = printed_json(["pilot"], capsys)
    documents = tree["stages"].keys() - KEPT.keys()  # they name the folder, and are written anew
    assert tree["stages"] == KEPT | dict.fromkeys(documents, "done")
    assert {"report.html", "report.pptx", "runbook.ja.md", "cases.csv"} <= documents
    assert tree["outcome"] == tree["verdict"]["outcome"]
    assert tree["outcome"] in ("accepted", "rejected", "undecided")
    assert tree["before_is"] == "base"
    assert tree["rows"] == 24
    assert tree["patch_bytes"] == (tuned / "run" / "patch.safetensors").stat().st_size
    for name in ("run", "patch", "report"):
        assert Path(tree[name]).exists()
    # The same project in another place: all that differs is where it lies.
    assert {name for name, content in contents(tuned / "run").items() if content != before[name]} <= {
        *documents,
        "zogan.yaml",
        "stages.json",
        "costs.json",
    }


def test_people_read_the_answer_first_and_notes_go_to_stderr(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["pilot", "zogan.yaml", "--set", "train.epochs=1", "--set", "language=ja"]) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines()[-1] == f"report: {tuned / 'run' / 'report.html'}"
    assert "Accuracy" in printed.out.splitlines()[0]
    assert "weights changed" in printed.out
    assert "epoch 1 of 1" in printed.err
    assert "epoch 1 of 1" not in printed.out
    assert 'lang="ja"' in (tuned / "run" / "report.html").read_text(encoding="utf-8")


def test_quiet_leaves_stderr_empty(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["pilot", "--quiet"]) == 0
    assert capsys.readouterr().err == ""


def test_a_folder_in_use_is_refused(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Run(tuned / "run"):
        line = failure(["pilot"], capsys)
    assert line.startswith(f"{tuned / 'run'}: another zogan works in this folder. Wait for it")


def test_a_full_disk_is_refused(
    tuned: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9, 0))
    assert "MB are needed and 0 MB are free. Make room" in failure(["pilot"], capsys)


@pytest.mark.parametrize("output", ["train.jsonl", "train.jsonl/run"])
def test_an_output_that_is_a_file_is_refused(tuned: Path, output: str, capsys: pytest.CaptureFixture[str]) -> None:
    line = failure(["pilot", "--set", f"output={output}"], capsys)
    assert line == f"{tuned / output}: is no folder. Name another with --set output=…"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff"])
def test_damaged_stages_are_an_integrity_error(tuned: Path, content: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    (tuned / "run" / "stages.json").write_bytes(content)
    line = failure(["pilot"], capsys, 4)
    assert line == f"{tuned / 'run' / 'stages.json'}: is damaged. Delete it: its stages are done again"


def test_ctrl_c_leaves_with_130_and_says_how_to_go_on(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [sys.executable, "-m", "zogan", "pilot", "--set", "train.epochs=500", "--set", "train.patience=null"]

    def interruptible() -> None:  # as in a terminal; who runs the tests may have Ctrl-C ignored
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=interruptible
    ) as process:
        assert process.stderr is not None
        assert any(line.startswith("epoch 2 of 500") for line in process.stderr)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert process.returncode == 130
    assert out == ""
    assert err.splitlines()[-1] == "interrupted; the same command goes on from what is done"
    assert "Traceback" not in err


@pytest.mark.parametrize("verb", CONFIGURED)
def test_a_missing_configuration_says_how_to_make_one(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert failure(verb.split(), capsys) == "zogan.yaml: no such file. Make one with `zogan init`"
    line = failure([*verb.split(), "elsewhere/zogan.yaml"], capsys)
    assert line == "elsewhere/zogan.yaml: no such file. Make one with `zogan init`"


@pytest.mark.parametrize("verb", CONFIGURED)
def test_an_unknown_key_names_the_nearest(verb: str, tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = failure([*verb.split(), "--set", "train.epoch=3"], capsys)
    assert line == "zogan.yaml: unknown key 'train.epoch'. Did you mean 'epochs'?"
    with (tuned / "zogan.yaml").open("a", encoding="utf-8") as file:
        file.write("metod: sparse\n")
    assert failure(verb.split(), capsys) == "zogan.yaml: unknown key 'metod'. Did you mean 'method'?"


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("train.epochs", "--set: 'train.epochs' is not key=value. For example --set train.epochs=3"),
        ("=3", "--set: '=3' is not key=value. For example --set train.epochs=3"),
        ("task.name=3", "--set: 'task' in 'task.name' is a value, not a section"),
        ("method=spars", "zogan.yaml: method = 'spars': Input should be 'sparse', 'full', 'lora' or 'head'"),
        ("train.epochs=0", "zogan.yaml: train.epochs = 0: Input should be greater than or equal to 1"),
        ("select.criterion=gradiant", "Did you mean 'gradient'?"),
        ("model=nowhere", "no such folder or file. Nothing is downloaded"),
        ("model=train.jsonl", "is a file, and no .gguf"),
        ("data.train=nowhere.jsonl", "no such file"),
        ("data.label=lable", "lable"),
        ("method=head", "the base keeps its own head"),
    ],
)
def test_a_bad_value_is_one_line(override: str, line: str, tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert line in failure(["pilot", "--set", override], capsys)


def test_a_damaged_base_is_an_integrity_error(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = tuned / "base" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    assert str(tuned / "base") in failure(["pilot"], capsys, 4)


def test_a_run_in_the_projects_own_folder_does_not_replace_its_configuration(
    tuned: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = (tuned / "zogan.yaml").read_bytes()
    assert "holds a zogan.yaml that no run wrote" in failure(["pilot", "--set", "output=."], capsys)
    assert (tuned / "zogan.yaml").read_bytes() == mine


def test_debug_shows_the_traceback_before_the_line(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["pilot", "--debug", "--set", "model=nowhere"]) == 2
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert err.splitlines()[-1].startswith("error: ")


def test_the_error_of_a_run_is_json_too(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["pilot", "--json", "--quiet", "--set", "model=nowhere"]) == 2
    assert json.loads(capsys.readouterr().err)["exit_code"] == 2


def test_the_figures_follow_the_answer(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = printed_text(["pilot", "--quiet"], capsys)
    assert "on 24 test rows" in out
    assert "Macro-F1" in out


def test_folds_choose_the_epochs_of_a_whole_pilot(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = "data={train: train.jsonl, test: test.jsonl}"
    arguments = ["pilot", "--set", rows, "--set", "train.folds=2", "--set", "train.epochs=2"]
    tree = printed_json(arguments, capsys)
    assert tree["folds"]["folds"] == 2
    page = (tuned / "run" / "report.html").read_text(encoding="utf-8")
    assert "How long to train was chosen by 2 folds of the training rows" in page
    assert "choosing when to stop" not in page, "no row was held back for that"
    kept = printed_json(arguments, capsys)
    assert kept["stages"]["tune"] == "kept"
    assert kept["folds"] == tree["folds"]
