"""A verdict becomes sentences, in both languages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sample_run import Outcome, Task, write_run
from zogan.evaluate.verdict.verdict import Reason, Standing, Verdict
from zogan.report.spoken import Speaker, spoken
from zogan.report.words import Language, Words


def judged(folder: Path, *arguments: Any, **options: Any) -> Verdict:
    return Verdict.load(write_run(folder / "run", *arguments, **options) / "verdict.json")


@pytest.mark.parametrize(
    ("task", "outcome", "language", "sentence"),
    [
        (
            "classification",
            "better",
            "en",
            "Accepted: Accuracy rose from 73.4 % to 78.3 % (+4.9 points; 95 % interval +3.1 to +6.9 points): better "
            "than a new output layer alone.",
        ),
        (
            "generation",
            "better",
            "en",
            "Accepted: Loss on answers fell from 2.346 to 1.263 (−1.083, or −46 %; 95 % interval −1.516 to −0.650): "
            "better than the base.",
        ),
        (
            "generation",
            "worse",
            "ja",
            "不合格：回答の損失は2.346から3.429に上がりました（差は+1.083、率にして+46%、95%信頼区間 +0.650～+1.516）。"
            "元のモデルより劣ります。",
        ),
    ],
)
def test_the_verdict_is_one_sentence(
    tmp_path: Path, task: Task, outcome: Outcome, language: Language, sentence: str
) -> None:
    found = judged(tmp_path, task, outcome)
    assert Speaker(found, Words(language)).lead == sentence
    assert found.sentences[language].verdict == sentence


def test_what_is_open_says_how_many_rows_would_tell(tmp_path: Path) -> None:
    found = judged(tmp_path, "classification", "unproven")
    (clause,) = found.clauses
    assert clause.more_rows is not None
    assert found.sentences["en"].verdict.startswith("Undecided: Accuracy rose from 73.4 % to 74.4 % (+1.0 points")
    assert f"About {clause.more_rows:,} more test rows like these would decide it" in found.sentences["en"].verdict
    assert f"あと約{clause.more_rows:,}件" in found.sentences["ja"].clauses[0]


ASKED = {
    "claim": "non_inferiority",
    "margin": 0.02,
    "slices": [
        {"name": "payments", "matches": "pay", "floor": 0.5},
        {"name": "refunds", "matches": "refund", "floor": 0.79},
    ],
    "limits": {"latency_ms": 20, "peak_bytes": "1GB", "density": 0.001},
}


def test_each_clause_is_said(tmp_path: Path) -> None:
    found = judged(tmp_path, asked=ASKED)
    said = dict(zip([f"{one.kind} {one.name}" for one in found.clauses], found.sentences["en"].clauses, strict=True))
    assert said["claim accuracy"].endswith("less than 2.0 points worse than a new output layer alone, if worse at all.")
    assert "On the 100 rows of payments, Accuracy is 90.0 %" in said["slice payments"]
    assert said["slice payments"].endswith("50.0 % or better is shown.")
    assert "79.0 % or better is neither shown nor ruled out. About" in said["slice refunds"]
    assert said["limit latency_ms"] == "Time to predict a row: 12.5 ms, within the 20.0 ms allowed."
    assert said["limit peak_bytes"].startswith(
        "Peak of memory: not measured, and 1.0 GB are allowed. No number of rows"
    )
    assert said["limit density"] == "Weights changed: 0.2 %, more than the 0.1 % allowed."
    assert found.sentences["en"].verdict == f"Rejected: {said['limit density']}"


@pytest.mark.parametrize(("against", "words"), [("full", "full fine-tuning"), ("production", "the patch in use")])
def test_another_tuning_stands_beside_and_not_before(tmp_path: Path, against: str, words: str) -> None:
    keys = {"against": against} | ({"patch": "in-use.safetensors"} if against == "production" else {})
    sentence = judged(tmp_path, asked=keys).sentences["en"].verdict
    assert f"Accuracy is 78.3 % where {words} has 73.4 %" in sentence


@pytest.mark.parametrize("language", ["en", "ja"])
def test_each_reason_and_each_why_has_its_words(tmp_path: Path, language: Language) -> None:
    reasons = (
        Reason(kind="never_frozen"),
        Reason(kind="frozen_late", values={"detail": "the run had a patch"}),
        Reason(kind="after_patch", values={"file": "run/patch.safetensors"}),
        Reason(kind="after_evaluation", values={"file": "run/evaluation.json"}),
        Reason(kind="after_looks", values={"looks": 4}),
        Reason(kind="uncounted"),
        Reason(kind="key", values={"option": "margin", "then": "0.1", "now": "0.2"}),
        Reason(kind="rows", values={"added": 1200, "removed": 0}),
        Reason(kind="order"),
        Reason(kind="slice", values={"name": "payments"}),
    )
    standing = Standing(exploratory=reasons, frozen_at="2026-01-02T03:04:05+00:00", looks=3)
    found = judged(tmp_path, standing=standing)
    lines = found.sentences[language].standing
    assert len(lines) == len(reasons) + 1
    assert "1,200" in lines[7]
    assert "3" in lines[-1]
    for why in ("not_measured", "no_figure", "no_chance", "on_threshold", "seeds", "out_of_reach"):
        (clause,) = found.clauses
        undecided = clause.model_copy(update={"outcome": "undecided", "why": why})
        assert Words(language)(f"why.{why}") in Speaker(found, Words(language)).clause(undecided)


def test_what_was_frozen_in_time_confirms(tmp_path: Path) -> None:
    standing = Standing(exploratory=(), frozen_at="2026-01-02T03:04:05+00:00", looks=1)
    found = spoken(judged(tmp_path, standing=standing))
    assert not found.exploratory
    assert found.sentences["en"].standing[0].startswith("The protocol was frozen at 2026-01-02 03:04 UTC, before")
