"""Make a model train in part, and take that back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Int64
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from zogan.errors import ZoganError, nearest
from zogan.sparse.layer import Sparse, choose_anew, kernel_of, make_plain, make_sparse
from zogan.sparse.rounding import see_rounded
from zogan.sparse.selection import Selection

_BEFORE = "_zogan_before"


@dataclass(frozen=True)
class Delta:
    """What changed in one parameter.

    Attributes:
        positions: flat positions, int64, strictly increasing.
        old: what stood there, in the dtype that the base is stored in.
        new: what stands there now, the same dtype.
    """

    positions: Int64[Tensor, " n"]
    old: Tensor
    new: Tensor


@dataclass(frozen=True)
class _Before:
    """What `detach` needs to give the plain model back."""

    trainable: tuple[str, ...]
    whole: Mapping[str, Tensor]
    vectors: tuple[str, ...]
    stored: Mapping[str, torch.dtype]
    hooks: tuple[RemovableHandle, ...]


def attach(model: nn.Module, selection: Selection, *, stored: Mapping[str, torch.dtype] | None = None) -> None:
    """Let only the chosen weights of `model` train, in place. Names and the base's state-dict keys stay.

    Every other parameter is frozen; those in `selection.whole` train whole. Afterwards
    `[p for p in model.parameters() if p.requires_grad]` is what an optimiser needs.

    Args:
        model: any module; the chosen parameters must be weights of `nn.Linear`, `nn.Embedding` or `Conv1D`.
        selection: from `zogan.select`.
        stored: dtype per parameter that the base is stored in, where the model was loaded in another; values are
            rounded to it while training, vectors too, so that a patch holds exactly what was trained.

    Raises:
        ZoganError: a name is not in the model, its shape differs, its layer cannot train in part, or is tied.
    """
    if hasattr(model, _BEFORE):
        raise ZoganError("a selection is attached already", todo="Call zogan.detach(model) first")
    stored = dict(stored or {})
    owners = {f"{path}.weight" if path else "weight": module for path, module in model.named_modules()}
    parameters = dict(model.named_parameters())
    uses = Counter(id(p) for module in model.modules() for p in module._parameters.values() if p is not None)
    chosen = {name: flat for name, flat in selection.positions.items() if len(flat)}
    for name in chosen:
        _refuse(name, owners.get(name), parameters, selection.shapes[name], uses)
    for name in selection.whole:
        if name not in parameters:
            raise ZoganError("is to train whole but is not in the model", where=name, todo=nearest(name, parameters))
    for name in selection.vectors:
        _refuse_shape(name, parameters[name], selection.shapes[name])
    trainable = tuple(name for name, p in parameters.items() if p.requires_grad)
    for parameter in parameters.values():
        parameter.requires_grad_(False)
    for name, flat in chosen.items():
        make_sparse(owners[name], flat, stored.get(name))
    whole = {name: parameters[name].detach().clone() for name in selection.whole}
    for name in selection.whole:
        parameters[name].requires_grad_(True)
    hooks: list[RemovableHandle] = []
    for name in selection.vectors:
        path, _, last = name.rpartition(".")
        if (dtype := stored.get(name, parameters[name].dtype)) != parameters[name].dtype:
            hooks += see_rounded(model.get_submodule(path), last, dtype)
    setattr(model, _BEFORE, _Before(trainable, whole, selection.vectors, stored, tuple(hooks)))


def deltas(model: nn.Module) -> dict[str, Delta]:
    """What has changed so far, by parameter name, without detaching. See `detach`."""
    before = _before(model)
    found = {}
    for path, module in model.named_modules():
        if isinstance(module, Sparse) and len(module.chosen):
            new = module.values.detach().to(module.old.dtype, copy=True)
            found[f"{path}.weight" if path else "weight"] = Delta(module.chosen, module.old, new)
    for name, old in before.whole.items():
        dtype = before.stored.get(name, old.dtype)
        new = model.get_parameter(name).detach().reshape(-1).to(dtype, copy=True)
        found[name] = Delta(torch.arange(old.numel(), device=old.device), old.reshape(-1).to(dtype), new)
    return {name: found[name] for name in sorted(found)}


def old_values(model: nn.Module) -> dict[str, Tensor]:
    """What stood at the chosen weights, fp32, by the name of the parameter that trains in their place.

    A new head, which trains whole too, had no value of the base's.
    """
    found = {
        f"{path}.values" if path else "values": module.old.float()
        for path, module in model.named_modules()
        if isinstance(module, Sparse)
    }
    before = _before(model)
    return found | {name: before.whole[name].float() for name in before.vectors}


def reserve(model: nn.Module, names: Iterable[str]) -> None:
    """Make ready the layers of these weights of which none is chosen: `rechoose` may choose some later.

    Args:
        model: with a selection attached.
        names: of weights that a selection could have.
    """
    before, parameters = _before(model), dict(model.named_parameters())
    for name in names:
        layer = model.get_submodule(name.rpartition(".")[0])
        if not isinstance(layer, Sparse):
            none = torch.empty(0, dtype=torch.int64)
            make_sparse(layer, none.to(parameters[name].device), before.stored.get(name))


def sparse_layers(model: nn.Module) -> dict[str, Sparse]:
    """The layers of which some weights train, or may come to, by the name of their weight, sorted."""
    found = {
        f"{path}.weight" if path else "weight": module
        for path, module in model.named_modules()
        if isinstance(module, Sparse)
    }
    return {name: found[name] for name in sorted(found)}


def rechoose(model: nn.Module, positions: Mapping[str, Int64[Tensor, " _"]]) -> None:
    """Let other weights train in place of those that do: see `zogan.sparse.layer.choose_anew`.

    Args:
        model: with a selection attached, and the layers of all these weights made ready.
        positions: parameter name to flat positions, strictly increasing; other layers stay as they are.
    """
    layers = sparse_layers(model)
    for name, chosen in positions.items():
        choose_anew(layers[name], chosen)


def detach(model: nn.Module) -> dict[str, Delta]:
    """Give the plain model back, tuned, and say what changed.

    Returns:
        Per parameter name the chosen positions with old and new values; for whole parameters all positions.
    """
    changed = deltas(model)
    before = _before(model)
    for module in list(model.modules()):
        if isinstance(module, Sparse):
            make_plain(module)
    for hook in before.hooks:
        hook.remove()
    for name, parameter in model.named_parameters():
        if name in before.vectors:
            parameter.data.copy_(changed[name].new.view_as(parameter))  # rounded, as what a patch of it gives
        parameter.requires_grad_(name in before.trainable)
    delattr(model, _BEFORE)
    return changed


def _before(model: nn.Module) -> _Before:
    before: _Before | None = getattr(model, _BEFORE, None)
    if before is None:
        raise ZoganError("no selection is attached", todo="Call zogan.attach(model, selection) first")
    return before


def _refuse(
    name: str,
    owner: nn.Module | None,
    parameters: Mapping[str, nn.Parameter],
    shape: tuple[int, ...],
    uses: Counter[int],
) -> None:
    if owner is None or name not in parameters:
        raise ZoganError("is chosen but is not in the model", where=name, todo=nearest(name, parameters))
    _refuse_shape(name, parameters[name], shape)
    if kernel_of(owner) is None:
        raise ZoganError(f"belongs to {type(owner).__name__}, which cannot train in part", where=name)
    if uses[id(parameters[name])] > 1:
        raise ZoganError(
            "is tied to another layer's weight, and its gradient is the sum over both",
            where=name,
            todo="Leave it out of the selection, or train it whole",
        )


def _refuse_shape(name: str, parameter: nn.Parameter, shape: tuple[int, ...]) -> None:
    if tuple(parameter.shape) != tuple(shape):
        raise ZoganError(
            f"has shape {tuple(parameter.shape)}, the selection was made for {tuple(shape)}",
            where=name,
            todo="Select again on this model",
        )
