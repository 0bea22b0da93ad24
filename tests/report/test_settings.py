"""What the report says of the settings in force, in both languages."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from sample_run import write_run
from zogan.report.html import render
from zogan.report.record import read
from zogan.report.words import Language, Words


@pytest.mark.parametrize("language", ["en", "ja"])
def test_what_was_set_is_told(tmp_path: Path, language: Language) -> None:
    run = write_run(tmp_path / "run")
    path = run / "zogan.yaml"
    tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    tree["train"] |= {"rate": 0.0123, "head_rate": 0.0045, "batch_size": 17, "epochs": 9}
    tree["select"] = {"criterion": "fisher", "allocation": "tensor"}
    path.write_text(yaml.safe_dump(tree), encoding="utf-8")
    page, words = render(read(run), language), Words(language, unbroken=True)
    for sentence in (
        words("settings.chosen", share=words.percent(0.005, 2)),
        "fisher, tensor",
        words("settings.loop", batch=17, epochs=9, rate="0.0123"),
        words("settings.head", rate="0.0045"),
    ):
        assert sentence in page
