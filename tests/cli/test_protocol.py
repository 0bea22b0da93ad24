"""Plan, freeze and show, on a project with a finished run and on one without."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from commands import failure, printed_json, printed_text
from sample_run import write_run
from tiny_project import write_project

PROTOCOL: dict[str, Any] = {
    "claim": "non_inferiority",
    "margin": 0.1,
    "slices": [{"name": "praise", "column": "label", "value": "good", "floor": 0.2}],
    "limits": {"latency_ms": 50, "patch_bytes": "1MB"},
    "rollback": [{"watch": "error_rate", "above": 0.1, "tell": ["ops"]}],
}


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project that nothing was run in, which is the working directory."""
    write_project(tmp_path, "new head", protocol=PROTOCOL)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_plan_says_what_is_needed_and_what_can_be_shown(fresh: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tree = printed_json(["protocol", "plan"], capsys)
    assert (tree["rows"], tree["power"], tree["clauses"], tree["difference"]) == (24, 0.8, 2, 0.0)
    assert tree["needed"] > 24
    assert tree["smallest"] > 0.1
    out = printed_text(["protocol", "plan"], capsys)
    assert "to show: not worse by 10.0 points in Accuracy, at an error level of 2.5 % (5 % over 2 clauses)" in out
    assert f"needed:  {tree['needed']} test rows, where the true difference is 0.0 points" in out
    assert "assumed: the two models disagree on 20.0 % of the rows: give --discordant" in out
    assert "praise" in out


def test_a_plan_needs_no_model(fresh: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tree = printed_json(["protocol", "plan", "--set", "model=nowhere", "--set", "protocol.slices=[]"], capsys)
    assert tree["clauses"] == 1


def test_a_plan_by_what_an_earlier_run_found(fresh: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(fresh / "earlier")
    arguments = ["protocol", "plan", "--from", "earlier", "--set", "protocol.metric=macro_f1"]
    tree = printed_json(arguments, capsys)
    assert tree["spread"]["source"] == "measured"
    assert 0 < tree["spread"]["value"] < 2
    assert "measured: a row's difference has a standard deviation of" in printed_text(arguments, capsys)
    assert "measured: the two models disagree on" in printed_text(arguments[:4], capsys)


def test_a_run_whose_models_do_not_differ_says_nothing(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evaluation = json.loads(Path("run/evaluation.json").read_text())
    evaluation["difference"]["accuracy"] |= {"value": 0, "low": 0, "high": 0}
    evaluation["evidence"]["matched"] |= {"gained": 0, "lost": 0}
    Path("run/evaluation.json").write_text(json.dumps(evaluation))
    assert "--from: its two models do not differ in accuracy" in failure(["protocol", "plan", "--from", "run"], capsys)


def test_a_plan_is_drawn(fresh: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert printed_json(["protocol", "plan", "--plot", "plan.svg"], capsys)["plot"] == "plan.svg"
    assert "<svg" in Path("plan.svg").read_text()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--plot", "plan.doc"], "plan.doc: .doc is no kind of picture. One of .svg, .png, .pdf"),
        (["--discordant", "0.1", "--from", "x"], "zogan protocol plan: --discordant and --from say the same. Give one"),
        (["--discordant", "2"], "--discordant: 2 is no share above 0 and at most 1"),
        (["--deviation", "2"], "--deviation: is not how accuracy differs from row to row. Give --discordant"),
        (["--set", "protocol.metric=macro_f1", "--deviation", "-1"], "--deviation: -1 is not above 0"),
        (["--set", "protocol.metric=macro_f1", "--discordant", "0.1"], "--discordant: is not how macro_f1 differs"),
        (["--power", "2"], "--power: 2 is no chance between 0 and 1"),
        (["--from", "none"], "none/evaluation.json: cannot be read"),
    ],
)
def test_what_a_plan_refuses(fresh: Path, capsys: pytest.CaptureFixture[str], options: list[str], said: str) -> None:
    assert said in failure(["protocol", "plan", *options], capsys)


def test_deviations_where_nothing_is_known(fresh: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = printed_text(["protocol", "plan", "--set", "protocol={metric: macro_f1}"], capsys)
    assert "deviations" in out
    assert "not known yet: give --deviation, or --from RUN" in out


def test_freeze_once_and_show(fresh: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert printed_text(["protocol", "show"], capsys).endswith("\nfrozen:            not yet: zogan protocol freeze\n")
    tree = printed_json(["protocol", "freeze"], capsys)
    assert (tree["outcome"], tree["exploratory"], tree["old"]) == ("frozen", [], None)
    lock = json.loads((fresh / "protocol.lock.json").read_text())
    assert lock["frozen_at"] == tree["frozen_at"]
    assert lock["frozen_at"].endswith("+00:00")
    assert lock["test"]["sha256"] == tree["test"]["sha256"]
    assert printed_text(["protocol", "freeze"], capsys).startswith("frozen already, at ")
    out = printed_text(["protocol", "show"], capsys)
    said = dict(line.split(":", 1) for line in out.splitlines())
    assert {key: value.strip() for key, value in said.items() if key not in ("base", "sha256")} == {
        "claim": "Accuracy not worse than a head alone by 10.0 points",
        "error level": "5 %, two-sided, over 2 clauses by Holm's correction",
        "test rows": "24",
        "seeds": "0",
        "slice praise": "8 rows (label = good): at least 20.0 %",
        "limit latency_ms": "at most 50",
        "limit patch_bytes": "at most 1.0 MB",
        "rollback": "error_rate above 0.1 over 60 min; tell ops",
        "frozen": f"{tree['frozen_at']} ({fresh / 'protocol.lock.json'})",
        "looks": "0 at these test rows",
    }
    shown = printed_json(["protocol", "show"], capsys)
    assert shown["sha256"] == shown["frozen_sha256"] == tree["sha256"]
    assert shown["changes"] == {
        "keys": [],
        "test": {"added": 0, "removed": 0, "reordered": False},
        "slices": [],
    }


def test_what_changed_is_said_and_refused_but_for_anew(fresh: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed_json(["protocol", "freeze"], capsys)
    other = ["--set", "protocol.margin=0.2"]
    assert "changed since:" in printed_text(["protocol", "show", *other], capsys)
    assert printed_json(["protocol", "show", *other], capsys)["changes"]["keys"] == [
        {"key": "margin", "then": 0.1, "now": 0.2}
    ]
    assert "margin was 0.1, is 0.2. Give --anew" in failure(["protocol", "freeze", *other], capsys)
    out = printed_text(["protocol", "freeze", "--anew", *other], capsys)
    (old,) = fresh.glob("protocol.lock.*.json")
    assert out.startswith(f"frozen anew; the old one is kept as {old}")


def test_a_run_may_have_its_own(fresh: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert printed_json(["protocol", "freeze", "--run"], capsys)["lock"] == str(fresh / "run/protocol.lock.json")


def test_a_freeze_behind_the_patch_is_exploratory(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = printed_text(["protocol", "freeze"], capsys)
    assert "exploratory, not confirmed: the run had a patch when it was frozen (run/patch.safetensors)" in out
    assert "exploratory:" in printed_text(["protocol", "show"], capsys)


def test_each_look_is_counted_once_a_protocol_is_frozen(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    anew = ["evaluate", "--set", "evaluate.resamples=101"]
    printed_json(anew, capsys)
    assert not (tuned / "looks.jsonl").exists()
    printed_json(["protocol", "freeze"], capsys)
    printed_json(anew, capsys)  # stands already: no look
    assert not (tuned / "looks.jsonl").exists()
    printed_json(["evaluate"], capsys)
    printed_json(["pilot", "--set", "evaluate.resamples=101"], capsys)
    commands = [json.loads(line)["command"] for line in (tuned / "looks.jsonl").read_text().splitlines()]
    assert commands == ["evaluate", "pilot"]
    assert printed_json(["protocol", "show"], capsys)["looks"] == 2


def test_a_protocol_in_a_file_of_its_own(fresh: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inline = printed_json(["protocol", "show"], capsys)["sha256"]
    (fresh / "good.yaml").write_text(yaml.safe_dump(PROTOCOL))
    assert printed_json(["protocol", "show", "--set", "protocol=good.yaml"], capsys)["sha256"] == inline
