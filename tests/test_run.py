"""A run's folder: one user at a time, each stage done once, files whole or not there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from zogan.errors import IntegrityError, RunError
from zogan.run import Run


def write(text: str, **facts: Any) -> Callable[[Path], Mapping[str, Any] | None]:
    """What a stage makes, and the facts that it tells."""

    def make(path: Path) -> Mapping[str, Any] | None:
        path.write_text(text)
        return facts or None

    return make


def never(path: Path) -> None:
    raise AssertionError(f"{path.name} was made again")


def tree(folder: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / name).read_text(encoding="utf-8"))
    return found


def test_a_stage_is_done_once(tmp_path: Path) -> None:
    with Run(tmp_path / "deep" / "run") as run:
        run.stage("tune", run.patch, {"seed": 0}, write("a", trainable=3))
        assert run.stages == {"tune": "done"}
    with Run(run.folder) as again:
        again.stage("tune", again.patch, {"seed": 0}, never)
        assert again.stages == {"tune": "kept"}
    assert again.patch.read_text() == "a"
    assert tree(run.folder, "costs.json")["trainable"] == 3


@pytest.mark.parametrize(
    "change",
    [
        lambda run: ("select", {"seed": 0, "data": run.folder / "data"}),
        lambda run: ("tune", {"seed": 1, "data": run.folder / "data"}),
        lambda run: ("tune", {"seed": 0, "data": run.folder / "data", "more": None}),
        lambda run: ("tune", {"seed": 0, "data": run.folder / "other"}),
    ],
    ids=["name", "value", "key", "file"],
)
def test_a_stage_that_reads_something_else_is_done_again(
    tmp_path: Path, change: Callable[[Run], tuple[str, dict[str, Any]]]
) -> None:
    (tmp_path / "data").write_text("rows")
    (tmp_path / "other").write_text("other rows")
    with Run(tmp_path) as run:
        run.stage("tune", run.patch, {"seed": 0, "data": run.folder / "data"}, write("a"))
        name, reads = change(run)
        run.stage(name, run.patch, reads, write("b"))
        assert run.stages[name] == "done"
    assert run.patch.read_text() == "b"


def test_a_file_that_it_reads_counts_by_content_alone(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("rows")
    shutil.copy(tmp_path / "data", tmp_path / "copy")
    with Run(tmp_path) as run:
        run.stage("tune", run.patch, {"data": tmp_path / "data"}, write("a"))
        run.stage("tune", run.patch, {"data": tmp_path / "copy"}, never)


@pytest.mark.parametrize("change", [Path.unlink, lambda path: path.write_text("touched")], ids=["gone", "other bytes"])
def test_a_result_that_is_not_as_it_was_left_is_made_again(tmp_path: Path, change: Callable[[Path], Any]) -> None:
    with Run(tmp_path) as run:
        run.stage("tune", run.patch, {}, write("a"))
    change(run.patch)
    with Run(tmp_path) as again:
        again.stage("tune", again.patch, {}, write("a"))
        assert again.stages == {"tune": "done"}


def test_the_next_stage_reads_what_the_last_one_wrote(tmp_path: Path) -> None:
    with Run(tmp_path) as run:
        for text in "ab":
            run.stage("select", run.selection, {"text": text}, write(text))
            run.stage("tune", run.patch, {"selection": run.selection}, write(text))
    assert run.patch.read_text() == "b"


def test_a_stage_that_fails_leaves_the_old_result(tmp_path: Path) -> None:
    def fail(path: Path) -> None:
        path.write_text("half")
        raise KeyboardInterrupt("Ctrl-C")

    with Run(tmp_path) as run:
        run.stage("tune", run.patch, {}, write("a"))
        before = tree(tmp_path, "stages.json")
        with pytest.raises(KeyboardInterrupt, match="Ctrl-C"):
            run.stage("tune", run.patch, {"seed": 1}, fail)
        assert run.patch.read_text() == "a"
        assert tree(tmp_path, "stages.json") == before
        run.stage("tune", run.patch, {}, never)


def test_costs_add_what_a_killed_run_had_spent(tmp_path: Path) -> None:
    with Run(tmp_path) as run:
        run.stage("tune", run.patch, {}, write("a", seconds_before=1000.0, trainable=3))
    costs = tree(tmp_path, "costs.json")
    assert 1000 <= costs["stages"]["tune"]["wall_seconds"] < 1010
    assert costs["stages"]["tune"]["peak_bytes"] > 0
    assert costs.keys() == {"stages", "trainable"}


@pytest.mark.parametrize("name", ["stages.json", "costs.json"])
@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\x00", b'{"stages": 3}'])
def test_a_damaged_file_is_said_and_can_be_deleted(tmp_path: Path, name: str, content: bytes) -> None:
    with Run(tmp_path) as run:
        run.stage("tune", run.patch, {}, write("a", trainable=3))
    (tmp_path / name).write_bytes(content)
    with Run(tmp_path) as again:
        with pytest.raises(IntegrityError, match=rf"{name}: is damaged\. Delete it: its stages are done again"):
            again.stage("tune", again.patch, {}, never)
        (tmp_path / name).unlink()
        again.stage("tune", again.patch, {}, write("a", trainable=3))
        assert again.stages == {"tune": "done"}
    assert tree(tmp_path, "costs.json")["trainable"] == 3


@pytest.mark.parametrize("entry", [None, 3, [], {}, {"key": 1}, {"sha256": "0"}])
def test_an_entry_that_is_none_counts_for_nothing(tmp_path: Path, entry: object) -> None:
    with Run(tmp_path) as run:
        run.stage("tune", run.patch, {}, write("a"))
        run.write("stages.json", {"tune": entry})
        run.stage("tune", run.patch, {}, write("b"))
    assert run.patch.read_text() == "b"


def test_a_checkpoint_of_something_else_is_emptied(tmp_path: Path) -> None:
    with Run(tmp_path) as run:
        (run.checkpoint({"seed": 0}) / "state.pt").touch()
        assert (run.checkpoint({"seed": 0}) / "state.pt").exists()
        assert not (run.checkpoint({"seed": 1}) / "state.pt").exists()
        (tmp_path / "checkpoint" / "state.pt").touch()
        (tmp_path / "checkpoint" / "key").unlink()
        assert not (run.checkpoint({"seed": 1}) / "state.pt").exists()


def test_stages_that_were_not_asked_for_are_forgotten(tmp_path: Path) -> None:
    with Run(tmp_path) as run:
        run.stage("select", run.selection, {}, write("a"))
        run.stage("tune", run.patch, {}, write("a", trainable=3))
    with Run(tmp_path) as other:
        other.stage("tune", other.patch, {}, never)
        other.forget_others()
    assert tree(tmp_path, "stages.json").keys() == {"tune"}
    costs = tree(tmp_path, "costs.json")
    assert costs["stages"].keys() == {"tune"}
    assert costs["trainable"] == 3


def test_one_run_at_a_time(tmp_path: Path) -> None:
    with Run(tmp_path), pytest.raises(RunError, match=f"{tmp_path}: another zogan works in this folder"), Run(tmp_path):
        pass
    with Run(tmp_path):
        pass


def test_the_lock_goes_with_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="odd"), Run(tmp_path):
        raise ValueError("odd")
    with Run(tmp_path):
        pass


@pytest.mark.parametrize("name", ["file", "file/run"])
def test_a_file_is_no_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=rf"{name}: is no folder\. Name another with --set output="):
        Run(tmp_path / name)


def test_a_full_disk_is_said_before_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage(NamedTuple):
        total: int
        used: int
        free: int

    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**10, 10**10 - 5_000_000, 5_000_000))
    with Run(tmp_path) as run:
        run.need(5_000_000)
        with pytest.raises(RunError, match="2,000 MB are needed and 5 MB are free"):
            run.need(2_000_000_000)


def test_files_are_written_whole_and_the_same_each_time(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.write("data.json", {"b": 1, "a": "日本語"})
    assert (tmp_path / "data.json").read_text(encoding="utf-8") == '{\n  "a": "日本語",\n  "b": 1\n}\n'
    run.write("zogan.yaml", "model: 日本語\n")
    assert (tmp_path / "zogan.yaml").read_text(encoding="utf-8") == "model: 日本語\n"
    assert not list(tmp_path.glob("*.partial"))
