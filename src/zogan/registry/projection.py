"""The state in tables: what follows from the log, kept where it is found at once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, TypeVar

from sqlalchemy import Connection, select

from zogan.errors import IntegrityError
from zogan.registry import tables
from zogan.registry.database import upsert
from zogan.registry.event import Event
from zogan.registry.policy import Policy
from zogan.registry.state import AliasState, PatchState, Person, State

Found = TypeVar("Found", bound=State)
"""Which part of the state is read."""


class Tables:
    """A `View` of the tables, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @cached_property
    def _people(self) -> dict[str, Person]:
        rows = self._connection.execute(select(tables.people.c.document)).scalars()
        return {one.keyid: one for one in (read(Person, row) for row in rows)}

    def people(self) -> Mapping[str, Person]:
        """See `View`."""
        return self._people

    @cached_property
    def _policy(self) -> Policy:
        query = select(tables.policies.c.document).order_by(tables.policies.c.number.desc()).limit(1)
        found = self._connection.execute(query).scalar()
        if found is None:
            raise IntegrityError("the registry holds no policy", todo="Run `zogan registry verify`")
        return Policy.model_validate_json(found)

    def policy(self) -> Policy:
        """See `View`."""
        return self._policy

    def patch(self, digest: str) -> PatchState | None:
        """See `View`."""
        found = self._one(tables.patches, "digest", digest)
        return None if found is None else read(PatchState, found)

    def alias(self, name: str) -> AliasState | None:
        """See `View`."""
        found = self._one(tables.aliases, "name", name)
        return None if found is None else read(AliasState, found)

    def stood(self, alias: str, patch: str) -> bool:
        """See `View`."""
        at = tables.standings.c
        query = select(at.number).where(at.alias == alias, at.patch == patch)
        return self._connection.execute(query).first() is not None

    def put_person(self, person: Person) -> None:
        """See `View`."""
        self._people[person.keyid] = person
        upsert(self._connection, tables.people, {"keyid": person.keyid, "document": person.model_dump_json()})

    def put_policy(self, number: int, policy: Policy) -> None:
        """See `View`."""
        self.__dict__["_policy"] = policy
        upsert(self._connection, tables.policies, {"number": number, "document": policy.model_dump_json()})

    def put_patch(self, patch: PatchState) -> None:
        """See `View`."""
        upsert(self._connection, tables.patches, columns(patch))

    def put_alias(self, alias: AliasState) -> None:
        """See `View`."""
        upsert(self._connection, tables.aliases, {"name": alias.name, "document": alias.model_dump_json()})

    def put_stood(self, alias: str, patch: str, number: int) -> None:
        """See `View`."""
        if not self.stood(alias, patch):
            self._connection.execute(tables.standings.insert().values(alias=alias, patch=patch, number=number))

    def _one(self, table: Any, key: str, value: str) -> str | None:
        query = select(table.c.document).where(table.c[key] == value)
        found: str | None = self._connection.execute(query).scalar()
        return found


def columns(patch: PatchState) -> dict[str, Any]:
    """A patch's row."""
    return {
        "digest": patch.digest,
        "number": patch.number,
        "base": patch.base,
        "parent": patch.parent,
        "stage": patch.stage,
        "tensors": patch.tensors,
        "document": patch.model_dump_json(),
    }


def entry(event: Event) -> dict[str, Any]:
    """An event's row in `entries`."""
    return {
        "number": event.number,
        "at": event.at,
        "kind": event.body.kind,
        "by": event.by,
        "patch": event.patch,
        "alias": event.alias,
    }


def read(kind: type[Found], document: str) -> Found:
    """A document of the tables.

    Raises:
        IntegrityError: it is damaged.
    """
    try:
        return kind.model_validate_json(document)
    except ValueError:
        raise IntegrityError(
            f"a {kind.__name__} in the tables is damaged", todo="Run `zogan registry verify`"
        ) from None
