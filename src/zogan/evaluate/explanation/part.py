"""Parts of a patch: each layer's changes, and what stands in no layer."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from zogan.patch import Change, Patch, PatchMeta
from zogan.patch.places import layer_of


@dataclass(frozen=True)
class LayerPart:
    """Some of a patch's changed tensors.

    Args:
        name: `layer.3`, or `outside`.
        layer: its number, from 0; None for what stands in no layer.
        tensors: their names.
    """

    name: str
    layer: int | None
    tensors: frozenset[str]


def layers_of(patch: Patch) -> tuple[LayerPart, ...]:
    """The patch's changes by layer, in the order of the model; what stands in no layer comes last, as one."""
    found: dict[int | None, set[str]] = {}
    for name in patch.changes:
        found.setdefault(layer_of(name), set()).add(name)
    numbered = sorted(layer for layer in found if layer is not None)
    parts = [LayerPart(f"layer.{layer}", layer, frozenset(found[layer])) for layer in numbered]
    if None in found:
        parts.append(LayerPart("outside", None, frozenset(found[None])))
    return tuple(parts)


def changes_alone(patch: Patch, tensors: Collection[str]) -> Patch:
    """Just these changes of a patch, without its head and adapters: to be reverted and applied by themselves."""
    changes, meta = _restricted(patch, tensors)
    return Patch(changes, {}, {}, meta.model_copy(update={"adapter": None}))


def smaller(patch: Patch, tensors: Collection[str]) -> Patch:
    """The patch with these changes alone, its head and adapters as they are; the whole patch is its parent."""
    changes, meta = _restricted(patch, tensors)
    return Patch(changes, patch.tensors, patch.adapters, meta.model_copy(update={"parent": patch.digest}))


def _restricted(patch: Patch, tensors: Collection[str]) -> tuple[dict[str, Change], PatchMeta]:
    changes = {name: change for name, change in patch.changes.items() if name in tensors}
    meta = patch.meta
    base = meta.base.model_copy(update={"tensors": {name: meta.base.tensors[name] for name in changes}})
    of_these = {"shapes": {name: meta.shapes[name] for name in changes}, "after": {n: meta.after[n] for n in changes}}
    return changes, meta.model_copy(update={"base": base, **of_these})
