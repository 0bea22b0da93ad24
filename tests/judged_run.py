"""A finished run under a frozen protocol, as the registry takes it; and a registry of two people."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import yaml

import zogan
from sample_run import sample_patch, write_run
from tiny_protocol import protocol, rows_at_hand
from zogan.evaluate.evaluation import Evaluation
from zogan.evaluate.evidence import digest_of_measured
from zogan.evaluate.protocol import lock, looks
from zogan.evaluate.verdict.judge import Costs, judge
from zogan.evaluate.verdict.terms import Terms, standing_of
from zogan.patch import Patch
from zogan.report.spoken import spoken

FROZEN_AT = "2026-01-02T03:04:05+00:00"


def patch_of(seed: int = 0, *, parent: str | None = None, layers: int = 2, base: str | None = None) -> Patch:
    """A patch that no other seed has, as a run on these data would have made it."""
    made = sample_patch(layers=layers)
    meta = made.meta.model_copy(
        update={
            "hashes": {"data": "0" * 64, "config": f"{seed:064x}"},
            "tools": {"zogan": zogan.__version__},
            "parent": parent,
            "base": made.meta.base.model_copy(update={"whole": base or made.meta.base.whole}),
            "task": {"name": "classification", "labels": ["negative", "neutral", "positive"]},
        }
    )
    return dataclasses.replace(made, meta=meta)


def write_judged(
    folder: Path,
    seed: int = 0,
    *,
    frozen: bool = True,
    parent: str | None = None,
    layers: int = 2,
    base: str | None = None,
    **asked: Any,
) -> Path:
    """Write a run that is better than what it is held against.

    Args:
        folder: is made.
        seed: of its patch.
        frozen: its protocol was, before it was measured.
        parent: digest of the patch that it was made from.
        layers: that its patch changes.
        base: digest of what the patch was made on; always the same where absent.
        asked: keys of the protocol.
    """
    write_run(folder, layers=2)
    patch = patch_of(seed, parent=parent, layers=layers, base=base)
    patch.save(folder / "patch.safetensors")
    terms = protocol(against="head_only", **asked).model_copy(update={"base": patch.meta.base.whole})
    test = rows_at_hand()
    tree = json.loads((folder / "evaluation.json").read_text())
    tree["evidence"]["of"] = digest_of_measured(terms)
    (folder / "evaluation.json").write_text(json.dumps(tree))
    environment = {"packages": {"zogan": zogan.__version__}, "cores": 2, "platform": "Linux x86_64"}
    (folder / "environment.json").write_text(json.dumps(environment))
    (folder / "report.html").write_text(f"<p>run {seed}</p>")
    (folder / "protocol.json").write_text(Terms(protocol=terms, test=test, beside=None).model_dump_json())
    if frozen:
        lock.freeze(folder, terms, test, at=FROZEN_AT)
        look = looks.Look(at=FROZEN_AT, patch=patch.digest, command="pilot", test=test.sha256)
        looks.add_look(folder / looks.NAME, look)
    judge_again(folder)
    return folder


def judge_again(folder: Path) -> None:
    """Write the verdict from the run's files as they are now."""
    terms = Terms.model_validate_json((folder / "protocol.json").read_bytes())
    patch = Patch.load(folder / "patch.safetensors")
    tree = json.loads((folder / "costs.json").read_text())
    size = (folder / "patch.safetensors").stat().st_size
    found = judge(
        terms.protocol,
        Evaluation.load(folder / "evaluation.json"),
        Costs(tree.get("latency_ms"), tree["stages"]["evaluate"]["peak_bytes"], size, patch.density),
        standing_of(folder, terms, patch.digest),
        patch=patch.digest,
        test=terms.test.sha256,
    )
    (folder / "verdict.json").write_text(spoken(found).dumps())


def configured(folder: Path, **registry: str) -> Path:
    """A zogan.yaml that names a registry."""
    path = folder / "zogan.yaml"
    tree = {"model": "base", "task": "classification", "data": {"train": "train.jsonl"}, "registry": registry}
    path.write_text(yaml.safe_dump(tree))
    return path
