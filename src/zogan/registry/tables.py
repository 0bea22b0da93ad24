"""The tables: the log, which is only ever added to, and what follows from it."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, String, Table, Text
from sqlalchemy.dialects.postgresql import dialect as postgresql

metadata = MetaData()

NUMBER = BigInteger().with_variant(Integer, "sqlite")
"""An event's."""

# Sorted and compared by bytes in both databases, so that a digest's beginning finds it through the index.
TEXT = Text().with_variant(Text(collation="C"), postgresql.name)

events = Table(
    "events",
    metadata,
    Column("number", NUMBER, primary_key=True, autoincrement=False),
    Column("hash", String(64), nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("keyid", String(64), nullable=False),
    Column("signature", LargeBinary, nullable=False),
)
"""The log: the parts of each event's envelope, and its hash."""

entries = Table(
    "entries",
    metadata,
    Column("number", NUMBER, primary_key=True, autoincrement=False),
    Column("at", TEXT, nullable=False),
    Column("kind", TEXT, nullable=False),
    Column("by", TEXT, nullable=False),
    Column("patch", TEXT),
    Column("alias", TEXT),
    Index("entries_by_patch", "patch", "number"),
    Index("entries_by_alias", "alias", "number"),
    Index("entries_by_time", "at", "number"),
)
"""What each event is about, to find it by."""

people = Table(
    "people",
    metadata,
    Column("keyid", TEXT, primary_key=True),
    Column("document", Text, nullable=False),
)

policies = Table(
    "policies",
    metadata,
    Column("number", NUMBER, primary_key=True, autoincrement=False),
    Column("document", Text, nullable=False),
)
"""Every version; the last is in force."""

patches = Table(
    "patches",
    metadata,
    Column("digest", TEXT, primary_key=True),
    Column("number", NUMBER, nullable=False),
    Column("base", TEXT, nullable=False),
    Column("parent", TEXT),
    Column("stage", TEXT, nullable=False),
    Column("tensors", TEXT, nullable=False),
    Column("document", Text, nullable=False),
    Index("patches_by_number", "number"),
    Index("patches_by_base", "base", "number"),
    Index("patches_by_parent", "parent", "number"),
    Index("patches_by_stage", "stage", "number"),
    Index("patches_by_tensors", "tensors", "number"),
)

aliases = Table(
    "aliases",
    metadata,
    Column("name", TEXT, primary_key=True),
    Column("document", Text, nullable=False),
)

standings = Table(
    "standings",
    metadata,
    Column("alias", TEXT, primary_key=True),
    Column("patch", TEXT, primary_key=True),
    Column("number", NUMBER, nullable=False),
    Index("standings_by_patch", "patch"),
)
"""Which patch, or `base`, ever stood where, and the event that first put it there."""

tensors = Table(
    "tensors",
    metadata,
    Column("tensor", TEXT, primary_key=True),
    Column("list", TEXT, primary_key=True),
    Index("tensors_by_list", "list"),
)
"""Lists of tensors, each by its SHA-256. Patches of the same settings mostly share one."""
