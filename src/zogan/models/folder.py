"""What a transformers folder says of itself, and the reasons to refuse it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from zogan.errors import ModelError, one_line
from zogan.models.sentence import read_json
from zogan.weights import TensorInfo, headers

UNBOUNDED = 2**31 - 1
"""Tokens: the length limit where nothing in the folder bounds it."""

_TOKENIZERS = (
    "tokenizer.json",
    "tokenizer.model",
    "vocab.txt",
    "vocab.json",
    "spiece.model",
    "sentencepiece.bpe.model",
    "spm.model",
    "tekken.json",
)
_KERNELS = ("attn_implementation", "_attn_implementation", "experts_implementation")


@dataclass(frozen=True)
class Facts:
    """See `Base`."""

    architecture: str
    decoder: bool
    labels: tuple[str, ...] | None
    max_length: int
    dropout: bool


def inspect(folder: Path) -> Facts:
    """Read a folder's configuration and headers, without loading a weight.

    Raises:
        ModelError: it cannot be used, with how to convert it.
        IntegrityError: damaged weights.
    """
    _refuse_adapter(folder)
    raw = _raw_config(folder)
    infos = headers(folder)
    stored_dtype(infos, folder)
    if not any((folder / name).is_file() for name in _TOKENIZERS):
        raise ModelError(
            "has no tokenizer",
            where=str(folder),
            todo="Copy tokenizer.json and tokenizer_config.json from where the model came from",
        )
    return _facts(folder, raw)


def stored_dtype(infos: Mapping[str, TensorInfo], folder: Path) -> torch.dtype:
    """The dtype of most of a folder's values: fp32, bf16 or fp16.

    Raises:
        ModelError: another one.
    """
    counts: Counter[torch.dtype] = Counter()
    for info in infos.values():
        if info.torch_dtype.is_floating_point:
            counts[info.torch_dtype] += info.numel
    if not counts:
        raise ModelError("holds no floating-point tensor", where=str(folder))
    dtype = max(counts, key=lambda one: counts[one])
    if dtype not in (torch.float32, torch.bfloat16, torch.float16):
        raise ModelError(
            f"most weights are {str(dtype).removeprefix('torch.')}, which cannot be trained here",
            where=str(folder),
            todo="Convert a copy: AutoModel.from_pretrained(FOLDER).float().save_pretrained(NEW)",
        )
    return dtype


def _refuse_adapter(folder: Path) -> None:
    if (folder / "adapter_config.json").is_file():
        whole = (folder / "config.json").is_file()
        raise ModelError(
            "has a LoRA adapter beside the model" if whole else "is a LoRA adapter, not a model",
            where=str(folder),
            todo="Merge it into its base: PeftModel.from_pretrained(BASE_MODEL, FOLDER).merge_and_unload()"
            ".save_pretrained(NEW); then give NEW",
        )


def _raw_config(folder: Path) -> dict[str, Any]:
    file = folder / "config.json"
    if not file.is_file():
        gguf = sorted(path.name for path in folder.glob("*.gguf"))
        todo = f"Give the file itself: {folder / gguf[0]}" if gguf else "A base is a folder that save_pretrained wrote"
        raise ModelError("has no config.json", where=str(folder), todo=todo)
    raw = read_json(file)
    if not isinstance(raw, dict) or not isinstance(raw.get("model_type"), str):
        raise ModelError("names no model_type", where=str(file))
    _refuse_code(folder, raw)
    method = raw.get("quantization_config") or raw.get("compression_config")
    if method:
        name = method.get("quant_method", "some method") if isinstance(method, dict) else str(method)
        raise ModelError(
            f"the weights are quantised ({name}): single values cannot be replaced in them",
            where=str(file),
            todo="Give the model that was quantised, in bf16 or fp32; or a GGUF file, which is converted",
        )
    if raw.get("transformers_weights", "model.safetensors") != "model.safetensors":
        raise ModelError(
            f"keeps its weights in {raw['transformers_weights']!r}",
            where=str(file),
            todo="Write the folder again: AutoModel.from_pretrained(FOLDER).save_pretrained(NEW)",
        )
    for key in _KERNELS:
        if "/" in str(raw.get(key, "")):
            raise ModelError(f"{key} {raw[key]!r} would be fetched from a hub", where=str(file), todo=f"Delete {key}")
    return raw


def _refuse_code(folder: Path, raw: Mapping[str, Any]) -> None:
    for file in (folder / "config.json", folder / "tokenizer_config.json"):
        tree = raw if file.name == "config.json" else (read_json(file) if file.is_file() else {})
        if isinstance(tree, dict) and tree.get("auto_map"):
            from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

            kind = raw["model_type"]
            raise ModelError(
                "auto_map asks to run code that came with the model (trust_remote_code)",
                where=str(file),
                todo=f"transformers itself knows {kind!r}: delete auto_map from a copy of the folder"
                if kind in CONFIG_MAPPING_NAMES
                else f"transformers itself does not know {kind!r}, so it cannot be used",
            )


def _facts(folder: Path, raw: Mapping[str, Any]) -> Facts:
    from transformers import AutoConfig
    from transformers.models.auto import modeling_auto

    try:
        config = AutoConfig.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    except Exception as error:  # a wrong value raises whatever the model's own configuration class raises
        raise ModelError(f"transformers cannot read it: {brief(error)}", where=str(folder / "config.json")) from None
    if config.is_encoder_decoder:
        raise ModelError(
            f"{raw['model_type']} is an encoder-decoder, which is not supported",
            where=str(folder),
            todo="Give an encoder (such as BERT) or a decoder (such as Llama)",
        )
    architecture = (config.architectures or [raw["model_type"]])[0]
    # Families with a causal head and no masked one read left to right. The encoders with a causal head besides
    # (BERT) do so only when their configuration says it.
    causal = raw["model_type"] in modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    masked = raw["model_type"] in modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES
    decoder = bool(getattr(config, "is_decoder", False)) or (causal and not masked)
    heads = modeling_auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES.values()
    labels = None
    if architecture in heads:
        labels = tuple(str(config.id2label[index]) for index in sorted(config.id2label))
    return Facts(architecture, decoder, labels, _max_length(folder, config), _has_dropout(config))


def _has_dropout(config: Any) -> bool:
    """Whether layers drop something in training, and not the embedding or a head alone, by models' usual names."""
    rates = {name: rate for name, rate in config.get_text_config().to_dict().items() if "drop" in name}
    elsewhere = ("emb", "classifier", "summary", "pooler", "layerdrop")
    return any(type(rate) is float and rate > 0 and not name.startswith(elsewhere) for name, rate in rates.items())


def _max_length(folder: Path, config: Any) -> int:
    lengths = [getattr(config.get_text_config(), "max_position_embeddings", None)]
    file = folder / "tokenizer_config.json"
    if file.is_file():
        tree = read_json(file)
        lengths.append(tree.get("model_max_length") if isinstance(tree, dict) else None)
    # A tokenizer without a limit says 1e30.
    return min((length for length in lengths if type(length) is int and 0 < length < UNBOUNDED), default=UNBOUNDED)


def brief(error: BaseException, limit: int = 300) -> str:
    """An error of another library on one line of at most `limit` characters."""
    text = one_line(error) or type(error).__name__
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
