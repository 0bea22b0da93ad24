"""Who may do what, and under which conditions: a versioned event of its own."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from zogan.config import read_mapping
from zogan.errors import ConfigError, nearest

Role = Literal["engineer", "reviewer", "operator", "owner"]

Verb = Literal["add", "evaluate", "approve", "reject", "waive", "promote", "rollback", "retire", "people", "policy"]

Shown = Literal["pilot", "production"]
"""The stages in which users see a patch."""


def _moment(text: str) -> str:
    datetime.fromisoformat(text)
    return text


Moment = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00$"), AfterValidator(_moment)]
"""UTC, ISO 8601, to the second: sorted as text, moments stand in their order."""

Line = Annotated[str, Field(min_length=1, max_length=2000)]
"""Words of a person's."""

_MAY: dict[Verb, tuple[Role, ...]] = {
    "add": ("engineer", "reviewer", "owner"),
    "evaluate": ("engineer", "reviewer", "owner"),
    "approve": ("reviewer", "owner"),
    "reject": ("reviewer", "owner"),
    "waive": ("owner",),
    "promote": ("operator", "owner"),
    "rollback": ("operator", "owner"),
    "retire": ("operator", "owner"),
    "people": ("owner",),
    "policy": ("owner",),
}


class Part(BaseModel):
    """What an event holds: no key is unknown, and nothing changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Freeze(Part):
    """A time in which nothing is promoted; rolling back is always open."""

    since: Moment
    until: Moment
    reason: Line


class Policy(Part):
    """The rules in force. That an author never approves his own patch is no option.

    Attributes:
        may: which roles may do what.
        approvals: people who must approve a patch.
        approval_days: how long an approval holds.
        waiver_days: how long a waiver may hold at most.
        never_waived: clauses of a protocol that no waiver covers: names, or kinds (claim, slice, external, limit,
            probe).
        places: where patches stand, and as which stage users see them there.
        pilot_first: whether a patch must have stood in a pilot before production.
        freezes: times in which nothing is promoted.
        stack_depth: patches that may stand on each other, up to the one that is promoted; null for any number.
        stack_share: share of the base's weights that such a stack may change, counted patch by patch, 0 to 1; null for
            any. Neither bounds a patch that stands on the base itself.
    """

    may: Annotated[dict[Verb, tuple[Role, ...]], Field(strict=False)] = _MAY
    approvals: Annotated[int, Field(ge=1)] = 1
    approval_days: Annotated[int, Field(ge=1)] = 90
    waiver_days: Annotated[int, Field(ge=1)] = 90
    never_waived: Annotated[tuple[Line, ...], Field(strict=False)] = ("claim",)
    places: dict[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")], Shown] = {
        "pilot": "pilot",
        "production": "production",
    }
    pilot_first: bool = False
    freezes: Annotated[tuple[Freeze, ...], Field(strict=False)] = ()
    stack_depth: Annotated[int, Field(ge=1)] | None = 4
    stack_share: Annotated[float, Field(ge=0, le=1)] | None = 0.1

    @model_validator(mode="after")
    def _nothing_is_shut_for_good(self) -> Policy:
        missing = [verb for verb in _MAY if not self.may.get(verb)]
        if missing:
            raise ValueError(f"no role may {', '.join(missing)}")
        if "owner" not in self.may["policy"] or "owner" not in self.may["people"]:
            raise ValueError("an owner must be able to change the policy and the people")
        return self

    def frozen(self, at: str) -> Freeze | None:
        """The freeze that a moment lies in."""
        return next((one for one in self.freezes if one.since <= at < one.until), None)


def parse_policy(tree: dict[str, Any], *, where: str) -> Policy:
    """A policy from what a person wrote; what is not given is as it is by default.

    Raises:
        ConfigError: an unknown key, or a value that cannot be.
    """
    try:
        given = {**tree, "may": {**_MAY, **tree["may"]}} if isinstance(tree.get("may"), dict) else tree
        return Policy.model_validate_json(json.dumps(given, default=_text))
    except ValidationError as error:
        faults = [
            f"{'.'.join(map(str, one['loc']))}: {one['msg'].removeprefix('Value error, ')}" for one in error.errors()
        ]
        raise ConfigError("; ".join(faults), where=where) from None


def _text(value: Any) -> str:
    """YAML reads days and times as such."""
    if isinstance(value, datetime):
        value = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        return str(value.isoformat(timespec="seconds"))
    return f"{value}T00:00:00+00:00" if isinstance(value, date) else str(value)


def read_policy(path: Path) -> Policy:
    """A policy from a YAML file.

    Raises:
        ConfigError: no such file, or no policy in it.
    """
    return parse_policy(read_mapping(path), where=str(path))


def changed(policy: Policy, changes: Iterable[str]) -> Policy:
    """A policy with some keys changed.

    Args:
        policy: as it is.
        changes: `key=value`, or `may.approve=[owner]`; the value read as YAML.

    Raises:
        ConfigError: no such key, or a value that cannot be.
    """
    tree: dict[str, Any] = policy.model_dump(mode="json")
    for change in changes:
        key, equals, text = change.partition("=")
        first, _, second = key.strip().partition(".")
        if not equals or first not in tree or (second and not isinstance(tree[first], dict)):
            raise ConfigError(f"{change!r} changes no key of the policy", where="--set", todo=nearest(first, tree))
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            value = text
        if second:
            tree[first][second] = value
        else:
            tree[first] = value
    return parse_policy(tree, where="--set")
