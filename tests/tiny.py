"""Tiny random bases, written to a folder in a fraction of a second."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    LlamaModel,
    PreTrainedTokenizerFast,
)

CORPUS = (
    "the quick brown fox jumps over the lazy dog",
    "where is my card and when will it arrive",
    "thank you very much for the kind help",
    "お問い合わせありがとうございます",
)

CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|start|>' + message['role'] + '\\n' + message['content'] + '<|end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|start|>assistant\\n' }}{% endif %}"
)


def tiny_encoder(
    folder: Path,
    *,
    labels: Sequence[str] = (),
    pooling: str | None = None,
    normalize: bool = False,
    dtype: torch.dtype = torch.float32,
    layers: int = 2,
    width: int = 32,
    seed: int = 0,
    max_shard_size: str = "1GB",
) -> Path:
    """A BERT of two layers that reads 64 tokens.

    Args:
        folder: where it goes.
        labels: with a classification head of these.
        pooling: with sentence-transformers' files: mean, cls, max, ...
        normalize: those say that features are normalised.
        dtype: of the weights.
        layers: of the encoder.
        width: of the hidden states.
        seed: of the weights.
        max_shard_size: as in `save_pretrained`.
    """
    tokenizer = tiny_tokenizer(decoder=False)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=2 * width,
        max_position_embeddings=64,
        pad_token_id=tokenizer.pad_token_id,
        id2label=dict(enumerate(labels)) or None,
        label2id={label: index for index, label in enumerate(labels)} or None,
    )
    model = _seeded(BertForSequenceClassification if labels else BertModel, config, seed)
    _save(model, tokenizer, folder, dtype, max_shard_size)
    if pooling:
        _write(folder / "modules.json", _modules(normalize))
        _write(folder / "1_Pooling" / "config.json", _pooling(width, pooling))
        _write(folder / "sentence_bert_config.json", {"max_seq_length": 64, "do_lower_case": False})
    return folder


def tiny_decoder(
    folder: Path,
    *,
    labels: Sequence[str] = (),
    head: bool = True,
    chat_template: str | None = CHAT_TEMPLATE,
    bos: bool = False,
    tied: bool = True,
    dtype: torch.dtype = torch.float32,
    layers: int = 2,
    width: int = 32,
    seed: int = 0,
    max_shard_size: str = "1GB",
) -> Path:
    """A Llama of two layers that reads 128 tokens.

    Args:
        folder: where it goes.
        labels: with a classification head of these, instead of a language model's.
        head: with a language model's head; without, the body alone.
        chat_template: of the tokenizer.
        bos: the tokenizer puts an opening token before a text.
        tied: input and output embeddings are one.
        dtype: of the weights.
        layers: of the decoder.
        width: of the hidden states.
        seed: of the weights.
        max_shard_size: as in `save_pretrained`.
    """
    tokenizer = tiny_tokenizer(decoder=True, chat_template=chat_template, bos=bos)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=2 * width,
        max_position_embeddings=128,
        tie_word_embeddings=tied,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        id2label=dict(enumerate(labels)) or None,
        label2id={label: index for index, label in enumerate(labels)} or None,
    )
    kind = LlamaForSequenceClassification if labels else LlamaForCausalLM if head else LlamaModel
    _save(_seeded(kind, config, seed), tokenizer, folder, dtype, max_shard_size)
    return folder


def tiny_tokenizer(*, decoder: bool, chat_template: str | None = None, bos: bool = False) -> Any:
    """Byte-level BPE with few merges: any text can be read and comes back as it was."""
    special = ["<|end|>", "<|pad|>", "<|start|>"] if decoder else ["[PAD]", "[CLS]", "[SEP]", "[MASK]", "[UNK]"]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=special,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    if not decoder:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
        )
        return PreTrainedTokenizerFast(
            tokenizer_object=tokenizer,
            pad_token="[PAD]",
            cls_token="[CLS]",
            sep_token="[SEP]",
            mask_token="[MASK]",
            unk_token="[UNK]",
            model_max_length=64,
        )
    if bos:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<|start|> $A", special_tokens=[("<|start|>", 2)]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|end|>",
        pad_token="<|pad|>",
        model_max_length=128,
        **({"bos_token": "<|start|>"} if bos else {"extra_special_tokens": ["<|start|>"]}),
        **({"chat_template": chat_template} if chat_template else {}),
    )


def _seeded(kind: Any, config: Any, seed: int) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return kind(config)


def _save(model: Any, tokenizer: Any, folder: Path, dtype: torch.dtype, max_shard_size: str) -> None:
    model.to(dtype).save_pretrained(folder, max_shard_size=max_shard_size)
    tokenizer.save_pretrained(folder)


def _modules(normalize: bool) -> list[dict[str, object]]:
    kinds = [("", "Transformer"), ("1_Pooling", "Pooling"), *([("2_Normalize", "Normalize")] if normalize else [])]
    return [
        {"idx": index, "name": str(index), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for index, (path, kind) in enumerate(kinds)
    ]


def _pooling(width: int, mode: str) -> dict[str, object]:
    keys = {
        "cls": "pooling_mode_cls_token",
        "mean": "pooling_mode_mean_tokens",
        "max": "pooling_mode_max_tokens",
        "mean_sqrt_len_tokens": "pooling_mode_mean_sqrt_len_tokens",
        "last": "pooling_mode_lasttoken",
    }
    return {"word_embedding_dimension": width, **{key: name == mode for name, key in keys.items()}}


def _write(file: Path, content: object) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content))
