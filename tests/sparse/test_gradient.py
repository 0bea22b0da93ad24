"""The gradient of the chosen weights is the dense gradient at those positions, per kind of layer."""

from __future__ import annotations

import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from zogan.sparse.gradient import Pattern, Tap, conv1d, embedding, linear

SIZES = st.integers(1, 12)
SEEDS = st.integers(0, 10_000)
SHARES = st.floats(0, 1)
LEADS = st.sampled_from([(4,), (2, 3), (1, 2, 2), (0,), ()])


def pick(seed: int, shape: tuple[int, int], share: float) -> Tensor:
    numel = shape[0] * shape[1]
    order = torch.randperm(numel, generator=torch.Generator().manual_seed(seed))
    return order[: max(1, round(share * numel))].sort().values


@settings(max_examples=60, deadline=None)
@given(rows=SIZES, columns=SIZES, share=SHARES, seed=SEEDS)
def test_a_pattern_is_its_positions_by_row(rows: int, columns: int, share: float, seed: int) -> None:
    flat = pick(seed, (rows, columns), share)
    pattern = Pattern(flat, (rows, columns))
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


@settings(max_examples=60, deadline=None)
@given(rows=SIZES, columns=SIZES, inner=st.integers(0, 6), share=SHARES, seed=SEEDS)
def test_a_sample_is_the_product_there(rows: int, columns: int, inner: int, share: float, seed: int) -> None:
    torch.manual_seed(seed)
    flat = pick(seed, (rows, columns), share)
    left, right = torch.randn(rows, inner), torch.randn(inner, columns)
    pattern = Pattern(flat, (rows, columns))
    for _ in range(2):  # the pattern is used again in each step
        torch.testing.assert_close(pattern.sample(left, right), (left @ right).reshape(-1)[flat])
    assert pattern.zeros.values().count_nonzero() == 0


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_a_sample_is_fp32(dtype: torch.dtype) -> None:
    left, right = torch.full((2, 1), 300.0, dtype=dtype), torch.full((1, 2), 300.0, dtype=dtype)
    found = Pattern(torch.tensor([0, 3]), (2, 2)).sample(left, right)
    assert found.dtype == torch.float32
    # In fp16 it would be infinite.
    torch.testing.assert_close(found, left[:, 0].float() * right[0].float())


def test_no_position_has_no_gradient() -> None:
    pattern = Pattern(torch.tensor([], dtype=torch.int64), (3, 4))
    assert pattern.sample(torch.ones(3, 2), torch.ones(2, 4)).shape == (0,)


def test_no_warning_of_torch_gets_through() -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        Pattern(torch.tensor([0]), (2, 2))
    assert seen == []


@settings(max_examples=60, deadline=None)
@given(rows=SIZES, columns=SIZES, lead=LEADS, share=SHARES, seed=SEEDS)
def test_linear(rows: int, columns: int, lead: tuple[int, ...], share: float, seed: int) -> None:
    torch.manual_seed(seed)
    flat = pick(seed, (rows, columns), share)
    weight = torch.randn(rows, columns, requires_grad=True)
    x, grad = torch.randn(*lead, columns), torch.randn(*lead, rows)
    (dense,) = torch.autograd.grad(torch.nn.functional.linear(x, weight), weight, grad)
    torch.testing.assert_close(linear(Pattern(flat, (rows, columns)), x, grad), dense.reshape(-1)[flat])


@settings(max_examples=60, deadline=None)
@given(rows=SIZES, columns=SIZES, lead=LEADS, share=SHARES, seed=SEEDS)
def test_conv1d(rows: int, columns: int, lead: tuple[int, ...], share: float, seed: int) -> None:
    torch.manual_seed(seed)
    flat = pick(seed, (rows, columns), share)
    weight = torch.randn(rows, columns, requires_grad=True)
    x, grad = torch.randn(*lead, rows), torch.randn(*lead, columns)
    (dense,) = torch.autograd.grad(x @ weight, weight, grad)
    torch.testing.assert_close(conv1d(Pattern(flat, (rows, columns)), x, grad), dense.reshape(-1)[flat])


@settings(max_examples=60, deadline=None)
@given(rows=SIZES, columns=SIZES, lead=LEADS, share=SHARES, seed=SEEDS)
def test_embedding(rows: int, columns: int, lead: tuple[int, ...], share: float, seed: int) -> None:
    torch.manual_seed(seed)
    flat = pick(seed, (rows, columns), share)
    weight = torch.randn(rows, columns, requires_grad=True)
    ids, grad = torch.randint(0, rows, lead), torch.randn(*lead, columns)
    (dense,) = torch.autograd.grad(torch.nn.functional.embedding(ids, weight), weight, grad)
    torch.testing.assert_close(embedding(Pattern(flat, (rows, columns)), ids, grad), dense.reshape(-1)[flat])


def test_an_embeddings_rare_tokens_add_up_in_fp32() -> None:
    # 2049 is the first whole number that fp16 does not hold.
    ids, grad = torch.zeros(2049, dtype=torch.int64), torch.ones(2049, 1, dtype=torch.float16)
    assert embedding(Pattern(torch.tensor([0]), (2, 1)), ids, grad).tolist() == [2049.0]


def tapped(weight: Tensor, values: Tensor, x: Tensor, flat: Tensor) -> Tensor:
    y = torch.nn.functional.linear(x, weight)
    found: Tensor = Tap.apply(y, values, x.detach(), Pattern(flat, (3, 4)), linear)  # type: ignore[no-untyped-call]
    return found


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_tap_passes_through_and_hands_over(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    weight, flat = torch.randn(3, 4), torch.tensor([1, 4, 11])
    values = weight.reshape(-1)[flat].to(dtype).requires_grad_()
    x = torch.randn(5, 4, requires_grad=True)
    back = torch.randn(5, 3)
    y = tapped(weight, values, x, flat)
    assert torch.equal(y, torch.nn.functional.linear(x, weight))
    y.backward(back)  # type: ignore[no-untyped-call]
    assert x.grad is not None
    assert values.grad is not None
    torch.testing.assert_close(x.grad, back @ weight)
    assert values.grad.dtype == dtype
    torch.testing.assert_close(values.grad.float(), (back.T @ x.detach()).reshape(-1)[flat])


def test_frozen_values_cost_no_gradient() -> None:
    weight, flat = torch.randn(3, 4), torch.tensor([0])
    values, x = torch.zeros(1), torch.randn(5, 4, requires_grad=True)
    tapped(weight, values, x, flat).sum().backward()  # type: ignore[no-untyped-call]
    assert values.grad is None
    assert x.grad is not None


def test_a_second_derivative_is_refused() -> None:
    weight, flat = torch.randn(3, 4), torch.tensor([0, 5])
    values, x = torch.zeros(2, requires_grad=True), torch.randn(5, 4, requires_grad=True)
    y = tapped(weight, values, x, flat).square().sum()
    (grad,) = torch.autograd.grad(y, values, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        grad.sum().backward()  # type: ignore[no-untyped-call]
