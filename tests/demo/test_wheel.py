"""Data of installed wheels: found, or said what to install."""

from __future__ import annotations

import pytest

from zogan.demo.wheel import Wheel
from zogan.errors import DataError


def test_a_file_is_found_without_importing() -> None:
    wheel = Wheel("pydantic")
    assert wheel.path("pydantic/version.py").is_file()
    assert wheel.title.startswith("pydantic 2.")


def test_what_is_missing_is_said() -> None:
    with pytest.raises(
        DataError, match=r"comes with 'no-such-wheel', which is not installed\. pip install no-such-wheel"
    ):
        Wheel("no-such-wheel").path("x")
    with pytest.raises(DataError, match=r"pydantic 2.*: has no pydantic/none\.csv\. pip install --force-reinstall"):
        Wheel("pydantic").path("pydantic/none.csv")
