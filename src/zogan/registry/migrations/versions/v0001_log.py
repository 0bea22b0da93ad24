"""The log and what follows from it. An event that is written is neither changed nor deleted: the database refuses."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

_SQLITE = (
    """CREATE TRIGGER events_not_updated BEFORE UPDATE ON events
    BEGIN SELECT RAISE(ABORT, 'an event is never changed'); END""",
    """CREATE TRIGGER events_not_deleted BEFORE DELETE ON events
    BEGIN SELECT RAISE(ABORT, 'an event is never deleted'); END""",
    # REPLACE deletes without the trigger above.
    """CREATE TRIGGER events_in_order BEFORE INSERT ON events
    WHEN EXISTS (SELECT 1 FROM events WHERE number = NEW.number)
    OR NEW.number <> (SELECT coalesce(max(number), 0) + 1 FROM events)
    BEGIN SELECT RAISE(ABORT, 'events are numbered without gaps'); END""",
)

_POSTGRESQL = (
    """CREATE FUNCTION zogan_events_stay() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'an event is never changed or deleted'; END $$""",
    """CREATE FUNCTION zogan_events_in_order() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF NEW.number <> (SELECT coalesce(max(number), 0) + 1 FROM events) THEN
        RAISE EXCEPTION 'events are numbered without gaps' USING ERRCODE = 'unique_violation';
      END IF;
      RETURN NEW;
    END $$""",
    """CREATE TRIGGER events_not_updated BEFORE UPDATE OR DELETE ON events
    FOR EACH ROW EXECUTE FUNCTION zogan_events_stay()""",
    """CREATE TRIGGER events_not_truncated BEFORE TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION zogan_events_stay()""",
    """CREATE TRIGGER events_in_order BEFORE INSERT ON events
    FOR EACH ROW EXECUTE FUNCTION zogan_events_in_order()""",
)


def upgrade() -> None:
    """Make all of it."""
    op.create_table(
        "events",
        sa.Column("number", _NUMBER, primary_key=True, autoincrement=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.Column("keyid", sa.String(64), nullable=False),
        sa.Column("signature", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "entries",
        sa.Column("number", _NUMBER, primary_key=True, autoincrement=False),
        sa.Column("at", _TEXT, nullable=False),
        sa.Column("kind", _TEXT, nullable=False),
        sa.Column("by", _TEXT, nullable=False),
        sa.Column("patch", _TEXT),
        sa.Column("alias", _TEXT),
    )
    op.create_table(
        "people",
        sa.Column("keyid", _TEXT, primary_key=True),
        sa.Column("document", sa.Text, nullable=False),
    )
    op.create_table(
        "policies",
        sa.Column("number", _NUMBER, primary_key=True, autoincrement=False),
        sa.Column("document", sa.Text, nullable=False),
    )
    op.create_table(
        "patches",
        sa.Column("digest", _TEXT, primary_key=True),
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("base", _TEXT, nullable=False),
        sa.Column("parent", _TEXT),
        sa.Column("stage", _TEXT, nullable=False),
        sa.Column("tensors", _TEXT, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
    )
    op.create_table(
        "aliases",
        sa.Column("name", _TEXT, primary_key=True),
        sa.Column("document", sa.Text, nullable=False),
    )
    op.create_table(
        "standings",
        sa.Column("alias", _TEXT, primary_key=True),
        sa.Column("patch", _TEXT, primary_key=True),
        sa.Column("number", _NUMBER, nullable=False),
    )
    op.create_table(
        "tensors",
        sa.Column("tensor", _TEXT, primary_key=True),
        sa.Column("list", _TEXT, primary_key=True),
    )
    for name, table, columns in (
        ("entries_by_patch", "entries", ["patch", "number"]),
        ("entries_by_alias", "entries", ["alias", "number"]),
        ("entries_by_time", "entries", ["at", "number"]),
        ("patches_by_number", "patches", ["number"]),
        ("patches_by_base", "patches", ["base", "number"]),
        ("patches_by_parent", "patches", ["parent", "number"]),
        ("patches_by_stage", "patches", ["stage", "number"]),
        ("patches_by_tensors", "patches", ["tensors", "number"]),
        ("tensors_by_list", "tensors", ["list"]),
    ):
        op.create_index(name, table, columns)
    for statement in _SQLITE if op.get_bind().dialect.name == "sqlite" else _POSTGRESQL:
        op.execute(statement)
