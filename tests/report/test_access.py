"""The pages are open to everyone: no serious fault in light, in dark, on a telephone, and on paper."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import zogan.report
from sample_run import write_run

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")

SCREENS: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
    "narrow": {"viewport": {"width": 360, "height": 740}, "color_scheme": "light", "is_mobile": True},
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield made
        made.close()


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("runs")
    found = {"classification": write_run(folder / "c"), "generation": write_run(folder / "g", "generation")}
    for run in found.values():
        zogan.report.write(run, only="html")
        zogan.report.write(run, only="evidence")
    return found


@pytest.mark.parametrize("screen", SCREENS)
def test_no_serious_fault(runs: dict[str, Path], browser: Any, screen: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    pages = (("classification", "report.html"), ("generation", "report.ja.html"), ("classification", "evidence.html"))
    context = browser.new_context(**SCREENS[screen])
    page = context.new_page()
    for task, name in pages:
        page.goto((runs[task] / name).as_uri())
        page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        grave = [
            (one["id"], [node["target"] for node in one["nodes"]])
            for one in axe.run(page).response["violations"]
            if one["impact"] in ("serious", "critical")
        ]
        assert grave == [], name
        # Nothing but what scrolls by itself is wider than the screen.
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), name
    context.close()


def test_the_dark_page_is_dark_with_its_charts(runs: dict[str, Path], browser: Any) -> None:
    seen = {}
    for screen in ("light", "dark"):
        page = browser.new_page(**SCREENS[screen])
        page.goto((runs["classification"] / "report.html").as_uri())
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        text = page.evaluate("getComputedStyle(document.querySelector('svg.chart text')).fill")
        seen[screen] = (paper, text)
        page.close()
    assert seen["light"][0] == "rgb(255, 255, 255)"
    assert all(light != dark for light, dark in zip(*seen.values(), strict=True))


def test_paper_has_all_of_it(runs: dict[str, Path], browser: Any) -> None:
    page = browser.new_page(**SCREENS["dark"])
    page.goto((runs["classification"] / "report.html").as_uri())
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.querySelector('nav')).display") == "none"
    assert page.pdf(format="A4").startswith(b"%PDF")
    page.close()
