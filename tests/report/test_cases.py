"""Every test row as a table that a spreadsheet opens, with nothing in it that it would run."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import zogan.report
from sample_run import Task, write_run
from zogan.data.rows import Place, TextRow, dialogue
from zogan.evaluate.predictions import About, Kept, save, system
from zogan.evaluate.protocol.sample import row_key
from zogan.report.cases import defused
from zogan.tasks.task import ClassPredictions, TextPredictions

TEXTS = ['=HYPERLINK("http://x","y")', "払い戻し pay", "@you, and you", "plain"]
LABELS = ("negative", "neutral", "positive")


def run_with_cases(folder: Path, task: Task = "classification") -> Path:
    """A run that kept what its models said of four rows."""
    asked: dict[str, Any] = {"slices": [{"name": "payments", "matches": "pay", "floor": 0.5}]}
    run = write_run(folder / "run", task, asked=asked if task == "classification" else None)
    places = [Place("test.csv", number + 2) for number in range(4)]
    about = {"base": "0" * 64, "before_is": "base", "before": None, "after": "1" * 64, "files": ("test.csv",)}
    data: dict[str, Any] = {"train": str(folder / "test.csv"), "test": str(folder / "test.csv")}
    with (folder / "test.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        if task == "classification":
            writer.writerow(["text", "label"])
            writer.writerows((text, LABELS[0]) for text in TEXTS)
            keys = [row_key(TextRow(text, LABELS[0], place)) for text, place in zip(TEXTS, places, strict=True)]
            truth, losses = np.zeros(4, np.int64), np.array([0.1, 0.2, 0.3, 0.4])
            first = ClassPredictions(LABELS, truth, np.eye(3)[[0, 0, 1, 1]], losses)
            second = ClassPredictions(LABELS, truth, np.eye(3)[[0, 1, 0, 2]], losses)
            meta = About(task={"task": task, "labels": LABELS}, max_new_tokens=None, **about)
            kept = Kept(meta, tuple(keys), tuple(places), system(first, None), system(second, "1" * 64))
        else:
            data |= {"prompt": "prompt", "response": "response"}
            writer.writerow(["prompt", "response"])
            writer.writerows((text, "-1") for text in TEXTS)
            keys = [row_key(dialogue(text, "-1", place)) for text, place in zip(TEXTS, places, strict=True)]
            tokens = np.full(4, 2, np.int64)
            said = ("+1", "an answer")
            one = TextPredictions(np.array([2.0, 2.0, 2.0, 2.0]), tokens, said, ("-1", "-1"))
            two = TextPredictions(np.array([1.0, 3.0, 2.0, 1.0]), tokens, said, ("-1", "-1"))
            meta = About(task={"task": task}, max_new_tokens=8, **about)
            kept = Kept(meta, tuple(keys), tuple(places), system(one, None), system(two, "1" * 64))
    save(kept, run / "predictions.safetensors")
    tree = yaml.safe_load((run / "zogan.yaml").read_text())
    (run / "zogan.yaml").write_text(yaml.safe_dump(tree | {"data": data}))
    return run


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


def test_each_row_has_its_outcome_and_its_text(tmp_path: Path) -> None:
    run = run_with_cases(tmp_path)
    assert zogan.report.write(run, only="cases") == [run / "cases.csv", run / "cases.ja.csv"]
    assert (run / "cases.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    rows = table(run / "cases.csv")
    assert [row["result"] for row in rows] == ["passed", "failed", "passed", "failed"]
    assert [row["change"] for row in rows] == ["right as before", "got worse", "got better", "wrong as before"]
    assert [row["text"] for row in rows] == [f"'{TEXTS[0]}", TEXTS[1], f"'{TEXTS[2]}", TEXTS[3]]
    assert [row["slices"] for row in rows] == ["", "payments", "", ""]
    assert [row["place"] for row in rows] == [f"test.csv:{line}" for line in range(2, 6)]
    assert [row["結果"] for row in table(run / "cases.ja.csv")] == ["合格", "不合格", "合格", "不合格"]


def test_answers_are_held_by_their_loss(tmp_path: Path) -> None:
    run = run_with_cases(tmp_path, "generation")
    zogan.report.write(run, only="cases")
    rows = table(run / "cases.csv")
    assert [row["change"] for row in rows] == ["got better", "got worse", "unchanged", "got better"]
    assert [row["result"] for row in rows] == ["passed", "failed", "passed", "passed"]
    assert [row["after"] for row in rows] == ["'+1", "an answer", "", ""]
    assert rows[0]["loss after"] == "0.5000"
    assert rows[0]["should be"] == "'-1"


def test_rows_whose_file_is_gone_keep_their_place(tmp_path: Path) -> None:
    run = run_with_cases(tmp_path)
    (tmp_path / "test.csv").unlink()
    zogan.report.write(run, only="cases")
    rows = table(run / "cases.csv")
    assert [row["text"] for row in rows] == [""] * 4
    assert rows[3]["place"] == "test.csv:5"


def test_the_page_leads_to_them_where_they_are(tmp_path: Path) -> None:
    run = run_with_cases(tmp_path)
    zogan.report.write(run, only="html")
    assert 'href="cases.csv" download' in (run / "report.html").read_text(encoding="utf-8")
    assert 'href="cases.ja.csv" download' in (run / "report.ja.html").read_text(encoding="utf-8")
    (run / "predictions.safetensors").unlink()
    zogan.report.write(run, only="html")
    assert "cases" not in (run / "report.html").read_text(encoding="utf-8")
    assert zogan.report.write(run, only="cases") == []


@given(st.text(max_size=8))
def test_no_cell_begins_as_a_formula(text: str) -> None:
    shown = defused(text)
    assert not str(shown).lstrip().startswith(("=", "+", "-", "@", "＝", "＋", "－", "＠"))
    assert shown in (text, f"'{text}")


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "\t=1", "＝1"])
def test_formulas_are_defused(cell: str) -> None:
    assert defused(cell) == f"'{cell}"
