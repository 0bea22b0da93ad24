"""What a patch says of itself: canonical JSON in the file's metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

FORMAT: Final = 1

TEMPERATURE: Final = "temperature"
"""Key of a patch's `task`: what its logits are divided by. It was fitted on this very model, and holds of no other."""

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, Field(min_length=1, max_length=500)]
Size = Annotated[int, Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class BaseMeta(_Part):
    """The base that the patch belongs to; digests as `zogan.weights` defines them."""

    whole: Sha256 = Field(description="digest over all tensors of the base")
    weights: Size = Field(description="weights in all tensors of the base")
    tensors: dict[Name, Sha256] = Field(description="digest of each changed tensor, before")


class PatchMeta(_Part):
    """All that is no tensor. `base.tensors`, `shapes` and `after` name the same tensors: those that change."""

    format: Literal[1] = FORMAT
    base: BaseMeta
    shapes: dict[Name, tuple[Size, ...]] = Field(description="shape of each changed tensor")
    after: dict[Name, Sha256] = Field(description="digest of each changed tensor, after")
    task: dict[str, Any] = Field(default_factory=dict, description="what using the result needs: labels, pooling, …")
    tools: dict[str, str] = Field(default_factory=dict, description="versions of what made it")
    hashes: dict[str, str] = Field(default_factory=dict, description="of the configuration, data, selection")
    parent: Sha256 | None = Field(None, description="digest of the patch that this one was made from")
    adapter: dict[str, Any] | None = Field(None, description="PEFT's adapter_config.json, where adapters are in it")

    def dumps(self) -> str:
        """The one text of this content: keys sorted, no spaces, no NaN.

        Raises:
            ValueError: something in `task` or `adapter` is no JSON.
        """
        return canonical(self.model_dump(mode="python"))

    @classmethod
    def loads(cls, text: str) -> PatchMeta:
        """Read what `dumps` wrote, and nothing else.

        Raises:
            ValueError: no JSON, not in its one form, another format, a missing or unknown key.
        """
        try:
            return cls._loads(text)
        except RecursionError:
            raise ValueError("metadata is nested too deep") from None

    @classmethod
    def _loads(cls, text: str) -> PatchMeta:
        tree = json.loads(text)
        if not isinstance(tree, dict) or tree.get("format") != FORMAT:
            found = tree.get("format") if isinstance(tree, dict) else None
            raise ValueError(f"format {found!r} is unknown here; this zogan reads format {FORMAT}")
        try:
            meta = cls.model_validate_json(text)
        except ValidationError as error:
            fault = error.errors()[0]
            raise ValueError(f"metadata: {'.'.join(map(str, fault['loc']))}: {fault['msg']}") from None
        if meta.dumps() != text:
            raise ValueError("metadata is not in its canonical form")
        return meta


def of_any_model(task: dict[str, Any]) -> dict[str, Any]:
    """What of a patch's `task` still holds where its values stand in another model."""
    return {key: value for key, value in task.items() if key != TEMPERATURE}


def learnt_from(hashes: Mapping[str, str], data: str) -> bool:
    """Whether a patch says that it, and each part that it was composed of, learnt from these rows and no others.

    Args:
        hashes: of the patch; a composed one has those of each part, `1.data` and so on.
        data: digest of the rows, SHA-256 in hex.
    """
    named = [value for key, value in hashes.items() if key.rpartition(".")[2] == "data"]
    return bool(named) and all(value == data for value in named)


def canonical(tree: Any, *, indent: int | None = None) -> str:
    """JSON of which the same content always makes the same text."""
    separators = (",", ":") if indent is None else (",", ": ")
    # Through JSON once before, so that keys are text when they are sorted.
    tree = json.loads(json.dumps(tree, allow_nan=False))
    return json.dumps(tree, sort_keys=True, separators=separators, ensure_ascii=False, indent=indent)
