"""The verdict of a run, from its files and the freeze that is in force."""

from __future__ import annotations

import os
from pathlib import Path

from zogan.errors import RunError
from zogan.evaluate.evaluation import Evaluation
from zogan.evaluate.probes.reading import Probes
from zogan.evaluate.protocol.protocol import Protocol
from zogan.evaluate.protocol.sample import Sample
from zogan.evaluate.verdict.judge import Costs, judge
from zogan.evaluate.verdict.terms import NAME, Terms, standing_of, terms_of
from zogan.evaluate.verdict.verdict import Verdict
from zogan.patch import Patch
from zogan.report.spoken import spoken
from zogan.run import Run


def write_terms(run: Run, protocol: Protocol, test: Sample, beside: Path | None) -> None:
    """Write protocol.json, before anything is measured by it."""
    where = None if beside is None else os.path.relpath(beside.resolve(), run.folder.resolve())
    run.write(NAME, Terms(protocol=protocol, test=test, beside=where).model_dump(mode="json"))


def judge_run(run: Run) -> Verdict:
    """Judge a run that is evaluated, as the stage `verdict`: kept where nothing that it reads has changed.

    Args:
        run: open, with evaluation.json and the protocol that it was measured by.

    Raises:
        RunError: the run is not evaluated yet, or by another protocol.
        IntegrityError: a file of it, or the freeze, is damaged.
    """
    terms = terms_of(run.folder)
    for file in (run.evaluation, run.patch):
        if not file.is_file():
            raise RunError(f"has no {file.name} yet", where=str(run.folder), todo="Run `zogan pilot` first")
    patch = Patch.load(run.patch)
    found = standing_of(run.folder, terms, patch.digest)
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


def _costs(run: Run) -> Costs:
    """What the run measured while rows were predicted."""
    tree = run.read("costs.json")
    return Costs(tree.get("latency_ms"), tree.get("stages", {}).get("evaluate", {}).get("peak_bytes") or None)
