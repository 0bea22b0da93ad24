"""A patch's life at the command line: refused, approved, promoted, rolled back, and proved afterwards."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import create_engine

from commands import failure, printed_json, printed_text
from judged_run import configured, judge_again, write_judged
from people import START, later
from postgresql import served
from zogan.cli.app import run
from zogan.cli.console import Console
from zogan.cli.registry.candidate import bring
from zogan.config import load_config
from zogan.report import write
from zogan.run import Run

PASSPHRASE = "correct horse battery"


@dataclass
class Desk:
    """A command line at which several people sit down in turn, and whose clock is set by hand."""

    capsys: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch
    folder: Path
    at: str = START

    def __post_init__(self) -> None:
        for name in ("begin", "identity", "policy", "patches", "decisions", "places", "history", "keeping"):
            self.monkeypatch.setattr(f"zogan.cli.registry.{name}.now", lambda: self.at)

    def sit(self, who: str) -> None:
        """The next commands are of this person."""
        self.at = later(self.at, minutes=1)
        self.monkeypatch.setenv("ZOGAN_IDENTITY", str(self.folder / f"{who}.pem"))

    def does(self, who: str, *arguments: str, code: int = 0) -> dict[str, Any]:
        """What a command of theirs prints."""
        self.sit(who)
        return printed_json(["registry", *arguments], self.capsys, code)

    def refused(self, who: str, *arguments: str, code: int = 3) -> str:
        """The one line of a command of theirs that is refused."""
        self.sit(who)
        return failure(["registry", *arguments], self.capsys, code)

    def shows(self, who: str, *arguments: str) -> str:
        """What a command of theirs prints for people."""
        self.sit(who)
        return printed_text(["registry", *arguments], self.capsys)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield str(tmp_path / "registry.db")
    else:
        with served() as found:
            yield found


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    monkeypatch.setenv("ZOGAN_PASSPHRASE", PASSPHRASE)
    return Desk(capsys, monkeypatch, tmp_path)


def begin(desk: Desk, url: str) -> None:
    """A registry of four people."""
    configured(desk.folder, url=url, blobs="blobs")
    keys = {who: desk.does(who, "identity", "new")["public"] for who in ("olga", "eva", "ravi", "otto")}
    desk.does("olga", "init", "--name", "Olga")
    for who, role in (("eva", "engineer"), ("ravi", "reviewer"), ("otto", "operator")):
        desk.does("olga", "identity", "enrol", who.title(), keys[who], "--role", role)


def test_a_patch_comes_to_production_and_goes_back(desk: Desk, url: str, elsewhere: str) -> None:
    begin(desk, url)
    first = write_judged(desk.folder / "runs" / "first", 1)
    patch = desk.does("eva", "add", str(first), "--note", "March complaints")["body"]["patch"]
    short = patch[:8]

    assert "has no verdict. Bring its run" in desk.refused("ravi", "approve", short)
    desk.does("eva", "evaluate", str(first))
    assert "Eva (engineer) may not approve" in desk.refused("eva", "approve", short)
    desk.does(
        "olga",
        "identity",
        "enrol",
        "Eva",
        desk.does("eva", "identity", "show")["public"],
        "--role",
        "engineer",
        "--role",
        "reviewer",
    )
    assert "an author does not approve his own" in desk.refused("eva", "approve", short)
    assert "the policy asks for an approval, and none counts" in desk.refused(
        "otto", "promote", short, "support/production"
    )

    # Thawed: a key of the protocol is otherwise than it was frozen.
    terms = json.loads((first / "protocol.json").read_text())
    (first / "protocol.json").write_text(json.dumps({**terms, "protocol": {**terms["protocol"], "margin": 0.005}}))
    assert "another protocol" in desk.refused("eva", "evaluate", str(first), code=4)
    judge_again(first)
    assert desk.does("eva", "evaluate", str(first))["body"]["exploratory"] == [
        "margin was 0.0 when the protocol was frozen, is 0.005"
    ]
    assert "its verdict is exploratory, and confirms nothing" in desk.refused("ravi", "approve", short)
    (first / "protocol.json").write_text(json.dumps(terms))
    judge_again(first)
    desk.does("eva", "evaluate", str(first))

    done = desk.does("ravi", "approve", short, "--report", str(first / "report.html"))
    assert (done["stage"], done["approvals"]) == ("approved", 1)
    assert done["body"]["base"] == "0" * 64
    (first / "other.html").write_text("another")
    assert "is not the report of event" in desk.refused(
        "ravi", "approve", short, "--report", str(first / "other.html"), code=4
    )

    # An approval holds for a time.
    before, desk.at = desk.at, later(desk.at, days=91)
    assert "expired after 90 days" in desk.refused("otto", "promote", short, "support/production")
    desk.at = before
    assert "Ravi (reviewer) may not promote" in desk.refused("ravi", "promote", short, "support/production")
    assert "the policy knows no place 'moon'" in desk.refused("otto", "promote", short, "support/moon")
    told = desk.shows("otto", "promote", short, "support/production")
    assert f"support/production will answer with patch {patch[:12]}\n" in told
    stood_at = desk.at

    second = write_judged(desk.folder / "runs" / "second", 2, parent=patch, layers=1)
    other = desk.does("eva", "add", str(second / "patch.safetensors"))["body"]["patch"]
    desk.does("eva", "evaluate", str(second))
    desk.does("ravi", "approve", other)
    desk.at = later(desk.at, days=1)
    change = desk.does("otto", "promote", other, "support/production")["difference"]
    assert (change["now"], change["then"], change["only_now"]) == (patch, other, 6)

    line = desk.does("otto", "head")["head"]
    (desk.folder / "head").write_text(line)
    held_back = desk.refused("otto", "rollback", "support/production", "--reason", "refunds fail", code=2)
    assert f"nothing is rolled back yet: support/production will answer with patch {patch[:12]}" in held_back
    rolled = desk.does("otto", "rollback", "support/production", "--reason", "refunds fail", "--yes")
    assert (rolled["body"]["patch"], rolled["body"]["instead"]) == (patch, other)
    assert "nothing stood at support/production before" in desk.refused(
        "otto", "rollback", "support/production", "--reason", "worse", "--yes", code=2
    )
    based = desk.shows("otto", "rollback", "support/production", "--to", "base", "--reason", "worse", "--yes")
    assert "the base alone has no head for this task" in based
    assert "stands for the bare base" in desk.refused("eva", "show", "support/production", code=2)
    assert "put a patch back with --to PATCH" in desk.refused(
        "otto", "rollback", "support/production", "--reason", "worse", "--yes", code=2
    )
    desk.does("otto", "rollback", "support/production", "--to", other, "--reason", "back again", "--yes")

    why = desk.does("eva", "why", "support/production", "--at", stood_at)
    assert (why["patch"]["digest"], why["approvals"][0]["name"]) == (patch, "Ravi")
    assert why["evidence"]["body"]["outcome"] == "accepted"
    assert "nothing stood at support/production on 2020-01-01" in desk.refused(
        "eva", "why", "support/production", "--at", "2020-01-01", code=2
    )
    assert "put there:" in desk.shows("eva", "why", "support/production")

    life = desk.does("eva", "show", short)
    assert [one["body"]["kind"] for one in life["events"]].count("evaluate") == 3
    assert life["children"] == [other]
    assert desk.does("eva", "show", "--stage", "production")["patches"][0]["digest"] == other
    assert f"{other[:12]} production @ support/production" in desk.shows("eva", "log", "--graph")
    assert [one["body"]["kind"] for one in desk.does("eva", "log", "--alias", "support/production")["events"]] == [
        "rollback",
        "rollback",
        "rollback",
        "promote",
        "promote",
    ]
    page = desk.does("eva", "log", "--limit", "2")["events"]
    assert (
        desk.does("eva", "log", "--limit", "2", "--before", str(page[-1]["number"]))["events"][0]["number"]
        == page[-1]["number"] - 1
    )
    touched = desk.does("eva", "explain", "encoder.layer.1.output.dense.weight")["patches"]
    assert [one["digest"] for one in touched] == [patch]
    assert "no patch touches" in desk.refused("eva", "explain", "encoder.layer.9.x", code=2)

    assert "stands at support/production" in desk.refused("otto", "retire", other, "--reason", "old")
    desk.does("otto", "retire", patch, "--reason", "old")
    assert "is retired since" in desk.refused(
        "otto", "rollback", "support/production", "--to", patch, "--reason", "again", "--yes"
    )
    assert desk.does("eva", "gc", "--dry-run")["removed"] == 0
    found = desk.does("eva", "verify", "--head", line, "--processes", "1")
    assert (found["whole"], found["faults"]) == (True, [])
    copied = desk.does("eva", "backup", "copy")
    again = desk.does("eva", "restore", "copy", "--url", "again.db", "--blobs", "again")
    assert again["head"] == copied["head"] == desk.does("eva", "head", "--url", "again.db", "--blobs", "again")["head"]
    assert desk.does("eva", "verify", "--url", "again.db", "--blobs", "again", "--full")["whole"]

    # Another site, with a database of its own and no network.
    sent = desk.does("eva", "export", "-o", "march.zogan", "--alias", "support/production", "--patch", short)
    assert (sent["head"], sent["left_out"]) == (copied["head"], 0)
    site = ("--url", elsewhere, "--blobs", "elsewhere")
    assert "does not lead to the head" in desk.refused(
        "eva", "import", "march.zogan", "--head", f"7:{'a' * 64}", *site, code=4
    )
    taken = desk.does("eva", "import", "march.zogan", "--head", sent["head"], *site)
    assert (taken["events"], taken["blobs"], taken["left_out"]) == (sent["events"], sent["blobs"], 0)
    assert desk.does("eva", "verify", "--head", sent["head"], "--full", "--processes", "1", *site)["faults"] == []
    assert desk.does("eva", "why", "support/production", "--at", stood_at, *site)["patch"]["digest"] == patch
    assert "nothing was added: the registry here has all" in desk.shows("eva", "import", "march.zogan", *site)
    desk.does("otto", "rollback", "support/production", "--to", "base", "--reason", "here", "--yes", *site)
    assert "nothing was added: the archive ends with event" in desk.shows("eva", "import", "march.zogan", *site)
    desk.does("otto", "rollback", "support/production", "--to", "base", "--reason", "there", "--yes")
    desk.does("eva", "export", "-o", "april.zogan")
    apart = desk.does("eva", "import", "april.zogan", *site, code=3)
    assert apart["common"] == sent["head"]
    assert [apart[side]["events"][0]["body"]["reason"] for side in ("here", "archive")] == ["here", "there"]
    assert apart["here"]["events"][0]["name"] == "Otto"


@pytest.fixture
def elsewhere(url: str) -> Iterator[str]:
    """A second database, of the same kind."""
    if url.endswith("registry.db"):
        yield "elsewhere.db"
        return
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE DATABASE elsewhere")
    engine.dispose()
    yield url.replace("/postgres?", "/elsewhere?")


def test_a_password_is_neither_kept_nor_shown(desk: Desk) -> None:
    for key, given in (
        ("url", "postgresql://ann:tiger-7@nowhere.invalid/registry"),
        ("url", "postgresql://nowhere.invalid/registry?user=ann&password=tiger-7"),
        ("blobs", "ftp://ann:tiger-7@nowhere.invalid/blobs"),
    ):
        configured(desk.folder, **{key: given})
        line = desk.refused("ann", "log", code=2)
        assert "holds a password, which every run would copy. Keep it in ~/.pgpass" in line
        assert "tiger" not in line
    (desk.folder / "zogan.yaml").unlink()
    for given in (
        "postgresql://ann:tiger-7@127.0.0.1:1/registry",
        "postgresql://127.0.0.1:1/registry?user=ann&password=tiger-7",
        "mysql://ann:tiger-7@nowhere.invalid/registry",
        "postgresql://ann:tiger-7@127.0.0.1:port/registry",
    ):
        assert "tiger" not in desk.refused("ann", "log", "--url", given, "--blobs", "blobs", code=2)
    begin(desk, str(desk.folder / "registry.db"))
    line = desk.refused("ann", "log", "--blobs", "nothing-like://ann:tiger-7@nowhere.invalid/blobs", code=2)
    assert "registry.blobs" in line
    assert "tiger" not in line


@pytest.fixture
def begun(desk: Desk) -> Desk:
    """A registry of four people, and a patch with its evidence that is not fast enough."""
    begin(desk, str(desk.folder / "registry.db"))
    folder = write_judged(desk.folder / "run", 1, limits={"peak_bytes": 1000})
    desk.does("eva", "add", str(folder))
    desk.does("eva", "evaluate", str(folder))
    return desk


def test_a_clause_is_waived_for_a_time_and_it_shows(begun: Desk) -> None:
    desk, short = begun, "registry"
    short = desk.does("eva", "show")["patches"][0]["digest"][:10]
    assert "the clause 'limit:peak_bytes' is not met, and not waived" in desk.refused("ravi", "approve", short)
    words = ("--owner", "Ravi", "--reason", "new machines in May")
    until = ("--until", "2026-05-01")
    assert "Ravi (reviewer) may not waive" in desk.refused("ravi", "waive", short, "limit:peak_bytes", *words, *until)
    assert "Unmet: limit:peak_bytes" in desk.refused("olga", "waive", short, "claim", *words, *until)
    assert "ends within 90 days" in desk.refused(
        "olga", "waive", short, "limit:peak_bytes", *words, "--until", "2027-05-01"
    )
    desk.does("olga", "policy", "--set", "never_waived=[claim, limit]", "--reason", "strict")
    assert "never lets 'limit:peak_bytes' be waived" in desk.refused(
        "olga", "waive", short, "limit:peak_bytes", *words, *until
    )
    desk.does("olga", "policy", "--set", "never_waived=[claim]", "--reason", "less strict")
    desk.does("olga", "waive", short, "limit:peak_bytes", *words, *until)
    desk.does("ravi", "approve", short)
    told = desk.shows("otto", "promote", short, "support/pilot")
    assert "waived for it: limit:peak_bytes until 2026-05-02T00:00:00+00:00" in told
    assert "waived:   limit:peak_bytes until" in desk.shows("eva", "show", short)
    assert "Ravi answers for it: new machines in May" in desk.shows("eva", "why", "support/pilot")
    desk.at = "2026-05-03T00:00:00+00:00"
    assert "the waiver of 'limit:peak_bytes' ended on" in desk.refused("otto", "promote", short, "support/production")


def test_the_policy_holds(begun: Desk) -> None:
    desk = begun
    short = desk.does("eva", "show")["patches"][0]["digest"][:10]
    assert "a policy changes for a reason" in desk.refused("olga", "policy", "--set", "approvals=2", code=2)
    assert "Did you mean 'approvals'" in desk.refused("olga", "policy", "--set", "aprovals=2", "--reason", "x", code=2)
    assert "approvals: Input should be" in desk.refused(
        "olga", "policy", "--set", "approvals=0", "--reason", "x", code=2
    )
    assert "may not change the policy" in desk.refused("ravi", "policy", "--set", "approvals=2", "--reason", "x")
    frozen = "freezes=[{since: '2026-03-01T00:00:00+00:00', until: 2026-04-01, reason: books}]"
    desk.does("olga", "policy", "--set", frozen, "--reason", "as every year")
    assert "nothing is promoted until 2026-04-01" in desk.refused("otto", "promote", short, "support/production")
    (desk.folder / "rules.yaml").write_text("approvals: 2\npilot_first: true\n")
    desk.does("olga", "policy", "--file", "rules.yaml", "--reason", "two pairs of eyes")
    assert desk.does("olga", "policy")["policy"]["approvals"] == 2
    assert "approvals: 2" in desk.shows("olga", "policy")
    desk.does("ravi", "reject", short, "--reason", "too large")
    assert "it was rejected on this evidence" in desk.refused("ravi", "approve", short)
    assert desk.does("eva", "show", short)["patch"]["stage"] == "evaluated"


def test_people_come_and_go(begun: Desk) -> None:
    desk = begun
    keys = {one["name"]: one for one in desk.does("eva", "identity", "list")["people"]}
    assert sorted(keys) == ["Eva", "Olga", "Otto", "Ravi"]
    assert "Otto" in desk.shows("eva", "identity", "list")
    assert "Olga is the only owner" in desk.refused("olga", "identity", "revoke", "Olga", "--reason", "leaves")
    assert "another key is enrolled as 'Ravi'" in desk.refused(
        "olga", "identity", "enrol", "Ravi", "ab" * 32, "--role", "owner"
    )
    assert "no role is called 'ownr'. Did you mean 'owner'?" in desk.refused(
        "olga", "identity", "enrol", "Mia", "ab" * 32, "--role", "ownr", code=2
    )
    assert "'nobody' names no one" in desk.refused("olga", "identity", "revoke", "nobody", "--reason", "x", code=2)
    desk.does("olga", "identity", "revoke", "Ravi", "--reason", "has left")
    short = desk.does("eva", "show")["patches"][0]["digest"][:10]
    assert "the key of Ravi is revoked" in desk.refused("ravi", "approve", short)
    assert "there is a registry already" in desk.refused("olga", "init", "--name", "Olga", code=2)


def test_a_key_must_be_ones_own(begun: Desk) -> None:
    desk, key = begun, begun.folder / "eva.pem"
    assert key.stat().st_mode & 0o777 == 0o600
    for mode in (0o644, 0o640, 0o604, 0o400, 0o700):
        key.chmod(mode)
        line = desk.refused("eva", "identity", "show", code=2)
        assert f"its mode is {mode:04o} and must be 0600" in line
    key.chmod(0o600)
    assert "exists already" in desk.refused("eva", "identity", "new", code=2)
    desk.monkeypatch.setenv("ZOGAN_PASSPHRASE", "wrong horse battery")
    assert "the passphrase does not unlock it" in desk.refused("eva", "identity", "show", code=2)
    desk.monkeypatch.delenv("ZOGAN_PASSPHRASE")
    assert "nothing unlocks the key" in desk.refused("eva", "identity", "show", code=2)
    (desk.folder / "secret").write_text(f"{PASSPHRASE}\n")
    assert desk.does("eva", "identity", "show", "--passphrase-file", "secret")["keyid"]
    assert "no such key" in desk.refused("nobody", "identity", "show", "--passphrase-file", "secret", code=2)


def test_a_rollback_asks_first(begun: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = begun
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.confirm", lambda *_, **__: True)
    folder = write_judged(desk.folder / "better", 2)
    patch = desk.does("eva", "add", str(folder))["body"]["patch"]
    desk.does("eva", "evaluate", str(folder))
    desk.does("ravi", "approve", patch)
    desk.does("otto", "promote", patch, "support/production")
    told = desk.shows("otto", "rollback", "support/production", "--to", "base", "--reason", "worse")
    assert "support/production will answer with the bare base in place of" in told


def test_nothing_names_a_registry(desk: Desk) -> None:
    assert "nothing names a registry" in desk.refused("eva", "log", code=2)
    assert "there is no registry. Run `zogan registry init`" in desk.refused("eva", "log", "--url", "none.db", code=2)
    assert not (desk.folder / "none.db").exists()


def test_what_a_person_mistypes_is_said_in_words(begun: Desk) -> None:
    desk = begun
    short = desk.does("eva", "show")["patches"][0]["digest"][:10]
    for who, arguments, words in (
        ("otto", ("promote", short, "production"), "'production' is no task and place, in small letters, such as"),
        ("ravi", ("reject", short, "--reason", ""), "reason: '' is not 1 to 2,000 characters"),
        ("olga", ("init", "--name", "", "--url", "new.db"), "name: '' is no name"),
        ("olga", ("identity", "enrol", "Mia", "3b6a…", "--role", "owner"), "'3b6a…' is no public key: 64 digits"),
        ("eva", ("log", "--alias", "support/production"), "no alias is called 'support/production'"),
        ("eva", ("show", "--url", "."), "is a folder, not a file. Name a file in it"),
        ("eva", ("verify", "--new", "--full"), "Give one of them"),
    ):
        assert words in desk.refused(who, *arguments, code=2)
    assert not (desk.folder / "new.db").exists()
    assert desk.does("eva", "verify")["events"] == 6


def test_an_empty_registry_says_so_and_a_check_says_what_was_proved_before(desk: Desk) -> None:
    begin(desk, str(desk.folder / "registry.db"))
    assert desk.shows("eva", "show") == desk.shows("eva", "log", "--graph") == "no patch yet: zogan registry add RUN\n"
    assert desk.shows("eva", "show", "--stage", "retired") == "no patch\n"
    assert desk.shows("eva", "verify").startswith("whole: 4 events, 4 signatures, 0 files\n")
    again = desk.shows("eva", "verify")
    assert again.startswith("whole: 4 events, 0 signatures (4 were proved here before), 0 files\n")
    assert desk.shows("eva", "verify", "--new").startswith("whole: nothing came since")


def test_a_patch_and_its_evidence_come_out_again(begun: Desk) -> None:
    desk = begun
    run_folder = write_judged(desk.folder / "runs" / "fetched", 3)
    patch = desk.does("eva", "add", str(run_folder))["body"]["patch"]
    bare = desk.does("otto", "fetch", patch[:12], "-o", str(desk.folder / "bare"))
    assert (bare["evidence"], bare["files"]) == (None, ["patch.safetensors"])
    desk.does("eva", "evaluate", str(run_folder))
    found = desk.does("otto", "fetch", patch[:12], "-o", str(desk.folder / "out"))
    assert {"patch.safetensors", "report.html", "verdict.json", "evaluation.json", "zogan.yaml"} <= set(found["files"])
    for name in found["files"]:
        if name not in ("protocol.lock.json", "looks.jsonl"):  # they may stand beside the run
            assert (desk.folder / "out" / name).read_bytes() == (run_folder / name).read_bytes()
    assert "exists already" in desk.refused("otto", "fetch", patch[:12], "-o", str(desk.folder / "out"), code=2)

    report = desk.folder / "out" / "report.html"
    for blob in (desk.folder / "blobs").rglob("*"):
        if blob.is_file() and blob.read_bytes() == report.read_bytes():
            blob.write_bytes(b"other")
    refused = desk.refused("otto", "fetch", patch[:12], "-o", str(desk.folder / "again"), code=4)
    assert "not what it was" in refused
    assert not (desk.folder / "again").exists()


def test_a_change_is_found_at_the_command_line(begun: Desk) -> None:
    desk = begun
    blob = next(path for path in (desk.folder / "blobs").rglob("*") if path.is_file())
    blob.write_bytes(b"other")
    found = desk.does("eva", "verify", code=4)
    assert found["whole"] is False
    assert "the file is not what it was" in found["faults"][0]["what"]
    assert run(["registry", "verify", "-q"]) == 4
    assert "NOT whole" in desk.capsys.readouterr().out


def test_a_pilot_brings_its_patch_once(begun: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = begun
    monkeypatch.setattr("zogan.cli.registry.candidate.now", lambda: later(desk.at, minutes=1))
    folder = write_judged(desk.folder / "piloted", 5)
    config = load_config(desk.folder / "zogan.yaml")
    before = desk.does("eva", "head")["event"]

    def brought() -> str:
        with Console() as console:
            bring(Run(folder), config, desk.folder / "zogan.yaml", console)
        return desk.capsys.readouterr().err

    monkeypatch.delenv("ZOGAN_PASSPHRASE")
    assert "registry: not added: nothing unlocks your key without asking. By hand: zogan registry add" in brought()
    monkeypatch.setenv("ZOGAN_PASSPHRASE", PASSPHRASE)
    told = brought()
    assert f"registry: event {before + 1:,}: " in told
    assert "is evaluated: accepted" in told
    assert brought() == ""
    (folder / "report.html").write_text("<p>anew</p>")
    assert brought() == ""
    assert desk.does("eva", "head")["event"] == before + 2
    desk.sit("otto")
    other = write_judged(desk.folder / "other", 6)
    folder = other
    assert "Otto (operator) may not add" in brought()


def test_a_waiver_shows_in_the_report(begun: Desk) -> None:
    desk, folder = begun, begun.folder / "run"
    patch = desk.does("eva", "show")["patches"][0]["digest"]
    path = folder / "zogan.yaml"
    named = {"registry": {"url": str(desk.folder / "registry.db"), "blobs": str(desk.folder / "blobs")}}
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **named}))
    write(folder, "en")
    assert "Waived before" not in (folder / "report.html").read_text()
    words = ("--owner", "Ravi", "--until", "2026-05-01", "--reason", "<b>new</b> machines")
    desk.does("olga", "waive", patch, "limit:peak_bytes", *words)
    write(folder, "en")
    line = "Waived before 2026-05-02: Peak of memory. {} answers for it: {}"
    verbatim = [f'<span translate="no">{text}</span>' for text in ("Ravi", "&lt;b&gt;new&lt;/b&gt; machines")]
    assert line.format(*verbatim) in (folder / "report.html").read_text()
    assert "2026-05-02 より前は免除" in (folder / "report.ja.html").read_text()
