"""What of a model may be chosen: elements of matrices and embeddings, and vectors that train whole."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn

from zogan.config import PARAMETER_KINDS, ParameterKind
from zogan.errors import ConfigError, nearest
from zogan.sparse.layer import is_matrix, kernel_of
from zogan.sparse.selection import Selection

VECTORS: tuple[ParameterKind, ...] = ("biases", "norms")
"""Kinds that train whole: their elements are few, and to choose among them would save nothing."""


@dataclass(frozen=True)
class Pool:
    """What a selection chooses from.

    Attributes:
        kinds: that are asked for, in the order of `PARAMETER_KINDS`.
        matrices: parameter name to matrix. A share is one of all of these, also where none of them may be chosen.
        tables: parameter name to embedding matrix, where those are asked for.
        vectors: of each kind that trains whole, parameter name to vector.
    """

    kinds: tuple[ParameterKind, ...]
    matrices: Mapping[str, nn.Parameter]
    tables: Mapping[str, nn.Parameter]
    vectors: Mapping[ParameterKind, Mapping[str, nn.Parameter]]

    @property
    def weights(self) -> dict[str, nn.Parameter]:
        """All that a share is one of."""
        return {**self.matrices, **self.tables}

    @property
    def counted(self) -> frozenset[str]:
        """Names of those weights of which no element may be chosen."""
        return frozenset() if "matrices" in self.kinds else frozenset(self.matrices)

    def counts(self, selection: Selection) -> dict[ParameterKind, int]:
        """How many weights a selection has of each kind."""
        found: dict[ParameterKind, int] = dict.fromkeys(self.kinds, 0)
        for name, flat in selection.positions.items():
            if len(flat):
                found["embeddings" if name in self.tables else "matrices"] += len(flat)
        for kind, group in self.vectors.items():
            found[kind] = sum(parameter.numel() for name, parameter in group.items() if name in selection.whole)
        return found


class _Free(NamedTuple):
    """A parameter that nothing keeps from being chosen, but perhaps its kind: `attribute` of `module`."""

    name: str
    module: nn.Module
    attribute: str
    parameter: nn.Parameter


def pool_of(
    model: nn.Module,
    kinds: Iterable[str],
    *,
    include: str = ".*",
    exclude: str | None = None,
    whole: Iterable[str] = (),
) -> Pool:
    """What may be chosen of a model. See `eligible`.

    Raises:
        ConfigError: a kind is not known, nothing of these kinds is there, or a vector is in memory in 16 bits.
    """
    asked = {kinds} if isinstance(kinds, str) else set(kinds)
    for kind in sorted(asked - {*PARAMETER_KINDS}) if asked else [""]:
        raise ConfigError(
            f"no parameters are called {kind!r}", where="select.parameters", todo=nearest(kind, PARAMETER_KINDS)
        )
    known = tuple(kind for kind in PARAMETER_KINDS if kind in asked)
    whole = frozenset(whole)
    matrices = eligible(model, include=include, exclude=exclude, whole=whole)
    tables = {}
    if "embeddings" in known:
        tables = embeddings(model, include=include, exclude=exclude, whole=whole)
    loose = vectors(model, known, include=include, exclude=exclude, whole=whole)
    if "matrices" not in known and not tables and not any(loose.values()):
        raise ConfigError(
            f"the model has no {' or '.join(known)} that may be chosen",
            where="select.parameters",
            todo="Embeddings that are tied and what lies below budget.depth cannot; try matrices",
        )
    refuse_half({name: parameter.dtype for group in loose.values() for name, parameter in group.items()})
    return Pool(known, matrices, tables, loose)


def eligible(
    model: nn.Module, *, include: str = ".*", exclude: str | None = None, whole: Iterable[str] = ()
) -> dict[str, nn.Parameter]:
    """Matrices of which elements may be chosen: those of dense layers, without embeddings and tied weights.

    Args:
        model: any module.
        include: regular expression over names of parameters that may be chosen.
        exclude: regular expression over names of those that may not.
        whole: names that are left out, such as a head's.

    Raises:
        ConfigError: a pattern is no regular expression, or nothing matches.
    """
    found = {
        free.name: free.parameter
        for free in _free(model, include, exclude, whole)
        if free.attribute == "weight" and is_matrix(free.module)
    }
    if not found:
        raise ConfigError(
            f"no weight matches include={include!r}, exclude={exclude!r}",
            where="select",
            todo="Only matrices of linear layers that are not tied can be chosen",
        )
    return found


def embeddings(
    model: nn.Module, *, include: str = ".*", exclude: str | None = None, whole: Iterable[str] = ()
) -> dict[str, nn.Parameter]:
    """Embedding matrices of which elements may be chosen: of `nn.Embedding`, not tied. See `eligible`; may be none."""
    return {
        free.name: free.parameter
        for free in _free(model, include, exclude, whole)
        if isinstance(free.module, nn.Embedding) and kernel_of(free.module) is not None and not free.module.sparse
    }


def vectors(
    model: nn.Module,
    kinds: Collection[ParameterKind] = VECTORS,
    *,
    include: str = ".*",
    exclude: str | None = None,
    whole: Iterable[str] = (),
) -> dict[ParameterKind, dict[str, nn.Parameter]]:
    """Vectors that may train whole, not tied, for each of `VECTORS` that is asked for. See `eligible`; may be none.

    `biases` are those of dense layers; `norms` the weights and biases of normalisation layers.
    """
    found: dict[ParameterKind, dict[str, nn.Parameter]] = {kind: {} for kind in VECTORS if kind in kinds}
    for free in _free(model, include, exclude, whole):
        if "norms" in found and is_norm(free.module):
            found["norms"][free.name] = free.parameter
        elif "biases" in found and free.attribute == "bias" and is_matrix(free.module):
            found["biases"][free.name] = free.parameter
    return found


def is_norm(module: nn.Module) -> bool:
    """Whether a module is a normalisation layer: called so, or torch's own, with vectors alone."""
    own = [parameter for parameter in module._parameters.values() if parameter is not None]
    called = isinstance(module, nn.LayerNorm | nn.RMSNorm) or "Norm" in type(module).__name__
    return called and bool(own) and all(parameter.dim() == 1 for parameter in own)


def refuse_half(dtypes: Mapping[str, torch.dtype]) -> None:
    """See that vectors are in memory with enough bits to train in: small steps of AdamW are nothing in 16.

    Args:
        dtypes: of the vectors in memory, by name.

    Raises:
        ConfigError: one has 16 bits or fewer.
    """
    for name, dtype in dtypes.items():
        if dtype.itemsize < 4:
            raise ConfigError(
                f"{name} would train whole in {str(dtype).removeprefix('torch.')}, in which small steps are lost",
                where="select.parameters",
                todo="Have the weights in memory in fp32 (train.precision: fp32), or leave biases and norms out",
            )


def _free(model: nn.Module, include: str, exclude: str | None, whole: Iterable[str]) -> Iterator[_Free]:
    try:
        wanted, unwanted = re.compile(include), re.compile(exclude) if exclude else None
    except re.error as error:
        raise ConfigError(f"no regular expression: {error}", where="select.include or select.exclude") from None
    uses = Counter(id(p) for module in model.modules() for p in module._parameters.values() if p is not None)
    left_out = set(whole)
    for path, module in model.named_modules():
        for attribute, parameter in module._parameters.items():
            name = f"{path}.{attribute}" if path else attribute
            if parameter is None or uses[id(parameter)] > 1 or name in left_out:
                continue
            if wanted.search(name) and not (unwanted and unwanted.search(name)):
                yield _Free(name, module, attribute, parameter)
