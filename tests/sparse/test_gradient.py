"""The gradient of the chosen weights is the dense gradient at those positions, per kind of layer."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from forms import FORMS, formed
from zogan.sparse.gradient import Tap, conv1d, embedding, linear
from zogan.sparse.pattern import Elements, recognise

SIZES = st.integers(1, 12)
SEEDS = st.integers(0, 10_000)
SHARES = st.floats(0, 1)
LEADS = st.sampled_from([(4,), (2, 3), (1, 2, 2), (0,), ()])


@settings(max_examples=120, deadline=None)
@given(form=st.sampled_from(FORMS), rows=SIZES, columns=SIZES, lead=LEADS, share=SHARES, seed=SEEDS)
def test_linear(form: str, rows: int, columns: int, lead: tuple[int, ...], share: float, seed: int) -> None:
    torch.manual_seed(seed)
    flat = formed(form, (rows, columns), share, seed)
    weight = torch.randn(rows, columns, requires_grad=True)
    x, grad = torch.randn(*lead, columns), torch.randn(*lead, rows)
    (dense,) = torch.autograd.grad(torch.nn.functional.linear(x, weight), weight, grad)
    torch.testing.assert_close(linear(recognise(flat, (rows, columns)), x, grad), dense.reshape(-1)[flat])


@settings(max_examples=120, deadline=None)
@given(form=st.sampled_from(FORMS), rows=SIZES, columns=SIZES, lead=LEADS, share=SHARES, seed=SEEDS)
def test_conv1d(form: str, rows: int, columns: int, lead: tuple[int, ...], share: float, seed: int) -> None:
    torch.manual_seed(seed)
    flat = formed(form, (rows, columns), share, seed)
    weight = torch.randn(rows, columns, requires_grad=True)
    x, grad = torch.randn(*lead, rows), torch.randn(*lead, columns)
    (dense,) = torch.autograd.grad(x @ weight, weight, grad)
    torch.testing.assert_close(conv1d(recognise(flat, (rows, columns)), x, grad), dense.reshape(-1)[flat])


@settings(max_examples=60, deadline=None)
@given(rows=SIZES, columns=SIZES, lead=LEADS, share=SHARES, seed=SEEDS)
def test_embedding(rows: int, columns: int, lead: tuple[int, ...], share: float, seed: int) -> None:
    torch.manual_seed(seed)
    flat = formed("elements", (rows, columns), share, seed)
    weight = torch.randn(rows, columns, requires_grad=True)
    ids, grad = torch.randint(0, rows, lead), torch.randn(*lead, columns)
    (dense,) = torch.autograd.grad(torch.nn.functional.embedding(ids, weight), weight, grad)
    torch.testing.assert_close(embedding(Elements(flat, (rows, columns)), ids, grad), dense.reshape(-1)[flat])


def test_an_embeddings_rare_tokens_add_up_in_fp32() -> None:
    # 2049 is the first whole number that fp16 does not hold.
    ids, grad = torch.zeros(2049, dtype=torch.int64), torch.ones(2049, 1, dtype=torch.float16)
    assert embedding(Elements(torch.tensor([0]), (2, 1)), ids, grad).tolist() == [2049.0]


def tapped(weight: Tensor, values: Tensor, x: Tensor, flat: Tensor) -> Tensor:
    y = torch.nn.functional.linear(x, weight)
    found: Tensor = Tap.apply(y, values, x.detach(), Elements(flat, (3, 4)), linear)  # type: ignore[no-untyped-call]
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
