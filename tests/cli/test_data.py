"""What the check of the data prints, with a base at hand and without."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands import failure, printed_json, printed_text
from data import LABELS, text_rows, write_jsonl, write_rows
from zogan.cli.app import run
from zogan.data.rows import Place, TextRow


def test_rows_without_fault(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tree = printed_json(["data", "check"], capsys)
    assert tree["fatal"] is False
    assert tree["rows"] == tree["used"] == {"train": 48, "validation": 12, "test": 24}
    assert tree["skipped"] == []
    out = printed_text(["data", "check"], capsys)
    assert "nothing amiss" in out
    assert "rows in the file" in out


def test_splits_that_are_cut_are_said(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = printed_text(["data", "check", "--set", "data={train: train.jsonl}"], capsys)
    assert out.count("cut from train") == 2


def test_many_labels_are_cut_short_for_people_alone(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"text": f"{label} {n}", "label": f"label {label}"} for label in range(40) for n in range(9)]
    write_jsonl(tuned / "train.jsonl", rows)
    arguments = ["data", "check", "--set", "data={train: train.jsonl}"]
    assert "… and 10 labels more: --json has them all" in printed_text(arguments, capsys)
    assert len(printed_json(arguments, capsys)["balance"]) == 40


def test_long_rows_are_seen_by_the_bases_own_tokens(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"text": f"{'word ' * 99}{n}", "label": LABELS[n % 3]} for n in range(60)]
    write_jsonl(tuned / "train.jsonl", rows)
    out = printed_text(["data", "check", "--quiet"], capsys)
    assert "rows longer than the 64 tokens that the model reads" in out
    assert "train.jsonl:1" in out


def test_a_dialogue_is_measured_as_the_model_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tiny_project import write_project

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = write_project(tmp_path, "generation")
    tree = printed_json(["data", "check", str(path), "--set", "train.max_length=12"], capsys)
    assert [found["name"] for found in tree["findings"]] == ["long"]


def test_a_file_that_cannot_be_read_leaves_with_two(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tuned / "train.jsonl").write_bytes(b"\xff\xfe{")
    tree = printed_json(["data", "check", "--quiet"], capsys, 2)
    assert tree["fatal"] is True
    (tuned / "train.jsonl").unlink()
    assert run(["data", "check", "--quiet"]) == 2
    assert "a run would refuse this data" in capsys.readouterr().out


def test_a_bad_configuration_is_one_line(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tuned / "zogan.yaml").write_text("model: [\n", encoding="utf-8")
    assert failure(["data", "check"], capsys).startswith("zogan.yaml: not readable as YAML: ")


def test_labels_in_doubt_are_listed_where_asked_for(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = text_rows(60, start=99)
    right = rows[12].label
    rows[12] = TextRow(rows[12].text, "good", Place("train.jsonl", 13))
    write_rows(tuned / "train.jsonl", [*rows, TextRow("what is this", "rare", Place("train.jsonl", 61))])
    assert "labels" not in printed_json(["data", "check"], capsys)
    found = printed_json(["data", "check", "--labels"], capsys)["labels"]
    assert found["judged"] == 60
    assert found["unjudged"] == {"rare": 1}
    (told,) = [one for one in found["doubts"] if one["line"] == 13]
    assert (told["file"], told["label"], told["suggested"]) == ("train.jsonl", "good", right)
    out = printed_text(["data", "check", "--labels", "--quiet"], capsys)
    assert "train.jsonl:13" in out
    assert f"{len(found['doubts'])} of 60 training rows" in out
    assert "not looked at: the 1 rows of 'rare'" in out


def test_no_label_is_looked_at_where_a_run_would_stop(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tuned / "train.jsonl").write_text('{"text": "late", "label": "bad"}\n', encoding="utf-8")
    tree = printed_json(["data", "check", "--labels", "--quiet"], capsys, 2)
    assert "labels" not in tree


def test_labels_are_of_classification(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tiny_project import write_project

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = write_project(tmp_path, "generation")
    assert failure(["data", "check", str(path), "--labels"], capsys).startswith("--labels: is for classification")


def test_rows_that_are_validated_by_folds_are_said(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["data", "check", "--set", "data={train: train.jsonl}", "--set", "train.folds=3"]
    assert "train, in folds" in printed_text(arguments, capsys)
    assert printed_json(arguments, capsys)["used"]["validation"] == 0
