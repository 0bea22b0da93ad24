"""What a lock says of a freeze that came too late is understood again."""

from __future__ import annotations

import pytest

from zogan.evaluate.protocol.late import after_file, after_looks, understood


@pytest.mark.parametrize("looks", [1, 2, 17])
def test_looks_are_understood(looks: int) -> None:
    assert understood(after_looks(looks)) == ("after_looks", {"looks": looks})


def test_files_are_understood() -> None:
    patch, evaluation = "first/patch.safetensors", "first (2)/evaluation.json"
    assert understood(after_file("after_patch", patch)) == ("after_patch", {"file": patch})
    assert understood(after_file("after_evaluation", evaluation)) == ("after_evaluation", {"file": evaluation})


def test_what_is_none_of_them_stays_as_it_is() -> None:
    assert understood("the moon was full") == ("frozen_late", {"detail": "the moon was full"})
