"""How long a row may be."""

from __future__ import annotations

from pathlib import Path

import pytest

from tiny import tiny_encoder
from zogan.errors import ConfigError
from zogan.models import open_base
from zogan.tasks.limits import row_limit


def test_the_limit_is_the_users_or_the_bases(tmp_path: Path) -> None:
    base = open_base(str(tiny_encoder(tmp_path / "base")), cache=tmp_path / "cache")
    assert row_limit(base, None) == 64
    assert row_limit(base, 20) == 20
    with pytest.raises(ConfigError, match="max_length = 65: this base reads at most 64 tokens"):
        row_limit(base, 65)
