"""Questions to the log."""

from __future__ import annotations

from pathlib import Path

import pytest

from people import START, Team, later, team
from zogan.registry import lineage
from zogan.registry.database import RegistryError

DEEP, SHALLOW = "encoder.layer.1.output.dense.weight", "encoder.layer.0.output.dense.weight"


@pytest.fixture
def here(tmp_path: Path) -> Team:
    return team(tmp_path / "registry")


@pytest.mark.parametrize("few", [64, 0])
def test_who_touched_a_tensor_is_told_newest_first(here: Team, monkeypatch: pytest.MonkeyPatch, few: int) -> None:
    monkeypatch.setattr(lineage, "_FEW", few)
    first, second, third = here.candidate(1), here.candidate(2, layers=1), here.candidate(3)
    found = here.registry.touching(SHALLOW)
    assert [one.digest for one in found] == [third.patch, second.patch, first.patch]
    assert [one.digest for one in here.registry.touching(DEEP)] == [third.patch, first.patch]
    assert [one.digest for one in here.registry.touching(SHALLOW, limit=1, before=third.number)] == [second.patch]
    with pytest.raises(RegistryError, match="Did you mean"):
        here.registry.touching("encoder.layer.1.output.dense.weigh")


def test_what_stood_where_is_known_for_every_minute(here: Team) -> None:
    first, second = here.approved(1), here.approved(2)
    stood: list[tuple[str, str | None]] = []
    for digest in (first, second, first):
        here.promote(digest)
        stood.append((here.at, digest))
    here.roll_back("base")
    stood.append((here.at, None))
    for at, expected in stood:
        found = here.registry.why("support/production", at)
        assert (None if found.patch is None else found.patch.digest) == expected
        assert found.moved.at == at
    assert here.registry.why("support/production", later(stood[1][0], seconds=-1)).moved.patch == first
    with pytest.raises(RegistryError, match="nothing stood at support/production on"):
        here.registry.why("support/production", START)
    with pytest.raises(RegistryError, match="Did you mean 'support/production'"):
        here.registry.why("suport/production", START)


def test_a_patch_is_named_by_the_beginning_of_its_digest(here: Team) -> None:
    event = here.candidate(1)
    assert event.patch is not None
    assert here.registry.find(event.patch[:4].upper()).digest == event.patch
    for given, what in (("abc", "names no patch"), ("xyzw", "names no patch"), ("%___", "names no patch")):
        with pytest.raises(RegistryError, match=what):
            here.registry.find(given)
    with pytest.raises(RegistryError, match="no patch begins with"):
        here.registry.find("0000")


def test_a_life_tells_what_took_the_patch_s_place(here: Team) -> None:
    first = here.approved(1)
    second = here.approved(2, parent=first)
    here.promote(first)
    moved = here.promote(second)
    life = here.registry.life(here.registry.find(first))
    assert life.children == (second,)
    assert life.events[-1] == moved
    assert here.registry.find(first).stage == "approved"


def test_patches_of_a_base_or_at_a_stage(here: Team) -> None:
    first = here.approved(1)
    here.candidate(2)
    base = here.registry.base("0000")
    assert len(here.registry.patches(base=base)) == 2
    assert [one.digest for one in here.registry.patches(stage="approved")] == [first]
    with pytest.raises(RegistryError, match="no patch is on a base '1111'"):
        here.registry.base("1111")
