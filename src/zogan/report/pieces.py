"""The pieces of evidence that a run may hold, each with its file, and whether this run has it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from zogan.evaluate.curve import NAME as CURVE
from zogan.evaluate.explanation.result import NAME as EXPLANATION
from zogan.evaluate.predictions import NAME as PREDICTIONS
from zogan.patch.places import Places
from zogan.report.facts import classes
from zogan.report.record import Record
from zogan.report.registered import unwaived
from zogan.report.required import FRAMEWORKS, Requirement

Status = Literal["shown", "partly", "missing", "outside"]


@dataclass(frozen=True)
class Piece:
    """A piece of evidence.

    Args:
        file: in which it stands, in the run's folder; or the command that shows it.
        there: whether this run has it.
    """

    file: str
    there: Callable[[Record], bool]


@dataclass(frozen=True)
class Answer:
    """What a run has to say to a requirement.

    Args:
        requirement: what is asked for.
        found: pieces that are there.
        lacking: pieces that would belong to it, and are not there.
    """

    requirement: Requirement
    found: tuple[str, ...]
    lacking: tuple[str, ...]

    @property
    def status(self) -> Status:
        """shown: all is there; partly; missing: nothing is; outside: no run can show it."""
        if not self.requirement.pieces:
            return "outside"
        return "missing" if not self.found else "partly" if self.lacking else "shown"


def _always(_: Record) -> bool:
    return True


def _file(name: str) -> Callable[[Record], bool]:
    return lambda record: (record.folder / name).is_file()


def _probe(name: str) -> Piece:
    def there(record: Record) -> bool:
        return record.probes is not None and any(one.name.partition(".")[0] == name for one in record.probes.readings)

    return Piece("probes.json", there)


def _limits(record: Record) -> bool:
    protocol = record.protocol
    return protocol is not None and any(value is not None for _, value in protocol.limits)


def _aside(record: Record) -> bool:
    """Whether the registry knows the patch, and no clause is unmet without somebody who answers for it."""
    return record.registered is not None and not unwaived(record.registered, record.verdict)


def _located(places: Places) -> bool:
    return bool(places.changed)


_SHOWN = "zogan registry show"
_PROBES = ("calibration", "abstention", "robustness", "churn", "forgetting", "groups", "memorisation", "leakage")

PIECES: dict[str, Piece] = {
    # what was asked for beforehand
    "settings": Piece("zogan.yaml", lambda record: not record.given),
    "protocol": Piece("protocol.json", lambda record: record.protocol is not None),
    "frozen": Piece("verdict.json", lambda record: not record.verdict.exploratory),
    "looks": Piece("verdict.json", lambda record: record.verdict.standing.looks > 0),
    "seeds": Piece("verdict.json", lambda record: len(record.verdict.seeds) > 1),
    "slices": Piece("protocol.json", lambda record: record.protocol is not None and bool(record.protocol.slices)),
    "limits": Piece("protocol.json", _limits),
    "rollback": Piece("protocol.json", lambda record: record.protocol is not None and bool(record.protocol.rollback)),
    # data
    "data": Piece("data.json", lambda record: "findings" in record.data),
    "data_digest": Piece("data.json", lambda record: bool(record.data.get("digest"))),
    # what was made, on what
    "log": Piece("metrics.jsonl", _file("metrics.jsonl")),
    "environment": Piece("environment.json", lambda record: bool(record.environment)),
    "costs": Piece("costs.json", _always),
    "fingerprint": Piece("patch.safetensors", _always),
    "patch_digest": Piece("verdict.json", _always),
    "places": Piece("patch.safetensors", lambda record: _located(record.places)),
    "revert": Piece("patch.safetensors", _always),
    # what was measured
    "figures": Piece("evaluation.json", _always),
    "intervals": Piece("evaluation.json", _always),
    "verdict": Piece("verdict.json", _always),
    "per_class": Piece("evaluation.json", lambda record: bool(classes(record.evaluation))),
    "worse_examples": Piece("evaluation.json", lambda record: bool(record.evaluation.examples.worse)),
    "cases": Piece("cases.csv", _file(PREDICTIONS)),
    "external": Piece("evaluation.json", lambda record: any(one.after for one in record.evaluation.external)),
    "overfitting": Piece("evaluation.json", lambda record: record.evaluation.overfitting is not None),
    "curve": Piece(CURVE, lambda record: record.curve is not None),
    "explanation": Piece(EXPLANATION, lambda record: record.explanation is not None),
    "probes": Piece("probes.json", lambda record: record.probes is not None),
    **{name: _probe(name) for name in _PROBES},
    # who decided what
    "registered": Piece(_SHOWN, lambda record: record.registered is not None),
    "approval": Piece(_SHOWN, lambda record: record.registered is not None and bool(record.registered.approvals)),
    "waivers": Piece(_SHOWN, _aside),
    # what is written for people
    "report": Piece("report.html", _always),
    "slides": Piece("report.pptx", _always),
    "card": Piece("model-card.md", _always),
    "runbook": Piece("runbook.md", _always),
    "risks": Piece("report.pptx", _always),
}
"""All pieces; their names stand in the catalogues under `piece`."""


def answers(record: Record) -> dict[str, list[Answer]]:
    """By framework, what this run has to say to each of its requirements."""
    there = {name for name, piece in PIECES.items() if piece.there(record)}
    return {
        name: [
            Answer(
                one,
                tuple(piece for piece in one.pieces if piece in there),
                tuple(piece for piece in one.pieces if piece not in there),
            )
            for one in requirements
        ]
        for name, requirements in FRAMEWORKS.items()
    }
