"""How the tables came to be, step by step; Alembic takes a database from any step to the last."""

from __future__ import annotations

LATEST = "0002"
"""The last step."""
