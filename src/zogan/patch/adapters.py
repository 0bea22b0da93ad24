"""The adapters of several patches as those of one, where that is exact."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zogan.errors import ZoganError
from zogan.patch.format import PatchFile

_MODULE = re.compile(r"\.lora_\w+(\..+)?$|\.weight$")
_MERGE = "Merge the lower one into the weights first (PEFT's merge_and_unload), and tune anew above it"


def joined(files: Sequence[PatchFile]) -> dict[str, Any] | None:
    """The configuration for the adapters of all parts.

    Adapters beside the same weight add up, which no one adapter of their rank can do exactly; those on different
    weights stand side by side, where all else in their configurations is the same.

    Returns: PEFT's adapter_config.json; None where no part has adapters.

    Raises:
        ZoganError: they cannot be put together exactly.
    """
    having = [file for file in files if file.meta.adapter is not None]
    if len(having) < 2:
        return having[0].meta.adapter if having else None
    seen: dict[str, Path] = {}
    for file in having:
        for module in sorted({module_of(key) for key in file.infos if key.startswith("adapter/")}):
            if module in seen:
                raise ZoganError(
                    f"has an adapter on {module!r}, and so has {seen[module]}: two adapters on one weight add up, and"
                    " no single adapter does the same exactly",
                    where=str(file.path),
                    todo=_MERGE,
                )
            seen[module] = file.path
    targets: set[str] = set()
    configs = [dict(file.meta.adapter or {}) for file in having]
    for file, config in zip(having, configs, strict=True):
        named = config.pop("target_modules", None)
        if not isinstance(named, list) or config != configs[0]:
            odd = sorted(key for key in config.keys() | configs[0].keys() if config.get(key) != configs[0].get(key))
            raise ZoganError(
                f"its adapters' configuration is not that of {having[0].path}: {', '.join(odd or ['target_modules'])}",
                where=str(file.path),
                todo=_MERGE,
            )
        targets.update(map(str, named))
    return {**configs[0], "target_modules": sorted(targets)}


def module_of(key: str) -> str:
    """The weight beside which an adapter's tensor stands: its name without `adapter/` and the adapter's part."""
    return _MODULE.sub("", key.removeprefix("adapter/"))
