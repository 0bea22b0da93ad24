"""What the report says of the settings in force, in both languages."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from sample_run import write_run
from zogan.report.html import render
from zogan.report.record import read
from zogan.report.words import Language, Words


@pytest.mark.parametrize("charted", [True, False])
@pytest.mark.parametrize("language", ["en", "ja"])
def test_what_was_set_is_told(tmp_path: Path, language: Language, charted: bool) -> None:
    run = write_run(tmp_path / "run")
    if not charted:
        (run / "metrics.jsonl").unlink()
    path = run / "zogan.yaml"
    tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    tree["train"] |= {"rate": 0.0123, "head_rate": 0.0045, "batch_size": 17, "epochs": 9, "head_warmup": 2}
    tree["select"] = {"criterion": "fisher", "allocation": "tensor"}
    path.write_text(yaml.safe_dump(tree), encoding="utf-8")
    page, words = render(read(run), language), Words(language, unbroken=True)
    assert (words("training.title") in page) is charted
    for sentence in (
        f"<h2>{words('settings.title')}</h2>",
        words("settings.chosen", share=words.percent(0.005, 2)),
        "fisher, tensor",
        words("settings.loop", batch=17, epochs=9, rate="0.0123"),
        words("settings.head", rate="0.0045"),
        words("settings.head_warmup", epochs="2"),
        words("settings.why"),
    ):
        assert page.count(sentence) == 1
