"""People with keys, and a registry that knows them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from judged_run import write_judged
from zogan.registry.event import Event
from zogan.registry.identity import Identity, create
from zogan.registry.policy import Policy
from zogan.registry.registry import Registry

START = "2026-03-01T08:00:00+00:00"
PASSPHRASE = "correct horse battery"


def later(at: str = START, **distance: float) -> str:
    """A time that lies behind another."""
    return (datetime.fromisoformat(at) + timedelta(**distance)).isoformat(timespec="seconds")


@dataclass
class Team:
    """A registry with an owner, an engineer, a reviewer and an operator; time passes by the minute."""

    registry: Registry
    owner: Identity
    engineer: Identity
    reviewer: Identity
    operator: Identity
    folder: Path
    at: str = START

    def now(self) -> str:
        """A minute later than the last time."""
        self.at = later(self.at, minutes=1)
        return self.at

    def candidate(self, seed: int = 0, *, layers: int = 2, parent: str | None = None, base: str | None = None) -> Event:
        """Add the patch of a run, with its evidence."""
        run = write_judged(self.folder / f"run-{seed}", seed, layers=layers, parent=parent, base=base)
        event = self.registry.add(run / "patch.safetensors", identity=self.engineer, at=self.now())
        self.registry.evaluate(run, identity=self.engineer, at=self.now())
        return event

    def approved(self, seed: int = 0, *, layers: int = 2, parent: str | None = None, base: str | None = None) -> str:
        """Bring a patch as far as approved.

        Returns:
            Its digest.
        """
        event = self.candidate(seed, layers=layers, parent=parent, base=base)
        assert event.patch is not None
        self.registry.approve(self.registry.find(event.patch), identity=self.reviewer, at=self.now())
        return event.patch

    def promote(self, digest: str, alias: str = "support/production") -> Event:
        """Put a patch at an alias, whatever stands there."""
        found = self.registry.find(digest)
        now = self.registry.difference(alias, found).now
        instead = None if now in (None, "base") else now
        return self.registry.promote(found, alias, instead=instead, identity=self.operator, at=self.now())

    def roll_back(self, to: str | None = None, alias: str = "support/production") -> Event:
        """Put back what stood at an alias before."""
        standing = self.registry.alias(alias)
        then = self.registry.target(standing, to)
        return self.registry.roll_back(standing, then, "it fails", identity=self.operator, at=self.now())


def team(folder: Path, url: str | None = None, policy: Policy | None = None) -> Team:
    """Begin a registry of four people."""
    folder.mkdir(parents=True, exist_ok=True)
    names = ("owner", "engineer", "reviewer", "operator")
    keys = {name: create(folder / f"{name}.pem", PASSPHRASE) for name in names}
    registry = Registry.create(
        url or str(folder / "registry.db"),
        str(folder / "blobs"),
        identity=keys["owner"],
        name="Olga",
        registry="0123456789abcdef" * 2,
        at=START,
        policy=policy,
        memory=folder / "heads.json",
    )
    registry.enrol("Eva", keys["engineer"].public, ("engineer",), identity=keys["owner"], at=START)
    registry.enrol("Ravi", keys["reviewer"].public, ("reviewer",), identity=keys["owner"], at=START)
    registry.enrol("Otto", keys["operator"].public, ("operator",), identity=keys["owner"], at=START)
    return Team(registry, keys["owner"], keys["engineer"], keys["reviewer"], keys["operator"], folder)
