"""A base of which only some layers are in memory: the others are read from its folder when they are held."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from zogan.errors import ModelError
from zogan.models.base import Base
from zogan.models.cut import stacks
from zogan.models.device import device, onto_device
from zogan.weights import TensorInfo, headers, read_tensor


@dataclass(frozen=True)
class _Place:
    """A parameter of a layer: the module that has it, and its tensor in the folder."""

    module: nn.Module
    attribute: str
    info: TensorInfo
    dtype: torch.dtype
    trainable: bool


class Lean:
    """A model whose layers come and go. What stands outside of its largest stack is in memory throughout.

    A layer that is not held keeps its modules and their names, and has no parameters.

    Args:
        model: with its weights on the meta device; filled in place.
        base: whose weights they are.
        names: parameter name in the model to the tensor's name in the folder.

    Raises:
        ModelError: the model has no stack of layers, or a tensor is missing in the folder.
    """

    def __init__(self, model: nn.Module, base: Base, names: Mapping[str, str]) -> None:
        found = stacks(model)
        if not found:
            raise ModelError(
                f"{base.architecture} has no list of like layers, and cannot be held in part",
                where=base.source,
                todo="Give it the memory to be held whole: budget.memory",
            )
        self.model, self.base = model, base
        self.stack, self.layers = next(iter(found.items()))
        infos = headers(base.folder)
        self._places = [
            self._strip(layer, f"{self.stack}.{index}.", names, infos) for index, layer in enumerate(self.layers)
        ]
        self.held: frozenset[int] = frozenset()
        self._fill_rest(names, infos)

    def hold(self, start: int, stop: int, *, first: bool = False) -> None:
        """Have the layers from `start` up to `stop` in memory, and the first one where asked; no other."""
        wanted = frozenset(range(start, stop)) | ({0} if first else set())
        for index in sorted(self.held - wanted):
            for place in self._places[index]:
                place.module._parameters[place.attribute] = None
        for index in sorted(wanted - self.held):
            for place in self._places[index]:
                tensor = read_tensor(place.info).to(device(), place.dtype)
                place.module._parameters[place.attribute] = nn.Parameter(tensor, requires_grad=place.trainable)
        self.held = wanted

    @staticmethod
    def _strip(
        layer: nn.Module, prefix: str, names: Mapping[str, str], infos: Mapping[str, TensorInfo]
    ) -> list[_Place]:
        places = []
        for path, module in layer.named_modules():
            for attribute, parameter in module._parameters.items():
                if parameter is None:
                    continue
                name = f"{prefix}{path}.{attribute}" if path else prefix + attribute
                info = infos[_stored(names, name)]
                places.append(_Place(module, attribute, info, parameter.dtype, parameter.requires_grad))
                module._parameters[attribute] = None
        return places

    def _fill_rest(self, names: Mapping[str, str], infos: Mapping[str, TensorInfo]) -> None:
        shared: dict[str, nn.Parameter] = {}
        for path, module in self.model.named_modules():
            for attribute, parameter in module._parameters.items():
                if parameter is None or not parameter.is_meta:
                    continue
                tensor_name = names.get(f"{path}.{attribute}" if path else attribute)
                if tensor_name is None:
                    continue
                if tensor_name not in shared:
                    tensor: Tensor = read_tensor(infos[tensor_name]).to(parameter.dtype)
                    shared[tensor_name] = nn.Parameter(tensor, requires_grad=parameter.requires_grad)
                module._parameters[attribute] = shared[tensor_name]
        for name, parameter in list(self.model.named_parameters()):
            if not parameter.is_meta:
                continue
            if "pooler." not in name:
                _stored(names, name)
            module, _, attribute = name.rpartition(".")
            # A pooler that the folder has not: nothing uses what it gives.
            self.model.get_submodule(module)._parameters[attribute] = nn.Parameter(
                torch.zeros(parameter.shape, dtype=parameter.dtype)
            )
        onto_device(self.model)


def _stored(names: Mapping[str, str], name: str) -> str:
    if name not in names:
        raise ModelError(f"needs tensor {name!r}, which the folder has not")
    return names[name]
