"""The heads that this machine has seen: a log that no longer leads to one was cut or replaced."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from zogan.registry.database import RegistryError
from zogan.registry.log import Head


class Remembered:
    """A small file beside the person's other settings.

    Args:
        file: where it lies; made where absent.
        registry: where the registry lies, so that another in its place is noticed.

    Attributes:
        kept: the file for what followed from the log up to the head that was proved.
    """

    def __init__(self, file: Path, registry: str) -> None:
        self._file, self._registry = file, registry
        name = hashlib.sha256(registry.encode()).hexdigest()[:16]
        self.kept = file.with_name(f"{file.stem}-{name}.proved")

    @property
    def seen(self) -> Head | None:
        """The newest head that was seen."""
        return self._head("seen")

    @property
    def proved(self) -> Head | None:
        """The newest head up to which everything was verified."""
        return self._head("proved")

    def keep(self, head: Head, *, proved: bool = False) -> None:
        """Remember a head, where it is newer than the one that is known."""
        tree = self._tree()
        mine = tree.setdefault(self._registry, {})
        for name in ("seen", "proved") if proved else ("seen",):
            known = self._head(name)
            if known is None or known.number <= head.number:
                mine[name] = str(head)
        self._write(tree)

    def _write(self, tree: dict[str, dict[str, str]]) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        partial = self._file.with_name(f"{self._file.name}.{os.getpid()}.partial")
        partial.write_text(json.dumps(tree, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        partial.replace(self._file)

    def forget(self) -> None:
        """A new registry begins there."""
        self.kept.unlink(missing_ok=True)
        if self._registry in (tree := self._tree()):
            del tree[self._registry]
            self._write(tree)

    def _head(self, name: str) -> Head | None:
        line = self._tree().get(self._registry, {}).get(name)
        return None if line is None else Head.parse(line)

    def _tree(self) -> dict[str, dict[str, str]]:
        if not self._file.is_file():
            return {}
        try:
            tree = json.loads(self._file.read_text(encoding="utf-8"))
            if not isinstance(tree, dict) or not all(isinstance(one, dict) for one in tree.values()):
                raise ValueError
        except ValueError:
            raise RegistryError(
                "is damaged", where=str(self._file), todo="Delete it, and verify the registry"
            ) from None
        return tree
