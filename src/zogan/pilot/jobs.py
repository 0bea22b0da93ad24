"""The jobs of a run: its own, what it is held against, and the same with the protocol's other seeds."""

from __future__ import annotations

from typing import Any

from zogan.config import AdaptersConfig, BudgetConfig, Config, LoraConfig, RegularizeConfig, SelectConfig, TrainConfig
from zogan.errors import ConfigError
from zogan.tasks.job import Job

_BESIDE = (".json", ".txt", ".jinja", ".model")

_NO_RESELECTION = {name: TrainConfig.model_fields[name].default for name in ("reselect", "reselect_share")}

HEAD_ONLY = {
    "epochs": 60,
    "patience": 8,
    "head_rate": 0.01,
    "head_start": "normal",
    "head_warmup": 0.0,
    "batch_size": 32,
    "tokens_per_batch": None,
    "weight_decay": 0.0,
    **_NO_RESELECTION,
}
"""The reference that a new head is held against: fitted to the end on frozen features, which costs seconds."""


def head_job(job: Job) -> Job | None:
    """What fits the new head that is compared with; None where the base keeps its own, or has none."""
    if not job.new_head:
        return None
    return job.under(_head_only(job.config))


def full_job(job: Job) -> Job | None:
    """Full fine-tuning on the same loop and rows, at its own rate, without R-Drop and interpolation.

    None where it is not asked for.
    """
    if job.config.protocol.against != "full":
        return None
    config = job.config
    train = config.train.model_copy(update={"rate": None, **_NO_RESELECTION})
    others = {
        "select": SelectConfig(),
        "budget": BudgetConfig(memory=config.budget.memory),
        "lora": LoraConfig(),
        "adapters": AdaptersConfig(),
        "regularize": config.regularize.model_copy(update={"r_drop": 0.0, "interpolate": 0}),
    }
    return job.under(config.model_copy(update={"method": "full", "train": train, **others}))


def seeded(job: Job) -> dict[int, Job]:
    """The job with each of the protocol's seeds but its own.

    Raises:
        ConfigError: its own is not among them.
    """
    own, seeds = job.config.train.seed, job.config.protocol.seeds or (job.config.train.seed,)
    if own not in seeds:
        raise ConfigError(
            f"{', '.join(map(str, seeds))} do not hold train.seed, {own}, whose patch is the result",
            where="protocol.seeds",
            todo=f"Add {own}, or set train.seed to one of them",
        )
    found = {}
    for seed in seeds:
        if seed != own:
            train = job.config.train.model_copy(update={"seed": seed})
            found[seed] = job.under(job.config.model_copy(update={"train": train}))
    return found


def reads(job: Job) -> dict[str, Any]:
    """What every stage's result depends on."""
    # The fingerprint is of the weights; tokenizer, chat template and configuration lie beside them.
    beside = [file for file in job.base.folder.iterdir() if file.suffix in _BESIDE and not file.match("*.index.json")]
    return {
        "base": job.base.fingerprint.whole,
        "data": job.splits.digest,
        "task": job.task.describe(),
        **{f"base/{file.name}": file for file in beside},
    }


def _head_only(config: Config) -> Config:
    """The same for every method and selection, so that it is fitted once; the memory changes no byte of it."""
    train = config.train.model_copy(update={**HEAD_ONLY, "rate": None, "cache": "auto", "cache_dtype": None})
    budget = BudgetConfig(memory=config.budget.memory)
    others = {
        "select": SelectConfig(),
        "budget": budget,
        "regularize": RegularizeConfig(),
        "lora": LoraConfig(),
        "adapters": AdaptersConfig(),
    }
    return config.model_copy(update={"method": "head", "train": train, **others})
