"""Sentence-encoder folders: where the body lies, how its outputs become one vector, how much it reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from zogan.errors import ModelError

Mode = Literal["mean", "cls", "max", "mean_sqrt_len_tokens", "last"]

_MODES: dict[str, Mode] = {
    "mean": "mean",
    "cls": "cls",
    "max": "max",
    "mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "lasttoken": "last",
}
"""sentence-transformers' name of a mode -> ours."""

_OLD_KEYS = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_lasttoken": "lasttoken",
    "pooling_mode_weightedmean_tokens": "weightedmean",
}
_PLAIN = "To use the body alone, with mean pooling, give a copy of the folder without modules.json"


@dataclass(frozen=True)
class Pooling:
    """How the hidden states of a row become one vector, and whether that is brought to length 1."""

    mode: Mode
    normalize: bool


@dataclass(frozen=True)
class Sentence:
    """What modules.json says: the body's folder, the pooling, the most tokens it reads (None: no word of it)."""

    body: Path
    pooling: Pooling
    max_length: int | None


def read_sentence(folder: Path) -> Sentence | None:
    """Read a sentence-encoder folder; None where there is no modules.json.

    Raises:
        ModelError: a module or a pooling that zogan does not know: leaving it out would change what the base says.
    """
    file = folder / "modules.json"
    if not file.is_file():
        return None
    modules = read_json(file)
    if not isinstance(modules, list) or not all(isinstance(module, dict) for module in modules):
        raise ModelError("holds no list of modules", where=str(file), todo=_PLAIN)
    body, mode, normalize = None, None, False
    for module in modules:
        kind, place = str(module.get("type", "")).rpartition(".")[2], _inside(folder, module.get("path", ""), file)
        if kind == "Transformer" and body is None:
            body = place
        elif kind == "Pooling" and mode is None:
            mode = _mode(place / "config.json")
        elif kind == "Normalize":
            normalize = True
        elif kind != "Dropout":  # at rest when a model is used
            raise ModelError(f"module {kind!r} cannot be used", where=str(file), todo=_PLAIN)
    if body is None or mode is None:
        raise ModelError("names no Transformer or no Pooling module", where=str(file), todo=_PLAIN)
    return Sentence(body, Pooling(mode, normalize), _max_length(folder, body))


def read_json(file: Path) -> Any:
    """Parse a JSON file of a base.

    Raises:
        ModelError: it is missing, or not JSON.
    """
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"cannot be read: {error.strerror}", where=str(file)) from None
    except (ValueError, RecursionError) as error:
        raise ModelError(f"not readable as JSON: {error}", where=str(file)) from None


def _inside(folder: Path, path: object, file: Path) -> Path:
    if not isinstance(path, str) or PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
        raise ModelError(f"module path {path!r} leads out of the folder", where=str(file))
    return folder / path


def _mode(file: Path) -> Mode:
    config = read_json(file)
    chosen = _chosen(config) if isinstance(config, dict) else []
    if len(chosen) != 1 or chosen[0] not in _MODES:
        said = " + ".join(chosen) or "none"
        known = ", ".join(sorted(_MODES))
        raise ModelError(
            f"pooling {said!r} cannot be used (known, one at a time: {known})", where=str(file), todo=_PLAIN
        )
    return _MODES[chosen[0]]


def _chosen(config: Mapping[str, Any]) -> list[str]:
    if "pooling_mode" in config:
        mode = config["pooling_mode"]
        return [str(one) for one in mode] if isinstance(mode, list) else [str(mode)]
    return [mode for key, mode in _OLD_KEYS.items() if config.get(key)]


def _max_length(folder: Path, body: Path) -> int | None:
    # The file's name has the body's family in it: sentence_bert_config.json, sentence_roberta_config.json, ...
    for file in sorted({*folder.glob("sentence_*_config.json"), *body.glob("sentence_*_config.json")}):
        config = read_json(file)
        length = config.get("max_seq_length") if isinstance(config, dict) else None
        if type(length) is int and length > 0:
            return length
    return None
