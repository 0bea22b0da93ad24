"""What follows from the log: people, patches, aliases, the policy. Rules read and write it, in memory or in tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict

from zogan.registry.policy import Policy, Role

Stage = Literal["candidate", "evaluated", "approved", "pilot", "production", "retired"]

STAGES: tuple[Stage, ...] = ("candidate", "evaluated", "approved", "pilot", "production", "retired")


class State(BaseModel):
    """A part of it; numbers are those of events."""

    model_config = ConfigDict(extra="forbid")


class Person(State):
    """A key and whose it is. `revoked` is None while it holds."""

    keyid: str
    public: str
    name: str
    roles: tuple[Role, ...]
    number: int
    revoked: int | None = None


class Evidence(State):
    """The evaluation that counts: the last one. `unmet` are the clauses that are not accepted, as people name them."""

    number: int
    protocol: str
    report: str
    outcome: str
    exploratory: tuple[str, ...]
    frozen_at: str | None
    unmet: tuple[tuple[str, str], ...]
    """Kind and name of each."""
    metric: str
    rival: float
    after: float
    rows: int
    at: str


class Approval(State):
    """Of the evidence that counts."""

    number: int
    by: str
    at: str


class Waiver(State):
    """A clause that is set aside."""

    number: int
    clause: str
    owner: str
    by: str
    reason: str
    at: str
    until: str


class PatchState(State):
    """A patch's life so far.

    Attributes:
        author: keyid of who added it.
        file: SHA-256 of its file.
        tensors: SHA-256 of the list of tensors that it touches.
        depth: patches that stand on each other up to this one; 1 on the base itself.
        piled: weights that all of them change, counted patch by patch, so that it is never too few.
        evidence, approvals: void those of another evaluation than the last.
        approved: whether enough people had approved, at the last approval.
        rejected: the event that rejected it on its evidence.
        places: aliases that stand for it, with the stage that each place is.
        piloted: whether it ever stood in a pilot.
    """

    digest: str
    number: int
    at: str
    author: str
    base: str
    parent: str | None
    task: str | None
    labels: tuple[str, ...]
    changed: int
    weights: int
    bytes: int
    new: bool
    note: str | None
    file: str
    tensors: str
    depth: int = 1
    piled: int = 0
    evidence: Evidence | None = None
    approvals: tuple[Approval, ...] = ()
    approved: bool = False
    rejected: int | None = None
    waivers: tuple[Waiver, ...] = ()
    places: dict[str, str] = {}
    piloted: bool = False
    retired: int | None = None

    @property
    def stage(self) -> Stage:
        """How far it has come."""
        if self.retired is not None:
            return "retired"
        if self.places:
            return "production" if "production" in self.places.values() else "pilot"
        if self.approved:
            return "approved"
        return "candidate" if self.evidence is None else "evaluated"

    @property
    def touched(self) -> int:
        """The last event that changed how it stands by word of people."""
        numbers = [self.number, self.rejected or 0, self.retired or 0, *(one.number for one in self.approvals)]
        numbers += [one.number for one in self.waivers] + ([self.evidence.number] if self.evidence else [])
        return max(numbers)


class AliasState(State):
    """What stands at a place. `patch` None is the bare base; `since` is the event that put it there."""

    name: str
    patch: str | None
    base: str
    since: int


@runtime_checkable
class View(Protocol):
    """Where the state is kept. What it gives may be changed, and counts once it is put back."""

    def people(self) -> Mapping[str, Person]:
        """By keyid."""
        ...

    def policy(self) -> Policy:
        """In force."""
        ...

    def patch(self, digest: str) -> PatchState | None:
        """By its digest."""
        ...

    def alias(self, name: str) -> AliasState | None:
        """By its name."""
        ...

    def stood(self, alias: str, patch: str) -> bool:
        """Whether a patch, or `base`, ever stood there."""
        ...

    def put_person(self, person: Person) -> None: ...

    def put_policy(self, number: int, policy: Policy) -> None: ...

    def put_patch(self, patch: PatchState) -> None: ...

    def put_alias(self, alias: AliasState) -> None: ...

    def put_stood(self, alias: str, patch: str, number: int) -> None: ...


class Memory:
    """The state in memory, as `verify` works it out from the log alone."""

    def __init__(self) -> None:
        self._people: dict[str, Person] = {}
        self.policies: dict[int, Policy] = {}
        self.patches: dict[str, PatchState] = {}
        self.aliases: dict[str, AliasState] = {}
        self.standings: dict[tuple[str, str], int] = {}
        self._policy: Policy | None = None

    def people(self) -> Mapping[str, Person]:
        """See `View`."""
        return self._people

    def policy(self) -> Policy:
        """See `View`."""
        assert self._policy is not None  # the first event sets it
        return self._policy

    def patch(self, digest: str) -> PatchState | None:
        """See `View`."""
        return self.patches.get(digest)

    def alias(self, name: str) -> AliasState | None:
        """See `View`."""
        return self.aliases.get(name)

    def stood(self, alias: str, patch: str) -> bool:
        """See `View`."""
        return (alias, patch) in self.standings

    def put_person(self, person: Person) -> None:
        """See `View`."""
        self._people[person.keyid] = person

    def put_policy(self, number: int, policy: Policy) -> None:
        """See `View`."""
        self.policies[number] = self._policy = policy

    def put_patch(self, patch: PatchState) -> None:
        """See `View`."""
        self.patches[patch.digest] = patch

    def put_alias(self, alias: AliasState) -> None:
        """See `View`."""
        self.aliases[alias.name] = alias

    def put_stood(self, alias: str, patch: str, number: int) -> None:
        """See `View`."""
        self.standings.setdefault((alias, patch), number)

    def __iter__(self) -> Iterator[PatchState]:
        return iter(self.patches.values())
