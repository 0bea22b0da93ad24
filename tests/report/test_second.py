"""What the report says of the second stage, in both languages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sample_run import write_run
from zogan.report.html import render
from zogan.report.record import read
from zogan.report.second import second_stage
from zogan.report.words import Language, Words


def line(two_stage: str = "auto", kept: bool = True, figure: str = "errors", **keys: Any) -> dict[str, Any]:
    """What the second stage writes into metrics.jsonl."""
    figures = {"before": 0.123, "after": 0.101, "gain": 0.022, "standard_error": 0.008} | keys
    return {
        "kind": "adapters",
        "two_stage": two_stage,
        "kept": kept,
        "reason": "…",
        "layers": ["body.encoder.layer.3", "body.encoder.layer.5"],
        "left_over": {"body.encoder.layer.3": 0.3, "body.encoder.layer.4": 0.2, "body.encoder.layer.5": 0.5},
        "validation": {"figure": figure, **figures},
        "epochs": [],
        "trainable": 100,
    }


def test_the_figures_the_layers_and_the_decision() -> None:
    text = second_stage(line(), Words("en"))
    assert "beside the layers 4, 6, where 80 % of the gradient" in text
    assert "share of errors went from 12.3 % to 10.1 % (−2.2 points; standard error 0.8)" in text
    assert text.endswith("better by more than its standard error, so the patch holds the adapters.")
    loss = second_stage(line(figure="loss", kept=False, before=1.5, after=1.525, gain=-0.025), Words("en"))
    assert "the loss went from 1.5000 to 1.5250 (+0.0250; standard error 0.0080)" in loss
    assert loss.endswith("so the patch is the first stage's, without adapters.")
    assert "whatever the figures say" in second_stage(line("always"), Words("en"))
    assert "standard error –" in second_stage(line(standard_error=None, kept=False), Words("en"))


def test_where_nothing_was_left_over() -> None:
    nothing = line(kept=False) | {"layers": [], "left_over": {}, "validation": None}
    assert second_stage(nothing, Words("en")).startswith("There was no second stage")


def test_a_model_without_a_stack_goes_by_its_name() -> None:
    whole = line() | {"layers": ["LlamaForCausalLM"], "left_over": {"LlamaForCausalLM": 1.0}}
    assert "the layers LlamaForCausalLM, where 100 %" in second_stage(whole, Words("en"))


@pytest.mark.parametrize("language", ["en", "ja"])
def test_it_stands_on_the_page_where_there_was_one(tmp_path: Path, language: Language) -> None:
    run = write_run(tmp_path / "run")
    assert read(run).second is None
    plain = render(read(run), language)
    with (run / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line()) + "\n")
    record = read(run)
    assert record.second == line()
    page, words = render(record, language), Words(language, unbroken=True)
    told = second_stage(line(), words)
    assert told not in plain
    assert told in page.replace("&#39;", "'")
    assert len(record.epochs) == 7
