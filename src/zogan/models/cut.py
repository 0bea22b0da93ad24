"""A cut through a model's stack of layers: the part below runs once, the part above runs from what it gave.

Found by structure, so that it fits any architecture whose layers stand in one `nn.ModuleList` and each take the hidden
states first. The model's own forward runs in both cases: masks, rotary tables and position biases are its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten

Hidden = Float[Tensor, "rows time dim"]
Run = Callable[[], Tensor]
"""Runs the whole model once, and gives what it makes: logits, or a loss."""


def stacks(model: nn.Module) -> dict[str, nn.ModuleList]:
    """Lists of like layers by name, those with the most parameters first; none stands within another."""
    found: dict[str, nn.ModuleList] = {}
    for name, module in model.named_modules():
        if not isinstance(module, nn.ModuleList) or len(module) < 2 or len({type(layer) for layer in module}) > 1:
            continue
        if any(name.startswith(f"{other}.") for other in found) or not any(True for _ in module.parameters()):
            continue
        found[name] = module
    return dict(sorted(found.items(), key=lambda item: -sum(p.numel() for p in item[1].parameters())))


class Cut:
    """A place in a stack: just before one of its layers.

    Args:
        model: whose stack it is.
        stack: name of an `nn.ModuleList` in the model.
        index: of the first layer above the cut, at least 1.
    """

    def __init__(self, model: nn.Module, stack: str, index: int) -> None:
        self.model, self.stack, self.index = model, stack, index
        layers = model.get_submodule(stack)
        if not isinstance(layers, nn.ModuleList) or not 1 <= index < len(layers):
            raise ValueError(f"{stack} has no layer {index} with another below it")
        self.layers: nn.ModuleList = layers
        self._form = _Form()
        self.before: frozenset[nn.Module] = frozenset(layers[:index].modules())
        """Modules that are done when the cut is reached; those beside the stack are known after a run to it."""

    def __str__(self) -> str:
        return f"{self.stack}.{self.index}"

    @property
    def needs_first(self) -> bool:
        """Whether the first layer runs in a replay too; known after a run to a cut."""
        return self._form.carries

    def at(self, index: int) -> Cut:
        """Another place in the same stack, with what was learnt of its layers."""
        other = Cut(self.model, self.stack, index)
        other._form = self._form
        return other

    def capture(self, run: Run) -> Hidden:
        """Run the part below alone; what enters the first layer above.

        Raises:
            CutError: the model does not come to that layer, or gives it something else than hidden states.
        """
        return self._watch(run)[0]

    @contextmanager
    def replay(self, hidden: Hidden) -> Iterator[None]:
        """Inside, the model runs from the cut on, whatever its ids are: layers below pass on what they are given.

        Args:
            hidden: what enters the first layer above, for the rows and the length of the batch that is run.
        """
        with ExitStack() as stack:
            carried: list[Any] = []
            for place in range(self.index):
                layer: Any = self.layers[place]
                stack.callback(layer.__dict__.pop, "forward", None)
                first = not place and self._form.carries
                layer.forward = _shared(layer.forward, carried) if first else self._pass(carried)
            handle = self.layers[self.index].register_forward_pre_hook(
                lambda _, args, kwargs: _with_hidden(args, kwargs, hidden), with_kwargs=True, prepend=True
            )
            stack.callback(handle.remove)
            yield

    def check(self, run: Run, *, whole: bool = True) -> None:
        """See by one run that replaying gives what the whole model gives.

        Args:
            run: of the model in evaluation mode, on a few rows.
            whole: the layers above are there, and run too.

        Raises:
            CutError: with the reason.
        """
        with torch.no_grad():
            hidden, rest = self._watch(run)
            with self.replay(hidden):
                _, again = self._watch(run)
                if not _same(rest, again):
                    raise CutError(f"layer {self} is given more from below than hidden states")
                replayed = run() if whole else None
            if replayed is None:
                return
            expected = run()
        if expected.shape != replayed.shape or not torch.allclose(expected, replayed, rtol=1e-4, atol=1e-5):
            raise CutError(f"what lies below {self} reaches past it by another way")

    def _pass(self, carried: list[Any]) -> Callable[..., Any]:
        length = self._form.length

        def forward(*args: Any, **kwargs: Any) -> Any:
            hidden = args[0] if args else kwargs["hidden_states"]
            if length is None:
                return hidden
            return (hidden, *(carried or [None] * (length - 1)))

        return forward

    def _watch(self, run: Run) -> tuple[Hidden, list[Any]]:
        """Run up to the cut: the hidden states that come there, and whatever else the layer is given."""
        done: list[nn.Module] = []
        handles = [self.layers[0].register_forward_hook(lambda _, __, found: self._form.note(found))]
        handles += [
            module.register_forward_hook(lambda module, *_: done.append(module)) for module in self.model.modules()
        ]
        handles.append(
            self.layers[self.index].register_forward_pre_hook(
                lambda _, args, kwargs: _stop(args, kwargs), with_kwargs=True
            )
        )
        try:
            run()
        except _Reached as reached:
            self.before = self.before | frozenset(done)
            hidden, rest = reached.hidden, reached.rest
        else:
            raise CutError(f"the model does not come to layer {self}")
        finally:
            for handle in handles:
                handle.remove()
        if not isinstance(hidden, Tensor) or hidden.dim() != 3 or not hidden.is_floating_point():
            raise CutError(f"layer {self} is not given hidden states first")
        return hidden, rest


class _Form:
    """What a layer of a stack gives: hidden states alone, or a tuple; seen at the first, and the same for all."""

    def __init__(self) -> None:
        self.length: int | None = None
        self.carries = False  # the tuple holds a tensor that later layers are given

    def note(self, found: Any) -> None:
        if isinstance(found, tuple):
            self.length = len(found)
            self.carries = any(isinstance(part, Tensor) for part in found[1:])


def _shared(forward: Callable[..., Any], carried: list[Any]) -> Callable[..., Any]:
    """The first layer runs: what it gives beside hidden states, such as T5's position bias, all others share."""

    def run(*args: Any, **kwargs: Any) -> Any:
        with torch.no_grad():
            found = forward(*args, **kwargs)
        carried[:] = found[1:]
        return found

    return run


class CutError(Exception):
    """The model cannot be cut there; says why."""


class _Reached(Exception):  # noqa: N818, it is no error
    def __init__(self, hidden: Any, rest: list[Any]) -> None:
        super().__init__("the cut is reached")
        self.hidden, self.rest = hidden, rest


def _stop(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    kwargs = dict(kwargs)
    hidden, *others = args if args else (kwargs.pop("hidden_states", None),)
    raise _Reached(hidden, tree_flatten((others, kwargs))[0])


def _with_hidden(args: tuple[Any, ...], kwargs: dict[str, Any], hidden: Tensor) -> tuple[tuple[Any, ...], Any]:
    given = args[0] if args else kwargs["hidden_states"]
    if given.shape != hidden.shape:
        raise ValueError(f"hidden states {tuple(hidden.shape)} are not of this batch: {tuple(given.shape)}")
    return ((hidden, *args[1:]), kwargs) if args else (args, {**kwargs, "hidden_states": hidden})


def _same(one: list[Any], other: list[Any]) -> bool:
    if len(one) != len(other):
        return False
    return all(
        torch.equal(a, b) if isinstance(a, Tensor) and isinstance(b, Tensor) else type(a) is type(b)
        for a, b in zip(one, other, strict=True)
    )
