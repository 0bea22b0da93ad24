"""What an event says, by its kind. Its JSON, canonical by RFC 8785, is what is signed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, FiniteFloat, TypeAdapter, ValidationError

from zogan.errors import ConfigError, ZoganError, nearest
from zogan.patch.meta import Sha256
from zogan.registry.canonical import dumps
from zogan.registry.policy import Line, Moment, Part, Policy, Role

ORIGIN = "0" * 64
"""What the first event follows on."""

BASE = "base"
"""Stands for no patch at all, where a patch could stand."""

LARGEST_BYTES = 2**20
"""Of an event's JSON. Events hold digests and words; what is larger is a file."""

Alias = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}/[a-z0-9][a-z0-9_.-]{0,63}$")]
"""Task and place."""

Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""A person's."""

Count = Annotated[int, Field(ge=0)]

Number = Annotated[int, Field(ge=1)]

Blobs = dict[str, Sha256]
"""Files by what they are, known by SHA-256; gc keeps all that any event names."""

Roles = Annotated[tuple[Role, ...], Field(min_length=1, strict=False)]


class Begun(Part):
    """The registry's first event: its id, its first owner, its first policy."""

    kind: Literal["begin"] = "begin"
    registry: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    name: Name
    public: Sha256 = Field(description="Ed25519 public key, 32 bytes")
    policy: Policy


class Enrolled(Part):
    """A person is known from now on, with these roles; of one who is, the roles are other ones."""

    kind: Literal["enrol"] = "enrol"
    name: Name
    public: Sha256
    roles: Roles


class Revoked(Part):
    """A key signs nothing from now on, and its approvals no longer count."""

    kind: Literal["revoke"] = "revoke"
    person: Sha256
    reason: Line


class Ruled(Part):
    """Another policy is in force."""

    kind: Literal["policy"] = "policy"
    policy: Policy
    reason: Line


class Added(Part):
    """A patch is a candidate. Who signs this is its author.

    Attributes:
        patch: its digest, as `base` and `parent`.
        task: classification or generation, where it is known.
        labels: of a classification.
        changed: weights of the base that change, of `weights`.
        new: whether it brings tensors that the base does not have.
        hashes: of the configuration, data and selection that made it.
        tools: versions of what made it.
        blobs: `patch`, and `tensors`, the names of those that it touches.
    """

    kind: Literal["add"] = "add"
    patch: Sha256
    base: Sha256
    parent: Sha256 | None
    task: str | None
    labels: Annotated[tuple[str, ...], Field(strict=False)]
    changed: Count
    weights: Count
    bytes: Count
    new: bool
    hashes: dict[str, str]
    tools: dict[str, str]
    note: Line | None
    blobs: Blobs


class ClauseSaid(Part):
    """What a verdict says of one clause."""

    kind: Literal["claim", "slice", "external", "limit", "probe"]
    name: str
    outcome: Literal["accepted", "rejected", "undecided"]

    def named(self) -> str:
        """As people name it: claim, slice:NAME, external:NAME, limit:NAME, probe:NAME."""
        return "claim" if self.kind == "claim" else f"{self.kind}:{self.name}"


class Evaluated(Part):
    """A verdict and its evidence, on this very patch, base, data and code.

    Attributes:
        protocol: SHA-256 of the protocol's text, as `test` of the test rows and `data` of all rows.
        code: version of zogan that measured.
        frozen_at: when the protocol was frozen; None where it was not.
        exploratory: why the verdict confirms nothing; empty where it does.
        rival, after: the figure of what it is held against, and of the patch.
        blobs: `report`, `verdict`, `evaluation`, `lock` and what else belongs to the evidence.
    """

    kind: Literal["evaluate"] = "evaluate"
    patch: Sha256
    base: Sha256
    data: str
    code: str
    protocol: Sha256
    test: Sha256
    frozen_at: str | None
    exploratory: Annotated[tuple[str, ...], Field(strict=False)]
    outcome: Literal["accepted", "rejected", "undecided"]
    metric: str
    rival: FiniteFloat
    after: FiniteFloat
    rows: Count
    clauses: Annotated[tuple[ClauseSaid, ...], Field(strict=False)]
    blobs: Blobs


