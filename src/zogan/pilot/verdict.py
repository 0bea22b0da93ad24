"""The verdict of a run, from its files and the freeze that is in force."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from zogan.errors import IntegrityError, RunError
from zogan.evaluate.evaluation import Evaluation
from zogan.evaluate.probes.reading import Probes
from zogan.evaluate.protocol import lock, looks
from zogan.evaluate.protocol.changes import changes
from zogan.evaluate.protocol.protocol import Protocol
from zogan.evaluate.protocol.sample import Sample
from zogan.evaluate.verdict.judge import Costs, judge
from zogan.evaluate.verdict.standing import standing
from zogan.evaluate.verdict.verdict import Standing, Verdict
from zogan.patch import Patch
from zogan.report.spoken import spoken
from zogan.run import Run

_TERMS = "protocol.json"


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


def write_terms(run: Run, protocol: Protocol, test: Sample, beside: Path | None) -> None:
    """Write protocol.json, before anything is measured by it."""
    where = None if beside is None else os.path.relpath(beside.resolve(), run.folder.resolve())
    run.write(_TERMS, Terms(protocol=protocol, test=test, beside=where).model_dump(mode="json"))


def judge_run(run: Run) -> Verdict:
    """Judge a run that is evaluated, as the stage `verdict`: kept where nothing that it reads has changed.

    Args:
        run: open, with evaluation.json and the protocol that it was measured by.

    Raises:
        RunError: the run is not evaluated yet, or by another protocol.
        IntegrityError: a file of it, or the freeze, is damaged.
    """
    terms = _terms(run)
    for file in (run.evaluation, run.patch):
        if not file.is_file():
            raise RunError(f"has no {file.name} yet", where=str(run.folder), todo="Run `zogan pilot` first")
    patch = Patch.load(run.patch)
    found = _standing(run, terms, patch.digest)
    costs = _costs(run)
    reads = {
        "terms": terms.model_dump(mode="json", include={"protocol", "test"}),
        "evaluation": run.evaluation,
        "patch": run.patch,
        **({"probes": run.probes} if run.probes.is_file() else {}),
        "costs": [costs.latency_ms, costs.peak_bytes],
        "standing": found.model_dump(mode="json"),
    }

    def make(path: Path) -> None:
        verdict = judge(
            terms.protocol,
            Evaluation.load(run.evaluation),
            Costs(costs.latency_ms, costs.peak_bytes, run.patch.stat().st_size, patch.density),
            found,
            patch=patch.digest,
            test=terms.test.sha256,
            probes=_probes(run, patch.digest),
        )
        path.write_text(spoken(verdict).dumps(), encoding="utf-8")

    run.stage("verdict", run.verdict, reads, make)
    return Verdict.load(run.verdict)


def _probes(run: Run, patch: str) -> Probes | None:
    """What was found in this patch; None where none, or another, was looked at."""
    found = Probes.load(run.probes) if run.probes.is_file() else None
    return found if found is not None and found.patch == patch else None


def _terms(run: Run) -> Terms:
    path = run.folder / _TERMS
    if not path.is_file():
        raise RunError(f"has no {_TERMS} yet", where=str(run.folder), todo="Run `zogan pilot` first")
    try:
        return Terms.model_validate_json(path.read_bytes())
    except ValueError as error:
        raise IntegrityError(f"is damaged: {' '.join(str(error).split())}", where=str(path)) from None


def _standing(run: Run, terms: Terms, patch: str) -> Standing:
    folders = [run.folder, *([run.folder / terms.beside] if terms.beside is not None else [])]
    path = lock.find(*folders)
    if path is None:
        return standing(None, None, looks=0, counted=False)
    frozen = lock.read(path)
    assert frozen is not None  # it was found
    seen = [one for one in looks.looks(path.with_name(looks.NAME)) if one.test == terms.test.sha256]
    counted = any(one.patch == patch for one in seen)
    return standing(frozen, changes(frozen, terms.protocol, terms.test), looks=len(seen), counted=counted)


def _costs(run: Run) -> Costs:
    """What the run measured while rows were predicted."""
    tree = run.read("costs.json")
    return Costs(tree.get("latency_ms"), tree.get("stages", {}).get("evaluate", {}).get("peak_bytes") or None)
