"""What people type, as the registry takes it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from zogan.errors import ConfigError, IntegrityError, nearest
from zogan.registry.event import Enrolled, worded
from zogan.registry.state import STAGES, PatchState, Stage


def moment(text: str) -> str:
    """A day, which means its last second, or a time; UTC, to the second.

    Raises:
        ConfigError: it is neither.
    """
    try:
        if len(text) == 10:
            found = datetime.combine(date.fromisoformat(text), time(23, 59, 59), UTC)
        else:
            found = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            f"{text!r} is no time", where="--at", todo="Give 2026-03-14 or 2026-03-14T09:30:00+09:00"
        ) from None
    found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    return found.isoformat(timespec="seconds")


def end_of_day(text: str) -> str:
    """When a day is over, UTC.

    Raises:
        ConfigError: it is no day.
    """
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{text!r} is no day", where="--until", todo="Give it as 2026-06-30") from None
    return datetime.combine(day + timedelta(days=1), time(), UTC).isoformat(timespec="seconds")


def enrolled(name: str, public: str, roles: Sequence[str]) -> Enrolled:
    """A person who is to be enrolled.

    Raises:
        ConfigError: no public key, or no such role.
    """
    with worded():
        return Enrolled.model_validate({"name": name, "public": public.strip().lower(), "roles": tuple(roles)})


def staged(text: str | None) -> Stage | None:
    """A stage.

    Raises:
        ConfigError: none is called so.
    """
    if text is None:
        return None
    for stage in STAGES:
        if stage == text:
            return stage
    raise ConfigError(f"no stage is called {text!r}", where="--stage", todo=nearest(text, STAGES))


def same_report(patch: PatchState, report: Path) -> None:
    """That a report is the one of a patch's evidence.

    Raises:
        IntegrityError: it is another.
    """
    digest = hashlib.sha256(report.read_bytes()).hexdigest()
    if patch.evidence is not None and digest != patch.evidence.report:
        raise IntegrityError(
            f"is not the report of event {patch.evidence.number:,}, on which the patch would be approved",
            where=str(report),
            todo="Bring the run anew with `zogan registry evaluate`, or read the report that was brought",
        )
