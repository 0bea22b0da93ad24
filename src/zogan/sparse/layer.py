"""A dense layer of which a few weights train: the class swap, and what the swapped class adds."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from jaxtyping import Int64, Shaped
from torch import Tensor, nn

from zogan.sparse import gradient
from zogan.sparse.pattern import Elements, Pattern, recognise

Kernel = Callable[[Any, Tensor, Tensor], Tensor]
"""(pattern, input, gradient of the output) to the gradient of the chosen weights."""

KEY, VALUES = "_zogan_key", "_zogan_values"
"""What a layer that runs compiled has beside its parameters: its number and a view of its values, both tensors; see
`zogan.sparse.compiled`."""


class Sparse(nn.Module):
    """A few weights train. Mixed in before a dense layer's own class by `make_sparse`.

    Registered state: `values`, the chosen weights as one fp32 parameter; `chosen`, their flat positions (int64);
    `old`, what stood there before. The module's other keys stay as they were.
    """

    weight: nn.Parameter
    values: nn.Parameter
    chosen: Tensor
    old: Tensor
    plain: type[nn.Module]
    kernel: Kernel

    def forward(self, x: Tensor) -> Tensor:
        if torch.compiler.is_compiling():
            return self._traced(x)
        if not len(self.chosen):  # none yet, or no more
            plain: Tensor = super().forward(x)
            return plain
        self.write()
        y: Tensor = super().forward(x)
        if not torch.is_grad_enabled() or not self.values.requires_grad:
            return y
        return gradient.Tap.apply(y, self.values, x.detach(), self.pattern(), type(self).kernel)  # type: ignore[no-untyped-call,no-any-return]

    def _traced(self, x: Tensor) -> Tensor:
        """What stands in a compiled graph, which runs in training alone; whoever runs it has written the values."""
        y = super().forward(x)
        tapped: Tensor = torch.ops.zogan.tap(y, getattr(self, VALUES), x.detach(), getattr(self, KEY))
        return tapped

    def write(self) -> None:
        """Put `values` into the weight.

        Always, for nothing tells for sure that they changed: fused optimisers do not raise a tensor's version. Past
        autograd's eyes, for the same values written again disturb no backward that is still to come; a step taken
        between forward and backward is seen by `values` themselves, which `Tap` keeps.
        """
        if not len(self.chosen):
            return
        # What trains is what the patch will hold: rounded to the dtype that the base is stored in.
        new = self.values.detach().to(self.old.dtype).to(self.weight.dtype)
        self.pattern().write(self.weight.data, new)

    def pattern(self) -> Pattern:
        """The form that the chosen positions have, found once per device."""
        kept: Pattern | None = self.__dict__.get("_pattern")
        if kept is None or kept.device != self.chosen.device:
            rows, columns = self.weight.shape
            # An embedding sums its gradient by row, whatever the form.
            form = Elements if issubclass(self.plain, nn.Embedding) else recognise
            # Kept for training too, where it is met first in inference.
            with torch.inference_mode(False):
                kept = self.__dict__["_pattern"] = form(self.chosen, (rows, columns))
        return kept

    def __getstate__(self) -> dict[str, Any]:
        # The pattern follows from the rest.
        return {key: value for key, value in self.__dict__.items() if key != "_pattern"}


def kernel_of(module: nn.Module) -> Kernel | None:
    """The gradient rule of a layer, or None where it has none here."""
    if isinstance(module, Sparse):
        return type(module).kernel
    weight = getattr(module, "weight", None)
    if not isinstance(weight, nn.Parameter) or weight.dim() != 2 or not weight.is_contiguous():
        return None
    if type(module) is nn.Linear:
        return gradient.linear
    if type(module) is nn.Embedding and module.max_norm is None and not module.scale_grad_by_freq:
        return gradient.embedding if module.padding_idx is None else _embedding_with_padding(module.padding_idx)
    # transformers' Conv1D is known by its make, so that this package needs torch alone.
    if type(module).__name__ == "Conv1D" and weight.shape == (getattr(module, "nx", None), getattr(module, "nf", None)):
        return gradient.conv1d
    return None


def is_matrix(module: nn.Module) -> bool:
    """Whether a layer multiplies by a dense matrix, all of which or a few weights of which can train: no embedding."""
    plain = type(module).plain if isinstance(module, Sparse) else type(module)
    return not issubclass(plain, nn.Embedding) and kernel_of(module) is not None


def make_sparse(module: nn.Module, chosen: Int64[Tensor, " chosen"], stored: torch.dtype | None = None) -> None:
    """Swap `module`'s class in place so that only `weight` at `chosen` trains.

    Args:
        module: a layer that `kernel_of` knows.
        chosen: flat positions, strictly increasing.
        stored: the dtype that the base is stored in, where it differs from the weight's.
    """
    kernel, weight = kernel_of(module), module.weight
    if kernel is None or not isinstance(weight, nn.Parameter) or isinstance(module, Sparse):
        raise TypeError(f"{type(module).__name__} is no dense layer that can train in part")
    weight.requires_grad_(False)
    chosen = chosen.to(weight.device)
    old = weight.detach().view(-1)[chosen]
    module.register_parameter("values", nn.Parameter(old.to(torch.float32, copy=True)))
    module.register_buffer("chosen", chosen)
    module.register_buffer("old", old.to(stored) if stored else old)
    module.__class__ = _sparse_class(type(module), kernel)


def choose_anew(module: nn.Module, chosen: Int64[Tensor, " chosen"]) -> None:
    """Let other weights of a `Sparse` layer train.

    Those that are chosen no more have their old value again, bit for bit; those that stay keep theirs; those that come
    in start from what stands in the weight. `values` stays the same parameter, of another length.

    Args:
        module: a layer that `make_sparse` made.
        chosen: flat positions, strictly increasing.
    """
    if not isinstance(module, Sparse):
        raise TypeError(f"{type(module).__name__} is no sparse layer")
    before, weight, chosen = module.chosen, module.weight.data.view(-1), chosen.to(module.chosen.device)
    weight[before] = module.old.to(weight.dtype)
    old = weight[chosen].to(module.old.dtype)
    module.values.data = carried(module.values.detach(), before, chosen, weight[chosen].to(torch.float32))
    module.chosen, module.old = chosen, old
    module.__dict__.pop("_pattern", None)
    module.write()


def carried(
    numbers: Shaped[Tensor, " before"],
    before: Int64[Tensor, " before"],
    after: Int64[Tensor, " after"],
    others: Shaped[Tensor, " after"],
) -> Shaped[Tensor, " after"]:
    """Numbers that belong to positions, where some positions give way to others: those that stay keep theirs.

    Args:
        numbers: of `before`.
        before: flat positions, strictly increasing.
        after: flat positions, strictly increasing.
        others: what those of `after` have that were not there before.
    """
    found = others.clone()
    found[torch.isin(after, before)] = numbers[torch.isin(before, after)]
    return found


def make_plain(module: nn.Module) -> None:
    """Write the values of a `Sparse` layer for the last time and give it its own class back."""
    if not isinstance(module, Sparse):
        raise TypeError(f"{type(module).__name__} is no sparse layer")
    module.write()
    plain = type(module).plain
    module.__dict__.pop("_pattern", None)
    del module.values, module.chosen, module.old
    module.__class__ = plain  # type: ignore[assignment]


@cache
def _embedding_with_padding(padding: int) -> Kernel:
    def kernel(pattern: Elements, ids: Tensor, grad: Tensor) -> Tensor:
        # nn.Embedding gives the padding row no gradient.
        return gradient.embedding(pattern, ids, grad).masked_fill(pattern.row == padding, 0.0)

    return kernel


_CLASSES: dict[tuple[type[nn.Module], Kernel], type[Sparse]] = {}


def _sparse_class(plain: type[nn.Module], kernel: Kernel) -> type[Sparse]:
    if (plain, kernel) not in _CLASSES:
        _CLASSES[plain, kernel] = _new_class(plain, kernel)
    return _CLASSES[plain, kernel]


def _new_class(plain: type[nn.Module], kernel: Kernel) -> type[Sparse]:
    return type(f"Sparse{plain.__name__}", (Sparse, plain), {"plain": plain, "kernel": staticmethod(kernel)})
