"""Matrices that share channels inside a model: the outputs of one are the inputs of the next (S2FT, arXiv:2412.06289).

Found by how layers stand beside each other and what fits into what, not by the names of architectures.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from torch import nn

from zogan.sparse import gradient
from zogan.sparse.layer import kernel_of

NEAR = 2
"""Levels below a module at which layers count as beside each other: in BERT `intermediate.dense` and `output.dense`."""

HEAD_SIZES = ("head_dim", "attention_head_size", "head_size", "key_value_proj_dim")
HEAD_COUNTS = ("num_attention_heads", "num_heads", "n_heads", "n_head")


@dataclass(frozen=True)
class Member:
    """One matrix of a coupling.

    Attributes:
        name: of the parameter.
        width: neighbouring channels of one unit. After all units it starts anew, where several matrices are in one.
        inputs: the units are cut out of the inputs; else of the outputs.
    """

    name: str
    width: int
    inputs: bool


@dataclass(frozen=True)
class Coupling:
    """Matrices that are chosen together, channel by channel or head by head.

    Attributes:
        units: how many channels or heads there are.
        members: the matrices; the last takes in what the others give out.
    """

    units: int
    members: tuple[Member, ...]

    @property
    def name(self) -> str:
        """Of the last member: it is in no other coupling."""
        return self.members[-1].name


@dataclass(frozen=True, eq=False)
class _Dense:
    """A layer not coupled yet."""

    path: str
    parent: nn.Module
    inputs: int
    outputs: int

    def member(self, width: int, *, inputs: bool = False) -> Member:
        return Member(f"{self.path}.weight", width, inputs)


def couplings(model: nn.Module) -> list[Coupling]:
    """The feed-forward channels and attention heads of a model, in its order.

    A feed-forward: one layer that takes in what one or two others beside it give out, and back to their own width.
    Attention: three layers (queries, keys, values, in any order) and then one that takes in as much as the queries give
    out, with the size of a head told by an attribute of the module or of its configuration. Where heads share keys and
    values, a unit is a head of those with all heads that read it. Queries, keys and values in one matrix are known
    where the module's `split_size` says that they stand one after the other.
    """
    found: list[Coupling] = []
    _search(model, "", found)
    return found


def _search(module: nn.Module, path: str, found: list[Coupling]) -> list[_Dense]:
    """Couple what stands below a module, innermost first; returns the layers that are left."""
    loose: list[_Dense] = []
    for name, child in module.named_children():
        below = f"{path}.{name}" if path else name
        kernel = kernel_of(child)
        if kernel in (gradient.linear, gradient.conv1d):
            first, last = child.get_parameter("weight").shape
            inputs, outputs = (first, last) if kernel is gradient.conv1d else (last, first)
            loose.append(_Dense(below, module, inputs, outputs))
        else:
            loose += _search(child, below, found)
    if isinstance(module, nn.ModuleList | nn.ModuleDict):
        return loose  # what stands in a list is alike, not coupled
    level = path.count(".") + bool(path)
    near = [dense for dense in loose if dense.path.count(".") + 1 - level <= NEAR]
    attention = _attention(module, near)
    new = [attention] if attention else list(_feed_forwards(near))
    found += new
    done = {member.name for coupling in new for member in coupling.members}
    return [dense for dense in loose if f"{dense.path}.weight" not in done]


def _attention(module: nn.Module, near: list[_Dense]) -> Coupling | None:
    if len(near) not in (2, 4):
        return None
    *ins, out = near
    width = out.inputs
    query, *rest = sorted(ins, key=lambda dense: -dense.outputs)
    shared = rest[0].outputs if rest else width
    if rest:
        fits = query.outputs == width and rest[1].outputs == shared
    else:
        fits = query.outputs == 3 * width and getattr(query.parent, "split_size", None) == width
    head = _head_size((module, *(dense.parent for dense in near)), width)
    if not fits or query.inputs != out.outputs or not head or shared % head or width % shared:
        return None
    group = head * (width // shared)
    members = (query.member(group), *(dense.member(head) for dense in rest), out.member(group, inputs=True))
    return Coupling(shared // head, members)


def _feed_forwards(near: list[_Dense]) -> Iterator[Coupling]:
    for down in near:
        ups = [up for up in near if (up.inputs, up.outputs) == (down.outputs, down.inputs)]
        readers = [dense for dense in near if dense.inputs == down.inputs]
        if len(readers) > 1 or down.inputs == down.outputs or any(_has_heads(up.parent) for up in ups):
            continue
        # Of two layers that fit either way round, the first goes up.
        if len(ups) == 2 or (len(ups) == 1 and near.index(ups[0]) < near.index(down)):
            yield Coupling(down.inputs, (*(up.member(1) for up in ups), down.member(1, inputs=True)))


def _head_size(modules: Iterable[nn.Module], width: int) -> int | None:
    modules = list(modules)
    for holder in (*modules, *(module.config for module in modules if hasattr(module, "config"))):
        for name in HEAD_SIZES:
            if isinstance(size := getattr(holder, name, None), int) and size > 0:
                return size
        for name in HEAD_COUNTS:
            if isinstance(count := getattr(holder, name, None), int) and count > 0 and width % count == 0:
                return width // count
    return None


def _has_heads(module: nn.Module) -> bool:
    return any(isinstance(getattr(module, name, None), int) for name in (*HEAD_SIZES, *HEAD_COUNTS))
