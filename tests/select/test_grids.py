"""A matrix cut into units: every weight is in one, and sums and positions agree."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from transformers.pytorch_utils import Conv1D

from zogan.select.grids import Grid, Span, grids_of

SIZES = st.integers(1, 12)
SPANS = st.builds(Span, st.integers(1, 4), st.integers(1, 5))


def fitting(span: Span, size: int) -> Span:
    """Of no more parts than the side has."""
    return Span(span.width, min(span.parts, -(-size // span.width)))


@settings(max_examples=150, deadline=None)
@given(rows=SIZES, columns=SIZES, down=SPANS, across=SPANS, seed=st.integers(0, 1000))
def test_sums_and_sizes_are_of_the_positions(rows: int, columns: int, down: Span, across: Span, seed: int) -> None:
    scores = torch.rand(rows, columns, generator=torch.Generator().manual_seed(seed))
    shape, one = (rows, columns), Grid("group", fitting(down, rows), fitting(across, columns))
    sums, sizes = one.sums(scores), one.sizes(shape)
    seen = []
    for unit in range(len(sizes)):
        flat = one.positions(torch.arange(len(sizes)) == unit, shape)
        assert len(flat) == sizes[unit] > 0
        torch.testing.assert_close(sums[unit], scores.reshape(-1)[flat].sum())
        seen += flat.tolist()
    assert sorted(seen) == list(range(rows * columns))
    every = one.positions(torch.ones(len(sizes), dtype=torch.bool), shape)
    assert torch.equal(every, torch.arange(rows * columns))


def test_a_span_starts_anew_after_its_parts() -> None:
    assert Span(2, 3).labels(5).tolist() == [0, 0, 1, 1, 2]
    assert Span(2, 2).labels(9).tolist() == [0, 0, 1, 1, 0, 0, 1, 1, 0]


def chosen(model: nn.Module, pattern: str, unit: int, block: int = 2) -> list[list[int]]:
    """One unit of the first layer, as the mask of its stored weight."""
    rows, columns = model.get_parameter("0.weight").shape
    shapes = {"0.weight": (rows, columns)}
    one = grids_of(model, shapes, pattern=pattern, block=block)["0.weight"]
    units = torch.arange(len(one.sizes(shapes["0.weight"]))) == unit
    mask = torch.zeros(shapes["0.weight"], dtype=torch.int64)
    mask.view(-1)[one.positions(units, shapes["0.weight"])] = 1
    return mask.tolist()


@pytest.mark.parametrize(
    ("pattern", "unit", "mask"),
    [
        ("rows", 1, [[0, 0, 0], [1, 1, 1]]),
        ("columns", 1, [[0, 1, 0], [0, 1, 0]]),
        ("blocks", 1, [[0, 0, 1], [0, 0, 1]]),
        ("coupled", 1, [[0, 0, 0], [1, 1, 1]]),  # with nothing that it couples with
    ],
)
def test_units_of_a_linear_layer(pattern: str, unit: int, mask: list[list[int]]) -> None:
    assert chosen(nn.Sequential(nn.Linear(3, 2)), pattern, unit) == mask


@pytest.mark.parametrize(
    ("pattern", "mask"),
    [
        ("rows", [[0, 1], [0, 1], [0, 1]]),  # what feeds output 1
        ("columns", [[0, 0], [1, 1], [0, 0]]),  # what input 1 feeds
        ("coupled", [[0, 1], [0, 1], [0, 1]]),
    ],
)
def test_a_conv1d_is_stored_the_other_way_round(pattern: str, mask: list[list[int]]) -> None:
    assert chosen(nn.Sequential(Conv1D(2, 3)), pattern, 1) == mask


@pytest.mark.parametrize("turned", [False, True])
def test_coupled_channels_are_outputs_of_one_and_inputs_of_the_next(turned: bool) -> None:
    layers = (Conv1D(4, 3), Conv1D(3, 4)) if turned else (nn.Linear(3, 4), nn.Linear(4, 3))
    model = nn.Sequential(layers[0], nn.ReLU(), layers[1])
    shapes = {name: (w.shape[0], w.shape[1]) for name, w in model.named_parameters() if w.dim() == 2}
    grids = grids_of(model, shapes, pattern="coupled", block=2)
    assert {one.group for one in grids.values()} == {"2.weight"}
    units = torch.tensor([False, True, False, False])
    for name, one in grids.items():
        mask = torch.zeros(shapes[name], dtype=torch.bool)
        mask.view(-1)[one.positions(units, shapes[name])] = True
        outputs = (name == "0.weight") != turned
        assert (mask[1] if outputs else mask[:, 1]).all()
        assert mask.sum() == 3


def test_what_is_not_to_be_chosen_is_left_out_of_a_coupling() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 3))
    (one,) = grids_of(model, {"2.weight": (3, 4)}, pattern="coupled", block=2).values()
    assert one.sizes((3, 4)).tolist() == [3, 3, 3, 3]
