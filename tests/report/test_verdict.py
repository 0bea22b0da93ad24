"""The figures become one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from sample_run import Outcome, Task, write_run
from zogan.report.record import read
from zogan.report.verdict import answer, compare
from zogan.report.words import Language, Words


@pytest.mark.parametrize(
    ("task", "outcome", "language", "sentence"),
    [
        (
            "classification",
            "better",
            "en",
            "Yes, it is better: Accuracy rose from 73.4 % to 78.3 % (+4.9 points; 95 % interval +3.0 to +6.8 points).",
        ),
        (
            "classification",
            "unproven",
            "en",
            "No difference is proven: Accuracy rose from 73.4 % to 74.4 % (+1.0 points), but on 720 test rows "
            "the 95 % interval, −0.9 to +2.9 points, does not exclude zero.",
        ),
        (
            "generation",
            "better",
            "en",
            "Yes, it is better: Loss on answers fell from 2.346 to 1.263 (−1.083, or −46 %; "
            "95 % interval −1.516 to −0.650).",
        ),
        (
            "generation",
            "worse",
            "ja",
            "悪化しました。回答の損失は2.346から3.429に上がりました"
            "（差は+1.083、率にして+46%、95%信頼区間 +0.650～+1.516）。",
        ),
    ],
)
def test_the_answer_is_one_sentence(
    tmp_path: Path, task: Task, outcome: Outcome, language: Language, sentence: str
) -> None:
    record = read(write_run(tmp_path / "run", task, outcome))
    assert answer(record, compare(record)[0], Words(language)) == sentence


def test_lower_is_better_where_it_is(tmp_path: Path) -> None:
    record = read(write_run(tmp_path / "run", "generation", "better"))
    outcomes = {item.metric.name: item.outcome for item in compare(record)}
    assert outcomes == dict.fromkeys(["loss", "perplexity", "chrf", "rouge_l", "exact_match"], "better")
