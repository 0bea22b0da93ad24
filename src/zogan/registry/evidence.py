"""The evidence of a run's folder: read, proved to belong together, judged anew, and kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from zogan.errors import IntegrityError, RunError
from zogan.evaluate.evaluation import Evaluation
from zogan.evaluate.probes.reading import Probes
from zogan.evaluate.protocol import looks
from zogan.evaluate.verdict.judge import Costs, judge
from zogan.evaluate.verdict.terms import Terms, freeze_of, standing_of, terms_of
from zogan.evaluate.verdict.verdict import Reason, Verdict
from zogan.patch import describe
from zogan.registry.blobs import Blobs
from zogan.registry.event import ClauseSaid, Evaluated

FILES = {
    "verdict": "verdict.json",
    "evaluation": "evaluation.json",
    "report": "report.html",
    "terms": "protocol.json",
    "costs": "costs.json",
    "data": "data.json",
    "environment": "environment.json",
    "configuration": "zogan.yaml",
}
"""What an evaluation is made of, and what it is called."""

PATCH = "patch.safetensors"
"""What it is of."""

PROBES = "probes.json"
"""Where there are any."""


def evidence(folder: Path, blobs: Blobs) -> Evaluated:
    """Bring a run's evidence on its patch.

    The verdict is judged anew from the figures, so that one that was written by hand is found out.

    Raises:
        RunError: a file is not there yet.
        IntegrityError: the files do not belong together: patch, base, data, code, protocol, figures and verdict.
    """
    for name in (PATCH, *FILES.values()):
        if not (folder / name).is_file():
            raise RunError(f"has no {name} yet", where=str(folder), todo="Run `zogan pilot` first")
    patch, terms = describe(folder / PATCH), terms_of(folder)
    verdict = Verdict.load(folder / "verdict.json")
    environment, data = (_json(folder / name) for name in ("environment.json", "data.json"))
    code, made = environment.get("packages", {}).get("zogan"), patch.tools.get("zogan")
    for what, found, known in (
        ("patch", verdict.patch, patch.digest),
        ("base", terms.protocol.base, patch.base),
        # A composed patch names the data of its parts: what it was measured on is then the evidence's own.
        ("data", data.get("digest"), patch.hashes.get("data", data.get("digest"))),
        ("code version", code, made or code),
        ("protocol", verdict.protocol, terms.protocol.digest),
        ("test rows", verdict.test, terms.test.sha256),
    ):
        if found is None or found != known:
            raise IntegrityError(
                f"the evidence is of another {what} ({_short(found)}) than the patch or the run ({_short(known)})",
                where=str(folder),
                todo="Run `zogan pilot` again",
            )
    _judged(folder, terms, verdict, patch.density, patch.file_bytes)
    return Evaluated(
        patch=patch.digest,
        base=patch.base,
        data=str(data["digest"]),
        code=str(code),
        protocol=verdict.protocol,
        test=verdict.test,
        frozen_at=verdict.standing.frozen_at,
        exploratory=tuple(_said(one) for one in verdict.standing.exploratory),
        outcome=verdict.outcome,
        metric=verdict.metric,
        rival=verdict.rival,
        after=verdict.after,
        rows=max((one.rows or 0 for one in verdict.clauses), default=0),
        clauses=tuple(ClauseSaid(kind=one.kind, name=one.name, outcome=one.outcome) for one in verdict.clauses),
        blobs={what: blobs.put(path) for what, path in _paths(folder, terms).items()},
    )


def _paths(folder: Path, terms: Terms) -> dict[str, Path]:
    found = {what: folder / name for what, name in FILES.items()}
    if (probes := folder / PROBES).is_file():
        found["probes"] = probes
    frozen = freeze_of(folder, terms)
    if frozen is not None:
        found["lock"] = frozen
        if (seen := frozen.with_name(looks.NAME)).is_file():
            found["looks"] = seen
    return found


def _judged(folder: Path, terms: Terms, verdict: Verdict, density: float, patch_bytes: int) -> None:
    """That the verdict is what the figures say, under the freeze as it is now; but for later looks."""
    costs = _json(folder / "costs.json")
    peak = costs.get("stages", {}).get("evaluate", {}).get("peak_bytes") or None
    again = judge(
        terms.protocol,
        Evaluation.load(folder / "evaluation.json"),
        Costs(costs.get("latency_ms"), peak, patch_bytes, density),
        standing_of(folder, terms, verdict.patch),
        patch=verdict.patch,
        test=verdict.test,
        probes=_probes(folder / "probes.json", verdict.patch),
    )
    told: dict[str, Any] = {"sentences": True, "standing": {"looks"}}
    if again.model_dump(exclude=told) != verdict.model_dump(exclude=told):
        raise IntegrityError(
            "is not what the figures say under the protocol as it is now",
            where=str(folder / "verdict.json"),
            todo="Run `zogan verdict`, then `zogan report`, and bring it again",
        )


def _probes(path: Path, patch: str) -> Probes | None:
    """What was found in the patch; None where none, or another, was looked at."""
    found = Probes.load(path) if path.is_file() else None
    return found if found is not None and found.patch == patch else None


def _said(reason: Reason) -> str:
    """A reason in one line, without the words of any language's report."""
    if reason.values.keys() == {"option", "then", "now"}:
        return "{option} was {then} when the protocol was frozen, is {now}".format(**reason.values)
    about = ", ".join(f"{key} {value}" for key, value in sorted(reason.values.items()))
    return f"{reason.kind.replace('_', ' ')}{f' ({about})' if about else ''}"


def _json(path: Path) -> dict[str, Any]:
    try:
        tree = json.loads(path.read_bytes())
        if not isinstance(tree, dict):
            raise ValueError
    except (ValueError, RecursionError):
        raise IntegrityError("is damaged", where=str(path)) from None
    return tree


def _short(value: Any) -> str:
    return "none" if value is None else str(value)[:12]
