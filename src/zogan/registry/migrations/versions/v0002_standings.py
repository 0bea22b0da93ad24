"""Where a patch ever stood, without a look at where all others did."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the index."""
    op.create_index("standings_by_patch", "standings", ["patch"])
