"""The front matter of a model card, as the Hugging Face hub reads it: licence, base, language, figures."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import EvalResult, ModelCardData

from zogan.errors import ZoganError
from zogan.models.package import PREFIX, find_package
from zogan.report.facts import model_name
from zogan.report.record import Record

_PIPELINES = {"classification": "text-classification", "generation": "text-generation"}
_METRICS: dict[str, tuple[str, dict[str, Any] | None]] = {
    "macro_f1": ("f1", {"average": "macro"}),
    "rouge_l": ("rouge", {"rouge_types": ["rougeL"]}),
}
"""Figures whose name on the hub is another, with the options that make it the same."""

_KANA = re.compile("[ぁ-んァ-ヶ]")
_READ = 1 << 20
"""Of the base's own card, characters at most."""


def front_matter(record: Record) -> str:
    """YAML with what the hub asks for, made and checked by its own library; no network is used.

    What the base's own card says of licence and languages is passed on, with Japanese where the test rows' examples
    have kana. Where it has none, the licence is `other`, as the base's, and the language undetermined.

    Args:
        record: the run.
    """
    own = _of_base(record)
    licence = own.get("license")
    name = f"{model_name(record)}-{record.verdict.patch[:12]}"
    data = ModelCardData(
        base_model=model_name(record),
        base_model_relation="finetune",
        language=_languages(own, record),
        license=licence or "other",
        license_name=own.get("license_name") if licence else "as-the-base",
        library_name="zogan",
        pipeline_tag=_PIPELINES[record.config.task],
        tags=["zogan", "sparse-fine-tuning", record.verdict.outcome],
        metrics=sorted({_METRICS.get(one.name, (one.name, None))[0] for one in record.metrics}),
        model_name=name,
        eval_results=[_result(record, one.name) for one in record.metrics],
    )
    return f"{data.to_yaml(line_break=chr(10)).strip()}\n"


def _result(record: Record, metric: str) -> EvalResult:
    test = record.config.data.test or record.config.data.train
    kind, options = _METRICS.get(metric, (metric, None))
    after = record.evaluation.after
    assert after is not None  # a record has both sides
    return EvalResult(
        task_type=_PIPELINES[record.config.task],
        dataset_type="private",
        dataset_name=test.name,
        dataset_split=record.evaluation.split,
        dataset_revision=record.verdict.test,
        metric_type=kind,
        metric_name=metric,
        metric_value=after[metric].value,
        metric_args=options,
    )


def _of_base(record: Record) -> dict[str, Any]:
    """The front matter of the base's own card; empty where it has none that can be read."""
    source = record.config.model
    try:
        folder = find_package(source.removeprefix(PREFIX)) if source.startswith(PREFIX) else Path(source)
        folder = folder.parent if folder.is_file() else folder  # a .gguf file
        text = (folder / "README.md").read_text(encoding="utf-8")[:_READ]
        match = re.match(r"\ufeff?---\r?\n(.*?)\r?\n---", text, re.DOTALL)
        found = yaml.safe_load(match[1]) if match else {}
    except (ZoganError, OSError, ValueError, yaml.YAMLError):
        return {}
    return found if isinstance(found, dict) else {}


def _languages(own: Mapping[str, Any], record: Record) -> str | list[str]:
    """Of the base, and of the rows."""
    given = own.get("language")
    found = [str(one) for one in given] if isinstance(given, list) else [str(given)] if given else []
    if _japanese(record) and "ja" not in found:
        found.append("ja")
    return found if len(found) > 1 else found[0] if found else "und"


def _japanese(record: Record) -> bool:
    """Whether there are kana in the examples."""
    sides = record.evaluation.examples
    return any(_KANA.search(str(one.model_dump().values())) for one in (*sides.better, *sides.worse))