class Approved(Part):
    """A person approves a patch on this evidence: the event `evaluation`, whose digests stand here too."""

    kind: Literal["approve"] = "approve"
    patch: Sha256
    base: Sha256
    report: Sha256
    protocol: Sha256
    evaluation: Number
    note: Line | None


class Rejected(Part):
    """A person rejects a patch on its evidence: what was approved on it is void."""

    kind: Literal["reject"] = "reject"
    patch: Sha256
    reason: Line


class Waived(Part):
    """A clause is set aside for a patch, until a day, and someone answers for it."""

    kind: Literal["waive"] = "waive"
    patch: Sha256
    clause: str
    owner: Sha256 = Field(description="keyid of who answers for it")
    reason: Line
    until: Moment


class Promoted(Part):
    """An alias stands for this patch from now on; before, for `instead`."""

    kind: Literal["promote"] = "promote"
    patch: Sha256
    alias: Alias
    instead: Sha256 | None


class RolledBack(Part):
    """An alias stands for what stood there before; `patch` None is the bare base."""

    kind: Literal["rollback"] = "rollback"
    patch: Sha256 | None
    alias: Alias
    instead: Sha256 | None
    reason: Line


class Retired(Part):
    """A patch is out of use for good."""

    kind: Literal["retire"] = "retire"
    patch: Sha256
    reason: Line


Body = Annotated[
    Begun
    | Enrolled
    | Revoked
    | Ruled
    | Added
    | Evaluated
    | Approved
    | Rejected
    | Waived
    | Promoted
    | RolledBack
    | Retired,
    Field(discriminator="kind"),
]


_WANTED = {
    "alias": "is no task and place, in small letters, such as support/production",
    "name": "is no name: 1 to 100 characters on one line",
    "public": "is no public key: 64 digits in hex, as `zogan registry identity new` prints them",
    "reason": "is not 1 to 2,000 characters",
    "note": "is not 1 to 2,000 characters",
}


@contextmanager
def worded() -> Iterator[None]:
    """Inside, what a person gave and no event takes is refused in the person's words.

    Raises:
        ConfigError: a name, key, role, reason, note or alias that cannot be.
    """
    try:
        yield
    except ValidationError as error:
        fault = error.errors()[0]
        field, given = str(fault["loc"][0]) if fault["loc"] else "event", fault["input"]
        if field == "roles" and isinstance(given, str):
            raise ConfigError(
                f"no role is called {given!r}", where=field, todo=nearest(given, get_args(Role))
            ) from None
        shown = repr(given) if len(repr(given)) <= 100 else f"{repr(given)[:100]}…"
        raise ConfigError(f"{shown} {_WANTED.get(field, fault['msg'])}", where=field) from None


class OversizedError(ZoganError):
    """An event that is longer than any reader takes."""


class Event(Part):
    """One event of the log.

    Attributes:
        number: from 1, without gaps.
        previous: hash of the event before.
        at: when, by the clock of who signed.
        by: keyid of who signed.
    """

    format: Literal[1] = 1
    number: Number
    previous: Sha256
    at: Moment
    by: Sha256
    body: Body

    def dumps(self) -> bytes:
        """Canonical JSON.

        Raises:
            OversizedError: it is longer than `LARGEST_BYTES`.
        """
        payload = dumps(self.model_dump(mode="json"))
        if len(payload) > LARGEST_BYTES:
            raise OversizedError(
                f"the event has {len(payload):,} bytes, more than the {LARGEST_BYTES:,} that one may have; "
                "nothing was written"
            )
        return payload

    @property
    def blobs(self) -> Blobs:
        """The files that it names."""
        found: Blobs = self.body.__dict__.get("blobs", {})
        return found

    @property
    def patch(self) -> str | None:
        """The patch that it is about."""
        found: str | None = self.body.__dict__.get("patch")  # getattr of what is not there is slow in a model
        return found

    @property
    def alias(self) -> str | None:
        """The alias that it moves."""
        found: str | None = self.body.__dict__.get("alias")
        return found

    def shown(self) -> dict[str, Any]:
        """For machines."""
        return self.model_dump(mode="json")


_READER = TypeAdapter(Event)


def parse(payload: bytes) -> Event:
    """Read a payload.

    Raises:
        ValueError: it is no event, or longer than `LARGEST_BYTES`.
    """
    if len(payload) > LARGEST_BYTES:
        raise ValueError(f"{len(payload):,} bytes")
    return _READER.validate_json(payload)
