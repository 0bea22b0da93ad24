"""Layers and kinds of matrix come from tensors' names."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from zogan.patch.change import Change
from zogan.patch.places import Cell, layer_of, locate, locate_changes


@pytest.mark.parametrize(
    ("name", "kind", "layer"),
    [
        ("encoder.layer.5.attention.self.query.weight", "attention.self.query", 5),
        ("model.layers.29.mlp.up_proj.weight", "mlp.up_proj", 29),
        ("transformer.h.0.attn.c_attn.weight", "attn.c_attn", 0),
        ("model.layers.2.mlp.experts.7.w1.weight", "mlp.experts.*.w1", 2),
    ],
)
def test_a_tensor_has_its_layer_and_kind(name: str, kind: str, layer: int) -> None:
    places = locate({name: (3, (4, 5))})
    assert places.cells == {(kind, layer): Cell(3, 20)}
    assert places.layers == tuple(range(layer + 1))


def test_experts_of_one_layer_are_added_up() -> None:
    places = locate({f"layers.1.experts.{number}.w1.weight": (number + 1, (10, 10)) for number in range(3)})
    assert places.cells == {("experts.*.w1", 1): Cell(6, 300)}


def test_what_stands_in_no_layer_is_listed_apart() -> None:
    places = locate({"embeddings.word_embeddings.weight": (2, (8, 4)), "layers.0.q.weight": (0, (2, 2))})
    assert places.outside == {"embeddings.word_embeddings": Cell(2, 32)}
    assert not places.cells
    assert not places.layers


def test_kinds_stand_in_the_order_in_which_a_block_computes() -> None:
    names = [
        "output.dense",
        "intermediate.dense",
        "attention.output.dense",
        "attention.self.key",
        "attention.self.query",
    ]
    places = locate({f"layer.0.{name}.weight": (1, (2, 2)) for name in names})
    assert places.kinds == tuple(reversed(names))


@given(
    st.dictionaries(
        st.from_regex(r"(m\.[0-5]\.)?(q|k|mlp\.[0-3])\.weight", fullmatch=True),
        st.tuples(st.integers(0, 6), st.just((2, 3))),
    )
)
def test_no_change_is_lost(tensors: dict[str, tuple[int, tuple[int, ...]]]) -> None:
    places = locate(tensors)
    assert places.changed == sum(changed for changed, _ in tensors.values())
    assert sum(places.by_layer().values()) == sum(places.by_kind().values())
    assert all(cell.share <= 1 for cell in places.cells.values())
    assert math.isfinite(Cell(0, 0).share)


def test_vectors_are_told_apart_from_matrices() -> None:
    places = locate(
        {"layer.0.q.weight": (2, (4, 4)), "layer.0.q.bias": (4, (4,)), "norm.weight": (3, (4,)), "layer.1.n": (0, (4,))}
    )
    assert places.vectors == Cell(7, 8)
    assert places.kinds == ("q",)
    assert places.outside == {}
    assert places.changed == 9


def change(old: list[float], new: list[float], shape: tuple[int, ...]) -> Change:
    return Change("F32", shape, torch.arange(len(old)), torch.tensor(old), torch.tensor(new))


def test_the_size_of_a_change_is_beside_the_old_values() -> None:
    places = locate_changes(
        {
            "layer.0.q.weight": change([3.0, 4.0], [3.0 + 0.3, 4.0 + 0.4], (2, 4)),
            "layer.0.k.weight": change([0.0], [1.0], (2, 4)),
            "layer.1.experts.0.w.weight": change([1.0], [2.0], (2, 4)),
            "layer.1.experts.1.w.weight": change([2.0], [2.0 + 3**0.5], (2, 4)),
            "norm.weight": change([1.0], [float("nan")], (4,)),
        }
    )
    assert places.cells["q", 0].size == pytest.approx(0.1, rel=1e-5)
    assert places.cells["q", 0].share == 0.25
    assert places.cells["k", 0].size is None
    assert places.cells["experts.*.w", 1].size == pytest.approx((4 / 5) ** 0.5, rel=1e-5)
    assert places.vectors.size is None


def test_the_layer_is_the_first_number() -> None:
    assert layer_of("model.layers.2.mlp.experts.7.w1.weight") == 2
    assert layer_of("embeddings.weight") is None
