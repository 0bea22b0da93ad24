"""Runs in MLflow: what is logged, once, and what is said when it cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands import failure, printed_json
from sample_run import write_run
from zogan.tracking import figures, log_to_mlflow, parameters

pytest.importorskip("mlflow")


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of a database, which takes seconds to make; each test has an experiment of its own in it."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working directory: a database's artifacts lie there."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "first")


def test_a_run_is_logged_with_its_figures_files_and_losses(run: Path, uri: str, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    from zogan.report.record import read

    found = log_to_mlflow(run, uri, experiment="support")
    client, record = MlflowClient(tracking_uri=uri), read(run)
    logged = client.get_run(found.run)
    assert logged.info.run_name == "first"
    assert logged.info.status == "FINISHED"
    assert logged.data.params == parameters(record)
    assert logged.data.tags["zogan.verdict"] == record.verdict.outcome
    assert figures(record).items() <= logged.data.metrics.items()
    history = client.get_metric_history(found.run, "train.loss")
    assert [(point.step, point.value) for point in history] == [(line["step"], line["loss"]) for line in record.steps]
    names = {file.path for file in client.list_artifacts(found.run)}
    assert {"patch.safetensors", "evaluation.json", "zogan.yaml"} <= names
    copy = Path(client.download_artifacts(found.run, "patch.safetensors", str(tmp_path)))
    assert copy.read_bytes() == (run / "patch.safetensors").read_bytes()


def test_a_patch_that_is_logged_is_not_logged_again(run: Path, uri: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["mlflow", str(run), uri, "--experiment", "twice"]
    first, second = printed_json(arguments, capsys), printed_json(arguments, capsys)
    assert (first["known"], second["known"]) == (False, True)
    assert first["run"] == second["run"]


def test_a_log_that_broke_off_does_not_count(run: Path, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(folder: Path) -> list[Path]:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("zogan.tracking.files", interrupt)
        with pytest.raises(KeyboardInterrupt):
            log_to_mlflow(run, uri, experiment="broken off")
    assert not log_to_mlflow(run, uri, experiment="broken off").known


def test_a_server_that_does_not_answer_is_named(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    said = failure(["mlflow", str(run), "http://127.0.0.1:9"], capsys)
    assert said.startswith("http://127.0.0.1:9: MLflow says")
    assert "Check the address" in said
