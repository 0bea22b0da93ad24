"""What a run's folder is judged by: protocol.json, and the freeze that is in force."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from zogan.errors import IntegrityError, RunError, one_line
from zogan.evaluate.protocol import lock, looks
from zogan.evaluate.protocol.changes import changes
from zogan.evaluate.protocol.protocol import Protocol
from zogan.evaluate.protocol.sample import Sample
from zogan.evaluate.verdict.standing import standing
from zogan.evaluate.verdict.verdict import Standing

NAME = "protocol.json"


class Terms(BaseModel):
    """What a run is judged by.

    Attributes:
        protocol: in full.
        test: the rows, by hashes.
        beside: folder of the configuration, from the run's; None where it was not told.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    protocol: Protocol
    test: Sample
    beside: str | None


def terms_of(folder: Path) -> Terms:
    """Read protocol.json.

    Raises:
        RunError: the run has none yet.
        IntegrityError: it is damaged.
    """
    path = folder / NAME
    if not path.is_file():
        raise RunError(f"has no {NAME} yet", where=str(folder), todo="Run `zogan pilot` first")
    try:
        return Terms.model_validate_json(path.read_bytes())
    except ValueError as error:
        raise IntegrityError(f"is damaged: {one_line(error)}", where=str(path)) from None


def freeze_of(folder: Path, terms: Terms) -> Path | None:
    """The freeze in force: in the run's folder, else beside the configuration; None where there is none."""
    return lock.find(folder, *([folder / terms.beside] if terms.beside is not None else []))


def standing_of(folder: Path, terms: Terms, patch: str) -> Standing:
    """How a verdict on a patch stands.

    Raises:
        IntegrityError: the freeze, or a line of the looks, is damaged.
    """
    path = freeze_of(folder, terms)
    if path is None:
        return standing(None, None, looks=0, counted=False)
    frozen = lock.read(path)
    assert frozen is not None  # it was found
    seen = [one for one in looks.looks(path.with_name(looks.NAME)) if one.test == terms.test.sha256]
    counted = any(one.patch == patch for one in seen)
    return standing(frozen, changes(frozen, terms.protocol, terms.test), looks=len(seen), counted=counted)
