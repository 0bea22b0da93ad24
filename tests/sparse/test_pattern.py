"""The form of chosen positions is recognised, and its product is the dense one there."""

from __future__ import annotations

import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from forms import FORMS, formed
from zogan.sparse import pattern as patterns
from zogan.sparse.pattern import Blocks, Columns, Elements, Rows, recognise

SIZES = st.integers(1, 12)
SEEDS = st.integers(0, 10_000)
SHARES = st.floats(0, 1)


@settings(max_examples=60, deadline=None)
@given(rows=SIZES, columns=SIZES, share=SHARES, seed=SEEDS)
def test_elements_are_their_positions_by_row(rows: int, columns: int, share: float, seed: int) -> None:
    flat = formed("elements", (rows, columns), share, seed)
    pattern = Elements(flat, (rows, columns))
    assert torch.equal(pattern.row * columns + pattern.column, flat)
    slots = torch.sparse_csr_tensor(
        pattern.zeros.crow_indices(),
        pattern.zeros.col_indices(),
        torch.ones(len(flat)),
        pattern.zeros.shape,
        check_invariants=True,
    ).to_dense()
    whole = torch.zeros(rows, columns)
    whole[pattern.rows[:, None], pattern.columns] = slots
    assert torch.equal(whole.reshape(-1).nonzero().squeeze(1), flat)
    assert slots.any(0).all()
    assert slots.any(1).all()


@settings(max_examples=200, deadline=None)
@given(
    form=st.sampled_from(FORMS),
    rows=SIZES,
    columns=SIZES,
    inner=st.integers(0, 6),
    side=st.integers(2, 5),
    share=SHARES,
    seed=SEEDS,
)
def test_a_sample_is_the_product_there(
    form: str, rows: int, columns: int, inner: int, side: int, share: float, seed: int
) -> None:
    torch.manual_seed(seed)
    flat = formed(form, (rows, columns), share, seed, side)
    left, right = torch.randn(rows, inner), torch.randn(inner, columns)
    pattern = recognise(flat, (rows, columns))
    for _ in range(2):  # the pattern is used again in each step
        torch.testing.assert_close(pattern.sample(left, right), (left @ right).reshape(-1)[flat])


@settings(max_examples=100, deadline=None)
@given(form=st.sampled_from(FORMS), rows=SIZES, columns=SIZES, share=SHARES, seed=SEEDS)
def test_a_write_changes_the_chosen_weights_and_no_other(
    form: str, rows: int, columns: int, share: float, seed: int
) -> None:
    torch.manual_seed(seed)
    flat = formed(form, (rows, columns), share, seed)
    weight, values = torch.randn(rows, columns), torch.randn(len(flat))
    expected = weight.clone()
    expected.view(-1)[flat] = values
    recognise(flat, (rows, columns)).write(weight, values)
    assert torch.equal(weight, expected)


@settings(max_examples=200, deadline=None)
@given(rows=SIZES, columns=SIZES, side=st.integers(2, 5), share=SHARES, seed=SEEDS)
def test_blocks_are_products_alone_or_together(rows: int, columns: int, side: int, share: float, seed: int) -> None:
    torch.manual_seed(seed)
    flat = formed("blocks", (rows, columns), share, seed, side)
    left, right = torch.randn(rows, 4), torch.randn(4, columns)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(patterns, "GATHERED", 2 * 2 * side * 4)  # two blocks at once
        found = Blocks(flat, (rows, columns), side).sample(left, right)
    torch.testing.assert_close(found, (left @ right).reshape(-1)[flat])


@settings(max_examples=200, deadline=None)
@given(rows=SIZES, columns=SIZES, side=st.integers(2, 5), share=SHARES, seed=SEEDS)
def test_blocks_are_recognised_with_no_smaller_a_side(
    rows: int, columns: int, side: int, share: float, seed: int
) -> None:
    found = recognise(formed("blocks", (rows, columns), share, seed, side), (rows, columns))
    # Whole rows and columns may be blocks too, and neighbouring blocks a larger one.
    assert isinstance(found, Rows | Columns) or (isinstance(found, Blocks) and found.side % side == 0)


@pytest.mark.parametrize(
    ("mask", "form"),
    [
        (["11", "11"], Rows),
        (["00", "11"], Rows),
        (["01", "01"], Columns),
        (["01"], Columns),
        (["0", "1"], Rows),
        (["1100", "1100", "0011", "0011"], Blocks),
        (["001", "001", "000"], Blocks),  # cut at the right edge
        (["110", "110", "001"], Blocks),  # and in the corner
        (["110", "001"], Elements),
        (["0110", "0110"], Columns),
        (["0110", "0110", "0000"], Elements),  # a square, but not where blocks lie
        (["1100", "0000", "1100"], Elements),
        (["0011", "1100"], Elements),  # as long as a row, and none
        (["1010", "0101"], Elements),
    ],
)
def test_the_densest_form_is_recognised(mask: list[str], form: type) -> None:
    chosen = torch.tensor([[digit == "1" for digit in row] for row in mask])
    found = recognise(chosen.reshape(-1).nonzero().squeeze(1), (chosen.shape[0], chosen.shape[1]))
    assert type(found) is form


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_a_sample_is_fp32(dtype: torch.dtype) -> None:
    left, right = torch.full((6, 1), 300.0, dtype=dtype), torch.full((1, 6), 300.0, dtype=dtype)
    for form in FORMS:
        flat = formed(form, (6, 6), 0.3, seed=0)
        found = recognise(flat, (6, 6)).sample(left, right)
        assert found.dtype == torch.float32
        assert found.tolist() == [90_000.0] * len(flat)  # in fp16 it would be infinite


def test_no_position_has_no_gradient() -> None:
    pattern = recognise(torch.tensor([], dtype=torch.int64), (3, 4))
    assert pattern.sample(torch.ones(3, 2), torch.ones(2, 4)).shape == (0,)


def test_no_warning_of_torch_gets_through() -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        Elements(torch.tensor([0]), (2, 2))
    assert seen == []
