"""Where in the model a patch's changes lie."""

from __future__ import annotations

from zogan.evaluate.explanation.result import Cell, Where
from zogan.patch import Patch
from zogan.patch import places as located


def where(patch: Patch) -> Where:
    """Matrices by layer and kind, in the order of the model, and what stands in no layer; see `zogan.patch.places`."""
    found = located.locate_changes(patch.changes)
    order = {kind: place for place, kind in enumerate(found.kinds)}
    keys = sorted(found.cells, key=lambda key: (key[1], order[key[0]]))
    cells = [_cell(kind, layer, found.cells[kind, layer]) for kind, layer in keys]
    cells += [_cell(name, None, cell) for name, cell in found.outside.items()]
    vectors = _cell("biases and norms", None, found.vectors) if found.vectors.changed else None
    return Where(changed=patch.count, density=patch.density, cells=tuple(cells), vectors=vectors)


def _cell(kind: str, layer: int | None, cell: located.Cell) -> Cell:
    return Cell(kind=kind, layer=layer, changed=cell.changed, weights=cell.total, share=cell.share, size=cell.size)
