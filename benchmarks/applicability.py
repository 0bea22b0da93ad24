"""Claim: what `zogan check` answers before tuning is what tuning then shows.

On each setting check looks at training and validation rows alone; then the figures on held-out rows are set against
its answer: of the untuned (a head alone, or for generation the base), of ours by its defaults, and of the best of LoRA
and full fine-tuning where there is such a cell. Cells of other benchmarks that fit are taken from benchmarks/results/;
the others are tuned here, each in a process of its own, and kept.

    python benchmarks/applicability.py --data FOLDER [--settings banking77-3 sentiment-50] [--budget-minutes 25]

FOLDER holds banking77/, e2e-cleaned/ and jcommonsenseqa/, each with its rows as JSONL.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import curves
import development
from methods import Row, merged
from zogan.config import parse_config
from zogan.data.batch import batch_size
from zogan.environment import environment
from zogan.pilot import HEAD_ONLY
from zogan.tasks import open_job

Make = Callable[[Path, Path, int, int], Row]

SETTINGS: dict[str, tuple[Make, int]] = {
    "sentiment-50": (development.sentiment, 50),
    "sentiment-200": (development.sentiment, 200),
    "banking77-3": (development.banking77, 3),
    "banking77-10": (development.banking77, 10),
    "banking77-30": (development.banking77, 30),
    "dialogues-200": (development.support_dialogues, 200),
    "jcommonsenseqa-200": (development.jcommonsenseqa, 200),
    "e2e-cleaned-300": (lambda data, folder, rows, seed: curves.e2e(data / "e2e-cleaned", folder, rows), 300),
}
"""Name to what draws its rows, and how many (of a classification: a class)."""

HEAD: Row = {"method": "head", "train": {**HEAD_ONLY, "patience": None}}

VARIANTS: dict[str, tuple[Row, ...]] = {
    "untuned": (HEAD,),
    "ours": ({},),
    "others": (
        {"method": "full", "train": {"rate": 5e-5}},
        {"method": "full", "train": {"rate": 1e-4}},
        {"method": "lora", "train": {"rate": 1e-3}},
        {"method": "lora", "train": {"rate": 2e-3}},
    ),
}
"""What is held against what, each at some settings of which the best on validation counts."""

TUNED: dict[str, tuple[Row, ...]] = {
    "banking77-3": (HEAD, {}),
    "banking77-30": (HEAD, {}),
    "dialogues-200": ({}, {"method": "lora", "train": {"rate": 1e-3}}),
    "jcommonsenseqa-200": ({}, {"method": "lora", "train": {"rate": 1e-3}}),
}
"""Cells that no other benchmark has measured."""
