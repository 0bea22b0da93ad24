"""Card, runbook and evidence say what the run's files say; the page stays small where rows and labels are many."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard
from huggingface_hub.repocard_data import eval_results_to_model_index
from pptx import Presentation

import zogan.report
from sample_run import Task, class_example, write_run
from zogan.errors import IntegrityError
from zogan.evaluate.verdict.verdict import Standing
from zogan.report.html import page, render
from zogan.report.markdown import card, runbook
from zogan.report.pieces import PIECES, Answer, answers
from zogan.report.record import Record, read
from zogan.report.registered import Registered, WaivedClause
from zogan.report.required import FRAMEWORKS
from zogan.report.slides import deck
from zogan.report.words import CATALOGUES, Language

ASKED: dict[str, Any] = {
    "slices": [{"name": "payments", "matches": "pay", "floor": 0.5}],
    "limits": {"latency_ms": 20},
    "rollback": [{"watch": "error|rate", "above": 0.02, "window_minutes": 30, "tell": ["ops@example.com"]}],
}
LEVELS = re.compile(r"^(#+) ", re.MULTILINE)


def card_of(run: Path, *, front: str | None = None) -> Any:
    """The data of a run's model card; `front` is the front matter of its base's own."""
    base = run.parent / "base"
    base.mkdir(exist_ok=True)
    if front is not None:
        (base / "README.md").write_text(f"---\n{front}\n---\n\n# Base\n", encoding="utf-8")
    tree = yaml.safe_load(written(run, "zogan.yaml"))
    (run / "zogan.yaml").write_text(yaml.safe_dump(tree | {"model": str(base)}), encoding="utf-8")
    zogan.report.write(run, only="card")
    return ModelCard(written(run, "model-card.md")).data


WAIVER = WaivedClause("limit:latency_ms", "2026-05-02T00:00:00+00:00", "new machines", "Olga")


def with_registry(folder: Path, registered: Registered | None) -> Record:
    """A run that is rejected for its time alone, beside a registry."""
    record = read(write_run(folder / "run", asked={"limits": {"latency_ms": 2}}))
    given = record.config.registry.model_copy(update={"url": "registry.db"})
    return replace(record, config=record.config.model_copy(update={"registry": given}), registered=registered)


def written(run: Path, name: str) -> str:
    return (run / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("task", ["classification", "generation"])
def test_the_card_is_one_that_the_hub_reads(tmp_path: Path, task: Task) -> None:
    run = write_run(tmp_path / "run", task)
    data = card_of(run)
    assert (data.license, data.license_name, data.language) == ("other", "as-the-base", "und")
    assert data.pipeline_tag == {"classification": "text-classification", "generation": "text-generation"}[task]
    results = {one.metric_name: one.metric_value for one in data.eval_results}
    after = read(run).evaluation.after
    assert after is not None
    assert results == {name: figure.value for name, figure in after.items()}
    assert eval_results_to_model_index(data.model_name, data.eval_results)[0]["results"]
    assert LEVELS.findall(written(run, "model-card.md")) == LEVELS.findall(written(run, "model-card.ja.md"))


def test_the_card_passes_on_what_the_base_says(tmp_path: Path) -> None:
    data = card_of(write_run(tmp_path / "run"), front="license: apache-2.0\nlanguage: [en, de]")
    assert (data.license, data.license_name, data.language) == ("apache-2.0", None, ["en", "de"])
    assert data.base_model == "base"


@pytest.mark.parametrize(("front", "languages"), [(None, "ja"), ("language: en", ["en", "ja"]), ("- no mapping", "ja")])
def test_kana_in_the_examples_are_japanese(tmp_path: Path, front: str | None, languages: str | list[str]) -> None:
    examples = {"better": [class_example("返品したいです", "positive", "negative")], "worse": []}
    assert card_of(write_run(tmp_path / "run", examples=examples), front=front).language == languages


def test_the_runbook_has_this_runs_paths_limits_and_commands(tmp_path: Path) -> None:
    run = write_run(tmp_path / "the run", asked=ASKED)
    zogan.report.write(run, only="runbook")
    for name in ("runbook.md", "runbook.ja.md"):
        text = written(run, name)
        assert f"cd '{run}'" in text
        assert "zogan patch revert patch.safetensors tuned -o restored" in text
        assert "error\\|rate" in text
        assert "ops@example.com" in text
        assert read(run).verdict.patch in text
    assert "above 0.02 | 30 minutes" in written(run, "runbook.md")
    assert LEVELS.findall(written(run, "runbook.md")) == LEVELS.findall(written(run, "runbook.ja.md"))


def test_a_rejected_patch_is_not_to_be_released(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", outcome="worse")
    zogan.report.write(run, only="runbook")
    assert "do not release this patch" in written(run, "runbook.md")
    assert "The protocol does not say when to take the patch back" in written(run, "runbook.md")


def test_text_of_the_user_is_no_markup(tmp_path: Path) -> None:
    slices = [{"name": "<b>x</b>|[a](http://b)\n# c", "matches": ".", "floor": 0.5}]
    run = write_run(tmp_path / "run", asked={"slices": slices})
    zogan.report.write(run, only="card")
    text = written(run, "model-card.md")
    assert "<b>" not in text
    assert "\\[a\\](http" in text
    assert "\n# c" not in text


@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_runbook_goes_by_the_registry_where_there_is_one(tmp_path: Path, language: Language) -> None:
    record = with_registry(tmp_path, Registered())
    runbook(record, language, tmp_path / "runbook.md")
    text = written(tmp_path, "runbook.md")
    short = record.patch[:12]
    assert f"zogan registry approve {short} --report report.html" in text
    assert f"zogan registry promote {short} classification/production" in text
    assert "zogan registry rollback classification/production --reason" in text
    assert "zogan registry add" not in text
    assert re.findall(r"^([0-9])\. ", text, re.MULTILINE) == list("1234512345")
    runbook(replace(record, registered=None), language, tmp_path / "runbook.md")
    assert "zogan registry add ." in written(tmp_path, "runbook.md")
    runbook(read(record.folder), language, tmp_path / "runbook.md")
    assert "zogan registry" not in written(tmp_path, "runbook.md")


def test_waivers_are_told_wherever_the_verdict_is(tmp_path: Path) -> None:
    record = with_registry(tmp_path, Registered(("Ravi",), (WAIVER,)))
    for write, name in ((page, "report.html"), (deck, "report.pptx"), (runbook, "runbook.md"), (card, "card.md")):
        write(record, "en", tmp_path / name)
    told = [
        written(tmp_path, name).replace("\N{NO-BREAK SPACE}", " ") for name in ("runbook.md", "card.md", "report.html")
    ]
    told[-1] = re.sub(r"<[^>]+>", "", told[-1])
    slides = Presentation(str(tmp_path / "report.pptx")).slides
    frames = (shape.text_frame for shape in slides[1].shapes if shape.has_text_frame)
    told.append("\n".join(frame.text for frame in frames))
    for text in told:
        assert "Time to predict a row. Olga answers for it: new machines" in text
    assert "every clause that is not met is set aside" in told[0]
    assert "do not release" not in told[0]
    other = replace(WAIVER, clause="limit:density")
    runbook(with_registry(tmp_path / "b", Registered((), (other,))), "en", tmp_path / "runbook.md")
    assert "do not release" in written(tmp_path, "runbook.md")


def test_evidence_names_who_decided(tmp_path: Path) -> None:
    def found(registered: Registered | None) -> dict[str, Answer]:
        record = with_registry(tmp_path / "run", registered)
        return {one.requirement.clause: one for one in answers(record)["guidelines"]}

    assert {"registered", "approval", "waivers"} <= set(found(None)["accountability"].lacking)
    assert {"approval", "waivers"} <= set(found(Registered())["accountability"].lacking)
    whole = found(Registered(("Ravi",), (WAIVER,)))
    assert {"registered", "approval", "waivers"} <= set(whole["accountability"].found)
    assert "approval" in whole["human"].found


def test_evidence_is_what_the_run_holds(tmp_path: Path) -> None:
    bare = {one.requirement.clause: one for one in answers(read(write_run(tmp_path / "a")))["guidelines"]}
    assert "slices" in bare["fairness"].lacking
    assert bare["privacy"].status == "missing"
    assert bare["competition"].status == "outside"
    frozen = Standing(exploratory=(), frozen_at="2026-01-02T03:04:05+00:00", looks=1)
    full = {
        one.requirement.clause: one
        for one in answers(read(write_run(tmp_path / "b", asked=ASKED, standing=frozen)))["guidelines"]
    }
    assert "slices" in full["fairness"].found
    assert {"frozen", "looks"} <= set(full["accountability"].found)


def test_evidence_says_what_is_not_covered(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    zogan.report.write(run, only="evidence")
    text = written(run, "evidence.md")
    missing = text[text.index("## What is not covered") :]
    assert "Privacy protection" in missing
    assert "MEASURE 1.3" in missing
    assert "Transparency" not in missing
    html = written(run, "evidence.ja.html")
    assert '<html lang="ja">' in html
    assert "<script" not in html


def test_every_requirement_and_piece_has_its_words() -> None:
    named = {piece for requirements in FRAMEWORKS.values() for one in requirements for piece in one.pieces}
    assert named == PIECES.keys()
    for words in CATALOGUES.values():
        assert {f"piece.{name}" for name in PIECES} <= words.keys()
        for framework, requirements in FRAMEWORKS.items():
            assert {f"{framework}.{one.clause}" for one in requirements} <= words.keys()


def test_only_one_kind_is_written(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", language="ja")
    before = {path.name for path in run.iterdir()}
    zogan.report.write(run, only="runbook")
    assert {path.name for path in run.iterdir()} - before == {"runbook.md", "runbook.en.md"}


def test_a_damaged_protocol_is_named(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    (run / "protocol.json").write_text('{"protocol": {"task": 3}}')
    with pytest.raises(IntegrityError, match=r"protocol\.json: is damaged"):
        read(run)


def test_ten_thousand_rows_of_150_labels_make_a_small_page(tmp_path: Path) -> None:
    run, labels = write_run(tmp_path / "run"), [f"kind of request {number}" for number in range(150)]
    tree = json.loads(written(run, "evaluation.json"))
    per_class = [{"label": one, "precision": 0.7, "recall": 0.6, "f1": 0.65, "support": 67} for one in labels]
    confusion = [[50 if i == j else (i * j) % 3 for j in range(150)] for i in range(150)]
    tree |= {"rows": 10_000, "labels": labels, "per_class": {"before": per_class, "after": per_class}}
    tree["confusion"] = {"before": confusion, "after": confusion}
    (run / "evaluation.json").write_text(json.dumps(tree))
    data = json.loads(written(run, "data.json"))
    (run / "data.json").write_text(json.dumps(data | {"labels": labels}))
    zogan.report.write(run, only="html")
    zogan.report.write(run, only="slides")
    for name in ("report.html", "report.ja.html"):
        assert (run / name).stat().st_size < 3_000_000
        assert written(run, name).count("<td") < 2_000
    assert (run / "report.pptx").stat().st_size < 3_000_000
    assert render(read(run), "en").count("kind of request 149</span>") < 10
