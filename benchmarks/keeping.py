"""Where figures are kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from zogan.environment import environment


def keep(file: Path | None, **figures: Any) -> None:
    """Write figures as JSON, with the environment that gave them; nothing where no file is named."""
    if file is None:
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({**figures, "environment": environment()}, indent=2) + "\n")
