"""What the policy permits and refuses, where the story at the command line does not go."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from judged_run import judge_again, write_judged
from people import Team, later, team
from zogan.errors import IntegrityError
from zogan.registry.event import Event
from zogan.registry.policy import Policy
from zogan.registry.rules import RefusedError


@pytest.fixture
def here(tmp_path: Path) -> Team:
    return team(tmp_path / "registry")


def test_new_evidence_voids_what_was_approved(here: Team) -> None:
    digest = here.approved(1)
    assert here.registry.find(digest).stage == "approved"
    (here.folder / "run-1" / "report.html").write_text("<p>written anew</p>")
    here.registry.evaluate(here.folder / "run-1", identity=here.engineer, at=here.now())
    assert here.registry.find(digest).stage == "evaluated"
    with pytest.raises(RefusedError, match=r"asks for an approval, and none counts"):
        here.promote(digest)


def test_who_looked_at_old_evidence_does_not_approve_the_new(here: Team) -> None:
    event = here.candidate(1)
    assert event.patch is not None
    seen = here.registry.find(event.patch)
    (here.folder / "run-1" / "report.html").write_text("<p>written anew</p>")
    here.registry.evaluate(here.folder / "run-1", identity=here.engineer, at=here.now())
    with pytest.raises(RefusedError, match="the report that is approved is"):
        here.registry.approve(seen, identity=here.reviewer, at=here.now())


def test_who_moves_an_alias_second_is_told(here: Team) -> None:
    first, second, third = (here.approved(seed) for seed in (1, 2, 3))
    here.promote(first)
    seen = here.registry.alias("support/production")
    here.promote(second)
    before = here.registry.head()
    acts: tuple[Callable[[], Event], ...] = (
        lambda: here.registry.promote(
            here.registry.find(third), "support/production", instead=first, identity=here.operator, at=here.now()
        ),
        lambda: here.registry.roll_back(seen, None, "fails", identity=here.operator, at=here.now()),
    )
    for act in acts:
        with pytest.raises(RefusedError, match=f"stands for {second[:12]}, not for {first[:12]}, as was thought"):
            act()
    assert here.registry.head() == before
    assert not here.registry.verify().faults


def test_rollbacks_lead_further_back(here: Team) -> None:
    digests = [here.approved(seed) for seed in (1, 2, 3)]
    for digest in digests:
        here.promote(digest)
    assert here.roll_back().patch == digests[1]
    assert here.roll_back().patch == digests[0]
    here.promote(digests[2])
    assert here.roll_back().patch == digests[0]


def test_a_rollback_goes_only_to_what_stood_there(here: Team) -> None:
    first, second = here.approved(1), here.approved(2)
    here.promote(first)
    with pytest.raises(RefusedError, match="never stood at support/production"):
        here.roll_back(second)


def test_no_freeze_stands_against_a_rollback(here: Team) -> None:
    first, second = here.approved(1), here.approved(2)
    here.promote(first)
    here.promote(second)
    freeze = {"since": here.at, "until": later(here.at, days=9), "reason": "books"}
    policy = Policy.model_validate({"freezes": (freeze,)})
    here.registry.rule(policy, "year's end", identity=here.owner, at=here.now())
    with pytest.raises(RefusedError, match="nothing is promoted until"):
        here.promote(here.approved(3))
    assert here.roll_back().patch == first


def test_two_must_approve_where_the_policy_says_so(tmp_path: Path) -> None:
    here = team(tmp_path / "registry", policy=Policy(approvals=2, pilot_first=True))
    digest = here.approved(1)
    assert here.registry.find(digest).stage == "evaluated"
    with pytest.raises(RefusedError, match="Ravi has approved it already"):
        here.registry.approve(here.registry.find(digest), identity=here.reviewer, at=here.now())
    here.registry.approve(here.registry.find(digest), identity=here.owner, at=here.now())
    assert here.registry.find(digest).stage == "approved"
    with pytest.raises(RefusedError, match="asks for a pilot before production"):
        here.promote(digest)
    here.promote(digest, "support/pilot")
    assert here.registry.find(digest).stage == "pilot"
    here.promote(digest)
    assert here.registry.find(digest).stage == "production"


def test_approvals_of_a_revoked_key_no_longer_count(here: Team) -> None:
    digest = here.approved(1)
    here.registry.revoke("Ravi", "the laptop is lost", identity=here.owner, at=here.now())
    with pytest.raises(RefusedError, match=r"an approval, and none counts"):
        here.promote(digest)


def test_a_stranger_signs_nothing(here: Team, tmp_path: Path) -> None:
    from zogan.registry.identity import create

    stranger = create(tmp_path / "stranger.pem", "correct horse battery")
    with pytest.raises(RefusedError, match=r"is not enrolled\. An owner enrols"):
        here.registry.rule(Policy(), "mine", identity=stranger, at=here.now())


def test_a_clock_that_is_far_behind_is_refused_and_one_a_little_behind_is_not(here: Team) -> None:
    here.candidate(1)
    at = here.at
    event = here.registry.rule(Policy(), "again", identity=here.owner, at=later(at, minutes=-4))
    assert event.at == at
    from zogan.registry.database import RegistryError

    with pytest.raises(RegistryError, match="Set the clock"):
        here.registry.rule(Policy(), "again", identity=here.owner, at=later(at, minutes=-6))


@pytest.mark.parametrize("what", ["patch", "report"])
def test_a_changed_file_is_neither_approved_nor_promoted(here: Team, what: str) -> None:
    digest = here.approved(1)
    found = here.registry.find(digest)
    assert found.evidence is not None
    name = {"patch": found.file, "report": found.evidence.report}[what]
    path = here.folder / "blobs" / name[:2] / name[2:]
    path.write_bytes(path.read_bytes() + b"!")
    with pytest.raises(IntegrityError, match=f"{what}: the file is not what it was"):
        here.promote(digest)
    with pytest.raises(IntegrityError, match=f"{what}: the file is not what it was"):
        here.registry.approve(found, identity=here.owner, at=here.now())


def test_a_verdict_that_was_written_by_hand_is_refused(here: Team) -> None:
    run = write_judged(here.folder / "run", 1, limits={"peak_bytes": 1000})
    here.registry.add(run / "patch.safetensors", identity=here.engineer, at=here.now())
    text = (run / "verdict.json").read_text()
    assert '"outcome": "rejected"' in text
    (run / "verdict.json").write_text(text.replace('"outcome": "rejected"', '"outcome": "accepted"'))
    with pytest.raises(IntegrityError, match="is not what the figures say"):
        here.registry.evaluate(run, identity=here.engineer, at=here.now())


@pytest.mark.parametrize(
    ("name", "change", "what"),
    [
        ("data.json", {"digest": "1" * 64}, "data"),
        ("environment.json", {"packages": {"zogan": "0.0.1"}}, "code version"),
    ],
)
def test_evidence_of_something_else_is_refused(here: Team, name: str, change: dict[str, object], what: str) -> None:
    run = write_judged(here.folder / "run", 1)
    here.registry.add(run / "patch.safetensors", identity=here.engineer, at=here.now())
    (run / name).write_text(json.dumps({**json.loads((run / name).read_text()), **change}))
    with pytest.raises(IntegrityError, match=f"the evidence is of another {what}"):
        here.registry.evaluate(run, identity=here.engineer, at=here.now())


def test_evidence_of_another_patch_is_refused(here: Team) -> None:
    run, other = write_judged(here.folder / "run", 1), write_judged(here.folder / "other", 2)
    here.registry.add(run / "patch.safetensors", identity=here.engineer, at=here.now())
    (run / "patch.safetensors").write_bytes((other / "patch.safetensors").read_bytes())
    with pytest.raises(IntegrityError, match="the evidence is of another patch"):
        here.registry.evaluate(run, identity=here.engineer, at=here.now())


def test_a_protocol_that_was_never_frozen_bears_no_approval(here: Team) -> None:
    run = write_judged(here.folder / "run", 1, frozen=False)
    digest = here.registry.add(run / "patch.safetensors", identity=here.engineer, at=here.now()).patch
    assert digest is not None
    here.registry.evaluate(run, identity=here.engineer, at=here.now())
    with pytest.raises(RefusedError, match="never frozen"):
        here.registry.approve(here.registry.find(digest), identity=here.reviewer, at=here.now())


def test_a_protocol_that_was_thawed_after_the_verdict_is_noticed(here: Team) -> None:
    run = write_judged(here.folder / "run", 1)
    here.registry.add(run / "patch.safetensors", identity=here.engineer, at=here.now())
    (run / "protocol.lock.json").unlink()
    with pytest.raises(IntegrityError, match="is not what the figures say under the protocol as it is now"):
        here.registry.evaluate(run, identity=here.engineer, at=here.now())
    judge_again(run)
    assert here.registry.evaluate(run, identity=here.engineer, at=here.now()).body.kind == "evaluate"


def test_words_are_never_read_as_statements(here: Team) -> None:
    note = "'); DROP TABLE events; --\N{SNOWMAN}\"\\"
    run = write_judged(here.folder / "run", 1)
    event = here.registry.add(run / "patch.safetensors", identity=here.engineer, at=here.now(), note=note)
    assert event.patch is not None
    assert here.registry.find(event.patch).note == note
    assert not here.registry.verify().faults


def test_a_patch_is_added_once(here: Team) -> None:
    here.candidate(1)
    with pytest.raises(RefusedError, match="is in the registry since event 5"):
        here.candidate(1)


def stack(here: Team, height: int) -> list[str]:
    """Approved patches, each made on the result of the one before."""
    made: list[str] = []
    for place in range(height):
        base = f"{place:064x}" if place else None
        made.append(here.approved(place + 1, parent=made[-1] if made else None, base=base))
    return made


def test_a_stack_past_the_budget_asks_for_a_composed_patch(tmp_path: Path) -> None:
    here = team(tmp_path / "registry", policy=Policy(stack_depth=2, stack_share=1.0))
    first, second, third = stack(here, 3)
    assert [here.registry.find(one).depth for one in (first, second, third)] == [1, 2, 3]
    here.promote(first)
    here.promote(second)
    with pytest.raises(
        RefusedError, match=r"top of 3 patches on each other, and the policy allows 2\. Make one patch.*pilot --patch`"
    ):
        here.promote(third)
    # Composed, the same change stands on the base itself.
    here.promote(here.approved(9, layers=1))
    here.registry.rule(Policy(stack_depth=None), "any", identity=here.owner, at=here.now())
    here.promote(third)
    assert not here.registry.verify().faults


def test_the_weights_of_a_stack_are_counted_patch_by_patch(here: Team) -> None:
    first, second = stack(here, 2)
    one, two = here.registry.find(first), here.registry.find(second)
    assert (one.piled, two.piled) == (one.changed, one.changed + two.changed)
    share = two.piled / two.weights
    here.registry.rule(Policy(stack_share=share), "just enough", identity=here.owner, at=here.now())
    here.promote(second)
    here.roll_back("base")
    here.registry.rule(Policy(stack_share=share * 0.99), "too little", identity=here.owner, at=here.now())
    with pytest.raises(RefusedError, match=r"the 2 patches that it is the top of change .* % of the base's weights"):
        here.promote(second)
    here.promote(first)


def test_a_patch_made_from_another_in_its_place_is_not_on_top_of_it(here: Team) -> None:
    first, second = stack(here, 2)
    part = here.registry.find(here.approved(8, parent=second, base=f"{1:064x}"))
    assert (part.depth, part.piled) == (2, here.registry.find(first).changed + part.changed)
    alone = here.registry.find(here.approved(7, parent="e" * 64, base=f"{7:064x}"))
    assert (alone.depth, alone.piled) == (2, alone.changed)
