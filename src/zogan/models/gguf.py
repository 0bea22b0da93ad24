"""GGUF files: converted once into the user's cache, as a transformers folder in fp32."""

from __future__ import annotations

import io
import re
import shutil
import tempfile
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from torch import nn

from zogan.disk import sync
from zogan.errors import IntegrityError, ModelError
from zogan.models.cache import file_digest
from zogan.models.folder import brief
from zogan.models.load import quiet, save_folder
from zogan.progress import Progress
from zogan.weights import headers, read_tensor

_FORMAT = 2  # a higher one makes every file convert again
_SPECIAL = {"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding"}
"""transformers' name of a special token, and GGUF's."""

_PROBE = "Hello, wörld! 12345  two spaces\n\n\tdef f(x): return x  # 象嵌 🙂"


def convert_gguf(file: Path, cache: Path, progress: Progress) -> Path:
    """The folder that a GGUF file was converted to, converting it if that has not been done.

    Whoever comes while another process converts the same file waits for it. A killed conversion leaves nothing
    that a later one would take for whole.

    Raises:
        ModelError: not a GGUF file, one part of several, an architecture that transformers cannot read, no room.
    """
    _refuse(file)
    target = cache / "gguf" / f"{file_digest(file, cache)}-{_FORMAT}"
    if target.is_dir():
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ModelError(
            f"the cache cannot be written: {error.strerror}",
            where=str(target.parent),
            todo="A GGUF file is converted there; set XDG_CACHE_HOME to a folder of yours",
        ) from None
    with FileLock(f"{target}.lock"):
        if not target.is_dir():
            for leftover in target.parent.glob(f"{target.name}.*.tmp"):
                shutil.rmtree(leftover)
            _need_room(file, target.parent)
            progress.note(f"converting {file.name} to safetensors, once (within a minute for 100 MB)")
            whole = Path(tempfile.mkdtemp(dir=target.parent, prefix=f"{target.name}.", suffix=".tmp"))
            try:
                _convert(file, whole)
                whole.replace(target)
            except BaseException:
                shutil.rmtree(whole, ignore_errors=True)
                raise
    return target


def _refuse(file: Path) -> None:
    with file.open("rb") as stream:
        if stream.read(4) != b"GGUF":
            raise ModelError("is no GGUF file", where=str(file), todo="The file is damaged or of another kind")
    if re.search(r"-\d{5}-of-\d{5}\.gguf$", file.name):
        raise ModelError(
            "is one part of several", where=str(file), todo="Join them: llama-gguf-split --merge FIRST_PART WHOLE"
        )
    try:
        import gguf  # noqa: F401
    except ImportError:
        raise ModelError(
            "the package gguf is not installed", where=str(file), todo="pip install 'zogan[gguf]'"
        ) from None


def _need_room(file: Path, folder: Path) -> None:
    import gguf

    try:
        need = sum(int(tensor.n_elements) for tensor in gguf.GGUFReader(file).tensors) * torch.float32.itemsize
    except (ValueError, IndexError, KeyError, OSError) as error:
        raise ModelError(f"cannot be read: {brief(error)}", where=str(file), todo="Copy the file again") from None
    free = shutil.disk_usage(folder).free
    if free < need * 1.1:
        raise ModelError(
            f"converted to fp32 it takes {need / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free",
            where=str(folder),
            todo="Make room, or set XDG_CACHE_HOME to a larger disk",
        )


def _convert(file: Path, folder: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    # Alone in a folder: transformers would also read whatever configuration lies beside the file. The bar over the
    # tensors is drawn whatever transformers is told.
    with tempfile.TemporaryDirectory(dir=folder) as alone, quiet(), redirect_stderr(io.StringIO()):
        (Path(alone) / "model.gguf").symlink_to(file.resolve())
        options = {"gguf_file": "model.gguf", "local_files_only": True, "trust_remote_code": False}
        try:
            tokenizer = AutoTokenizer.from_pretrained(alone, **options)
            model = AutoModelForCausalLM.from_pretrained(alone, dtype=torch.float32, **options)
        except Exception as error:  # an unknown architecture raises whatever it first trips over
            raise ModelError(
                f"transformers cannot convert it: {brief(error)}",
                where=str(file),
                todo="Give the model's own transformers folder instead",
            ) from None
        _mark_special(tokenizer, file)
        save_folder(model, tokenizer, folder)
    with quiet():
        _verify(model, tokenizer, folder)
    for path in folder.iterdir():
        sync(path)
    sync(folder)


def _mark_special(tokenizer: Any, file: Path) -> None:
    """Give the tokenizer the special tokens that the file names: some versions of transformers take others instead,
    and with another end token answers never end and training learns what stands after them."""
    import gguf

    fields = gguf.GGUFReader(file).fields
    for name, named in _SPECIAL.items():
        if (field := fields.get(f"tokenizer.ggml.{named}_token_id")) is None:
            continue
        index = int(field.contents())
        if getattr(tokenizer, f"{name}_token_id") != index:
            setattr(tokenizer, f"{name}_token", tokenizer.convert_ids_to_tokens(index))


def _verify(model: nn.Module, tokenizer: Any, folder: Path) -> None:
    from transformers import AutoTokenizer

    state = model.state_dict()
    for name, info in headers(folder).items():
        if name in state and not torch.equal(read_tensor(info), state[name]):
            raise IntegrityError("was not written as it was converted", where=str(info))
    again = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    same = (
        again(_PROBE)["input_ids"] == tokenizer(_PROBE)["input_ids"]
        and again.chat_template == tokenizer.chat_template
        and again.special_tokens_map == tokenizer.special_tokens_map
    )
    if not same:
        raise IntegrityError("the tokenizer was not written as it was converted", where=str(folder))
