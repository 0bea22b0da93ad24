"""Why a freeze comes too late: a phrase in the lock, and what it says for a verdict in any language."""

from __future__ import annotations

import re
from typing import Literal

Kind = Literal["after_patch", "after_evaluation", "after_looks", "frozen_late"]

_FILES: dict[Literal["after_patch", "after_evaluation"], str] = {
    "after_patch": "the run had a patch when it was frozen ({file})",
    "after_evaluation": "the run had an evaluation when it was frozen ({file})",
}
_LOOKS = "the test rows had been looked at {times} when it was frozen"


def after_file(kind: Literal["after_patch", "after_evaluation"], file: str) -> str:
    """The run had this file already."""
    return _FILES[kind].format(file=file)


def after_looks(looks: int) -> str:
    """The test rows had been looked at so often."""
    return _LOOKS.format(times="once" if looks == 1 else f"{looks} times")


def understood(phrase: str) -> tuple[Kind, dict[str, str | int]]:
    """Which of these a phrase of a lock is, and its file or number of looks; what is none of them as it stands."""
    for kind, form in _FILES.items():
        if found := re.fullmatch(re.escape(form.format(file="\0")).replace("\0", "(.+)"), phrase):
            return kind, {"file": found[1]}
    if found := re.fullmatch(_LOOKS.format(times=r"(?:once|(\d+) times)"), phrase):
        return "after_looks", {"looks": int(found[1] or 1)}
    return "frozen_late", {"detail": phrase}
