"""Load a base's model and tokenizer from its folder, and write such a folder."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from zogan.errors import IntegrityError, ModelError
from zogan.models.base import Base
from zogan.models.folder import UNBOUNDED, brief, stored_dtype
from zogan.models.names import tensor_names
from zogan.weights import headers, read_tensor

_LOCAL = {"local_files_only": True, "trust_remote_code": False}


def load_body(base: Base, *, dtype: torch.dtype | None = None, empty: bool = False) -> PreTrainedModel:
    """The model without any head, in evaluation mode; its output has `last_hidden_state`.

    Args:
        base: where from.
        dtype: of the parameters; as stored (that of most values) where absent.
        empty: without weights, which stand on the meta device; see `zogan.models.lean`.

    Raises:
        ModelError: a tensor is missing in the folder. (A pooler may be: nothing here uses it.)
        IntegrityError: the values in memory are not the folder's.
    """
    from transformers import AutoModel

    return _empty(AutoModel, base, dtype) if empty else _load(AutoModel, base, dtype, spare="pooler.")


def load_causal(base: Base, *, dtype: torch.dtype | None = None, empty: bool = False) -> PreTrainedModel:
    """The model with its language-model head; see `load_body`."""
    from transformers import AutoModelForCausalLM

    return (_empty if empty else _load)(AutoModelForCausalLM, base, dtype)


def load_classifier(base: Base, *, dtype: torch.dtype | None = None, empty: bool = False) -> PreTrainedModel:
    """The model with its own classification head; see `load_body`.

    Raises:
        ModelError: the base has no such head.
    """
    if base.labels is None:
        raise ModelError(f"{base.architecture} has no classification head", where=base.source)
    from transformers import AutoModelForSequenceClassification

    return (_empty if empty else _load)(AutoModelForSequenceClassification, base, dtype)


def load_tokenizer(base: Base) -> PreTrainedTokenizerBase:
    """The tokenizer. It has a padding token, and neither pads nor cuts unless asked to.

    Raises:
        ModelError: it cannot be read.
    """
    from transformers import AutoTokenizer

    with quiet():
        try:
            tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(str(base.folder), **_LOCAL)
        except Exception as error:  # of many libraries
            raise ModelError(f"its tokenizer cannot be read: {brief(error)}", where=str(base.folder)) from None
    if tokenizer.pad_token is None:
        # Padding is masked wherever it is used, so any token the model knows will do.
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token or tokenizer.bos_token
    if tokenizer.pad_token is None:
        raise ModelError("its tokenizer has no token to pad with", where=str(base.folder))
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:
        backend.no_padding()
        backend.no_truncation()
    if base.max_length < UNBOUNDED:
        tokenizer.model_max_length = base.max_length
    return tokenizer


def save_folder(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path, *, max_shard_size: str = "50GB"
) -> None:
    """Write a model and its tokenizer as a transformers folder, without a trace of where they came from.

    Args:
        model: dense; marks of an undone quantisation (GGUF) are taken off it, as they would forbid writing.
        tokenizer: of the model.
        folder: made if need be.
        max_shard_size: weights above it are written in shards.
    """
    for mark in ("hf_quantizer", "is_quantized", "quantization_method"):
        vars(model).pop(mark, None)
    for mark in ("quantization_config", "_model_name_or_path"):
        vars(model.config).pop(mark, None)
    for mark in ("is_local", "local_files_only", "name_or_path"):
        tokenizer.init_kwargs.pop(mark, None)
    folder.mkdir(parents=True, exist_ok=True)
    with quiet():
        model.save_pretrained(str(folder), max_shard_size=max_shard_size)
        tokenizer.save_pretrained(str(folder))


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bars, warnings or reports of transformers meanwhile."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def _empty(auto: Any, base: Base, dtype: torch.dtype | None) -> PreTrainedModel:
    """The model with its weights on the meta device; buffers, such as rotary tables, are real."""
    from accelerate import init_empty_weights
    from transformers import AutoConfig

    dtype = dtype or stored_dtype(headers(base.folder), base.folder)
    with quiet(), init_empty_weights(include_buffers=False):
        try:
            config = AutoConfig.from_pretrained(str(base.folder), **_LOCAL)
            model: PreTrainedModel = auto.from_config(config, dtype=dtype)
        except Exception as error:  # each model class raises its own
            raise ModelError(f"transformers cannot make it: {brief(error)}", where=str(base.folder)) from None
    model.tie_weights()  # each parameter was made anew on the meta device
    return model.eval()


def _load(auto: Any, base: Base, dtype: torch.dtype | None, spare: str | None = None) -> PreTrainedModel:
    if dtype is None:
        dtype = stored_dtype(headers(base.folder), base.folder)
    with quiet():
        try:
            model, report = auto.from_pretrained(
                str(base.folder), dtype=dtype, use_safetensors=True, output_loading_info=True, **_LOCAL
            )
        except Exception as error:  # each model class raises its own
            raise ModelError(f"transformers cannot load it: {brief(error)}", where=str(base.folder)) from None
    missing = sorted(name for name in report["missing_keys"] if spare is None or not name.startswith(spare))
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise ModelError(
            f"{type(model).__name__} needs tensor {missing[0]!r}{more}, which the folder has not",
            where=str(base.folder),
            todo=f"The folder holds a {base.architecture}",
        )
    _own(model, base)
    loaded: PreTrainedModel = model.eval()
    return loaded


def _own(model: PreTrainedModel, base: Base) -> None:
    """Give each parameter memory of its own, and see that it holds the bits of its tensor in the folder.

    transformers maps the file into memory: a patch applied in place to the folder would show in a loaded model.
    """
    infos, names = headers(base.folder), tensor_names(model, base)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name not in names:
                parameter.data = parameter.data.clone()
                continue
            stored = read_tensor(infos[names[name]]).to(parameter.dtype)
            if not _same_bits(stored, parameter.data):
                raise IntegrityError(
                    "transformers loads other values than are stored, so that patches would not fit",
                    where=str(infos[names[name]]),
                )
            parameter.data = stored
        for buffer in model.buffers():
            buffer.data = buffer.data.clone()


def _same_bits(one: Tensor, other: Tensor) -> bool:
    return torch.equal(one.contiguous().reshape(-1).view(torch.uint8), other.contiguous().reshape(-1).view(torch.uint8))
