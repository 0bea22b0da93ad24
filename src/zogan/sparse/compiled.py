"""Layers of a stack as `torch.compile` makes them, with the gradient of chosen weights as one operation in the graph.

A layer is traced once and serves all of its like (regional compilation). What takes the chosen weights' gradient reads
positions and forms that a compiler cannot follow: it stands in the graph as an operation of its own, and finds its
layer by a number in a tensor, so that no layer's number is a constant of the code.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import Tensor, nn

from zogan.errors import ConfigError
from zogan.sparse.layer import KEY, VALUES, Sparse

_LAYERS: WeakValueDictionary[int, Sparse] = WeakValueDictionary()
_NUMBERS = itertools.count()

_CODES = 32
"""Of one kind of layer: the lowest and those above it, for one row and for more."""


@contextmanager
def compiled(layers: Iterable[nn.Module]) -> Iterator[None]:
    """Inside, the layers run compiled; afterwards their forward is what it was. Hooks on them run as ever.

    The first batch takes the time of compiling, tens of seconds; lengths and numbers of rows may then change.

    Args:
        layers: those of a stack that train, or have some below them that do.

    Raises:
        ConfigError: within, at the first batch, where the machine cannot compile the layers.
    """
    layers = list(layers)
    mixed = [module for layer in layers for module in layer.modules() if isinstance(module, Sparse)]
    for module in mixed:
        number = next(_NUMBERS)
        _LAYERS[number] = module
        vars(module)[KEY] = torch.tensor(number)
    before = [vars(layer).get("forward") for layer in layers]
    try:
        with warnings.catch_warnings():
            # torch's own compiler brings in what torch deprecates, and looks for the gradient of each view.
            warnings.filterwarnings("ignore", message="`torch.jit", category=DeprecationWarning)
            warnings.filterwarnings("ignore", message="The .grad attribute of a Tensor that is not a leaf")
            for layer in layers:
                vars(layer)["forward"] = _forward(layer)
            # The number of chosen weights differs from layer to layer, and is to make no code of its own.
            with torch._dynamo.config.patch(force_nn_module_property_static_shapes=False, recompile_limit=_CODES):
                yield
    finally:
        for layer, own in zip(layers, before, strict=True):
            vars(layer).pop("forward", None)
            if own is not None:
                vars(layer)["forward"] = own
        for module in mixed:
            for name in (KEY, VALUES):
                vars(module).pop(name, None)


def _forward(layer: nn.Module) -> Callable[..., Any]:
    mixed = [module for module in layer.modules() if isinstance(module, Sparse)]
    plain = layer.forward
    run = torch.compile(plain, dynamic=True)

    def forward(*args: Any, **kwargs: Any) -> Any:
        if not torch.is_grad_enabled():
            return plain(*args, **kwargs)  # validation is not worth another code
        for module in mixed:
            module.write()  # in the graph it would be a copy of the whole weight
            # A view, for the length of a parameter is a constant of the code.
            vars(module)[VALUES] = module.values.view_as(module.values)
        try:
            return run(*args, **kwargs)
        except torch._dynamo.exc.TorchDynamoException as error:
            what = f"the layers cannot be compiled here: {str(error).strip().splitlines()[0]}"
            raise ConfigError(what, where="train.compile", todo="Leave it out, or install a C++ compiler") from error

    return forward


@torch.library.custom_op(
    "zogan::tap", mutates_args=(), schema="(Tensor y, Tensor values, Tensor x, Tensor key) -> Tensor"
)
def tap(y: Tensor, values: Tensor, x: Tensor, key: Tensor) -> Tensor:
    """`y`; on the way back `values` get their gradient. See `zogan.sparse.gradient.Tap`.

    Args:
        y: what the layer gives.
        values: its chosen weights.
        x: what it read, apart from its graph.
        key: its number, ().
    """
    return y.clone()  # an operation may not give what it was given


@torch.library.custom_op(
    "zogan::chosen", mutates_args=(), schema="(Tensor x, Tensor grad, Tensor values, Tensor key) -> Tensor"
)
def chosen(x: Tensor, grad: Tensor, values: Tensor, key: Tensor) -> Tensor:
    """The gradient of a layer's chosen weights, from what it read and the gradient of what it gave."""
    if not len(values):
        return torch.zeros_like(values)
    layer = _LAYERS[int(key)]
    return type(layer).kernel(layer.pattern(), x, grad).to(values.dtype)


@tap.register_fake
def _tap_like(y: Tensor, values: Tensor, x: Tensor, key: Tensor) -> Tensor:
    return torch.empty_like(y)


@chosen.register_fake
def _chosen_like(x: Tensor, grad: Tensor, values: Tensor, key: Tensor) -> Tensor:
    return torch.empty_like(values)


def _keep(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    _, values, x, key = inputs
    ctx.save_for_backward(values, x, key)


def _back(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    values, x, key = ctx.saved_tensors
    return grad, chosen(x, grad, values, key), None, None


tap.register_autograd(_back, setup_context=_keep)
