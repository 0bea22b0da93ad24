"""Which tensor of the folder each parameter of a model in memory is."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from zogan.errors import ModelError
from zogan.models.base import Base
from zogan.weights import TensorInfo, headers


def tensor_names(model: nn.Module, base: Base, prefix: str = "") -> dict[str, str]:
    """Parameter name in `model` -> name of the tensor in the base's folder.

    Names agree, or differ by the model's `base_model_prefix` (a body out of a whole model, or the other way round),
    or by another prefix where just one tensor of that shape fits. Names alone decide, so it may be asked for before
    and after training; the loaders of `zogan.models` have compared the values. Parameters without a tensor of their
    own are absent. All names of a tied parameter lead to the one tensor.

    Args:
        model: as `load_body`, `load_causal` or `load_classifier` gave it, or a module that holds it.
        base: what it was loaded from.
        prefix: of the loaded model's parameters in `model`, such as "body."; others are left out.

    Raises:
        ModelError: a tied parameter stands in the folder twice.
    """
    infos = headers(base.folder)
    inner = model.get_submodule(prefix.removesuffix(".")) if prefix else model
    family = str(getattr(inner, "base_model_prefix", ""))
    names: dict[int, set[str]] = {}
    tensors: dict[int, set[str]] = {}
    for name, parameter in inner.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), set()).add(name)
        tensor = _find(name, tuple(parameter.shape), infos, family)
        if tensor is not None:
            tensors.setdefault(id(parameter), set()).add(tensor)
    found = {}
    for key, stored in tensors.items():
        if len(stored) > 1:
            raise ModelError(
                f"one tied weight is stored twice ({' and '.join(sorted(stored))}): changing one would untie them",
                where=str(base.folder),
                todo="Write the folder again: AutoModelForCausalLM.from_pretrained(FOLDER).save_pretrained(NEW)",
            )
        found.update({f"{prefix}{name}": next(iter(stored)) for name in names[key]})
    order = [name for name, _ in model.named_parameters(remove_duplicate=False)]
    return {name: found[name] for name in order if name in found}


def _find(name: str, shape: tuple[int, ...], infos: Mapping[str, TensorInfo], family: str) -> str | None:
    by_family = [f"{family}.{name}", name.removeprefix(f"{family}.")] if family else []
    for candidate in (name, *by_family):
        if candidate in infos and infos[candidate].shape == shape:
            return candidate
    fits = [
        tensor
        for tensor, info in infos.items()
        if info.shape == shape and (tensor.endswith(f".{name}") or name.endswith(f".{tensor}"))
    ]
    return fits[0] if len(fits) == 1 else None
