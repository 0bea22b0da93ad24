"""A sparse layer is a dense layer whose gradient is masked: same values, same gradients, same training."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers.pytorch_utils import Conv1D

from forms import FORMS, formed
from zogan.sparse.attach import attach, deltas, detach
from zogan.sparse.layer import kernel_of, make_sparse
from zogan.sparse.selection import Selection

DTYPES = {torch.float32: 1e-5, torch.float64: 1e-5, torch.bfloat16: 2e-2, torch.float16: 5e-3}


def linear(rows: int, columns: int, bias: bool) -> nn.Module:
    return nn.Linear(columns, rows, bias=bias)


def conv1d(rows: int, columns: int, bias: bool) -> nn.Module:
    layer: nn.Module = Conv1D(columns, rows)
    return layer


def pair(layer: nn.Module, chosen: Tensor) -> tuple[nn.Module, nn.Module]:
    """The layer made sparse, and its dense twin."""
    dense = copy.deepcopy(layer)
    make_sparse(layer, chosen)
    return layer, dense


def dense_gradient(dense: nn.Module, chosen: Tensor) -> Tensor:
    weight = dense.weight
    assert isinstance(weight, nn.Parameter)
    assert weight.grad is not None
    return weight.grad.reshape(-1)[chosen]


@settings(max_examples=240, deadline=None)
@given(
    make=st.sampled_from([linear, conv1d]),
    form=st.sampled_from(FORMS),
    rows=st.integers(1, 24),
    columns=st.integers(1, 24),
    share=st.floats(0, 1),
    shape=st.sampled_from([(3,), (2, 5), (1, 1), (2, 3, 2), (0,)]),
    dtype=st.sampled_from(list(DTYPES)),
    bias=st.booleans(),
    seed=st.integers(0, 10_000),
)
def test_equals_a_dense_layer_with_a_masked_gradient(
    make: Callable[[int, int, bool], nn.Module],
    form: str,
    rows: int,
    columns: int,
    share: float,
    shape: tuple[int, ...],
    dtype: torch.dtype,
    bias: bool,
    seed: int,
) -> None:
    torch.manual_seed(seed)
    layer = make(rows, columns, bias).to(dtype)
    weight = layer.get_parameter("weight")
    inputs = weight.shape[1 if make is linear else 0]
    chosen = formed(form, (weight.shape[0], weight.shape[1]), share, seed)
    sparse, dense = pair(layer, chosen)
    x = torch.randn(*shape, inputs, dtype=dtype, requires_grad=True)
    twin = x.detach().clone().requires_grad_()
    y, z = sparse(x), dense(twin)
    assert torch.equal(y, z)
    assert y.dtype == z.dtype
    back = torch.randn_like(y)
    y.backward(back)
    z.backward(back)
    assert x.grad is not None
    assert twin.grad is not None
    torch.testing.assert_close(x.grad, twin.grad)
    values = sparse.values
    assert isinstance(values, nn.Parameter)
    assert values.grad is not None
    expected = dense_gradient(dense, chosen)
    tolerance = DTYPES[dtype] * max(1.0, float(expected.abs().max()))
    torch.testing.assert_close(values.grad, expected.float(), atol=tolerance, rtol=DTYPES[dtype])
    assert layer.weight.grad is None


@settings(max_examples=40, deadline=None)
@given(
    form=st.sampled_from(FORMS),
    vocabulary=st.integers(2, 30),
    width=st.integers(1, 12),
    padded=st.booleans(),
    seed=st.integers(0, 10_000),
)
def test_an_embedding_too(form: str, vocabulary: int, width: int, padded: bool, seed: int) -> None:
    torch.manual_seed(seed)
    chosen = formed(form, (vocabulary, width), 1 / 3, seed)
    sparse, dense = pair(nn.Embedding(vocabulary, width, padding_idx=1 if padded else None), chosen)
    ids = torch.randint(0, vocabulary, (3, 7))
    back = torch.randn(3, 7, width)
    sparse(ids).backward(back)
    dense(ids).backward(back)
    assert isinstance(sparse.values, nn.Parameter)
    assert sparse.values.grad is not None
    torch.testing.assert_close(sparse.values.grad, dense_gradient(dense, chosen))


def stack() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(12, 20), nn.GELU(), nn.Linear(20, 20, bias=False), nn.GELU(), nn.Linear(20, 5))


def chosen_of(model: nn.Sequential, form: str = "elements") -> Selection:
    shapes = {}
    for place in (0, 2, 4):
        rows, columns = model.get_parameter(f"{place}.weight").shape
        shapes[f"{place}.weight"] = (rows, columns)
    return Selection({name: formed(form, shape, 0.1, seed=7) for name, shape in shapes.items()}, shapes)


def masked_gradients(model: nn.Sequential, selection: Selection) -> dict[str, Tensor]:
    found = {}
    for name, flat in selection.positions.items():
        grad = model.get_parameter(name).grad
        assert grad is not None
        found[name] = grad.reshape(-1)[flat]
    return found


def sparse_gradients(model: nn.Sequential) -> dict[str, Tensor]:
    found = {}
    for name, parameter in model.named_parameters():
        if name.endswith(".values"):
            assert parameter.grad is not None
            found[name.replace(".values", ".weight")] = parameter.grad
    return found


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shape", [(6, 12), (2, 3, 12)])
def test_under_autocast(form: str, shape: tuple[int, ...]) -> None:
    sparse, dense = stack(), stack()
    selection = chosen_of(dense, form)
    attach(sparse, selection)
    x = torch.randn(shape)
    with torch.autocast("cpu", torch.bfloat16):
        y, z = sparse(x), dense(x)
    assert y.dtype == torch.bfloat16
    assert torch.equal(y, z)
    y.float().square().sum().backward()
    z.float().square().sum().backward()
    torch.testing.assert_close(sparse_gradients(sparse), masked_gradients(dense, selection), atol=0.2, rtol=0.05)


def test_under_gradient_checkpointing() -> None:
    sparse, dense = stack(), stack()
    selection = chosen_of(dense)
    attach(sparse, selection)
    x = torch.randn(6, 12, requires_grad=True)
    checkpoint(sparse, x, use_reentrant=False).square().sum().backward()
    dense(x).square().sum().backward()
    torch.testing.assert_close(sparse_gradients(sparse), masked_gradients(dense, selection))


def test_accumulation_adds_up() -> None:
    sparse, dense = stack(), stack()
    selection = chosen_of(dense)
    attach(sparse, selection)
    for part in torch.randn(3, 4, 12):
        sparse(part).square().sum().backward()
        dense(part).square().sum().backward()
    torch.testing.assert_close(sparse_gradients(sparse), masked_gradients(dense, selection))


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda ps: torch.optim.AdamW(ps, lr=0.1, foreach=False),
        lambda ps: torch.optim.AdamW(ps, lr=0.1, foreach=True),
        lambda ps: torch.optim.AdamW(ps, lr=0.1, fused=True),
        lambda ps: torch.optim.SGD(ps, lr=0.01, momentum=0.9),
        lambda ps: torch.optim.Adagrad(ps, lr=0.1),
    ],
)
def test_trains_as_the_dense_layer_with_a_mask(
    optimizer: Callable[[list[nn.Parameter]], torch.optim.Optimizer],
) -> None:
    sparse, dense = stack(), stack()
    selection = chosen_of(dense)
    masks = {name: torch.zeros_like(dense.get_parameter(name)) for name in selection.positions}
    for name, flat in selection.positions.items():
        masks[name].view(-1)[flat] = 1
    attach(sparse, selection)
    for name, parameter in dense.named_parameters():
        parameter.requires_grad_(name in masks)
    ours = optimizer([p for p in sparse.parameters() if p.requires_grad])
    theirs = optimizer([p for p in dense.parameters() if p.requires_grad])
    for _ in range(5):
        x = torch.randn(8, 12)
        for model, steps in ((sparse, ours), (dense, theirs)):
            steps.zero_grad()
            model(x).square().mean().backward()
            if model is dense:
                for name, mask in masks.items():
                    grad = dense.get_parameter(name).grad
                    assert grad is not None
                    grad.mul_(mask)
            # AdamW's decay would shrink the dense twin's other weights, which no mask holds back.
            for group in steps.param_groups:
                group["weight_decay"] = 0.0
            steps.step()
    x = torch.randn(4, 12)
    torch.testing.assert_close(sparse(x), dense(x))


def test_values_that_were_loaded_or_moved_are_written() -> None:
    model = stack()
    attach(model, chosen_of(model))
    x = torch.randn(2, 12)
    first = model(x)
    other = copy.deepcopy(model)
    with torch.no_grad():
        for name, parameter in other.named_parameters():
            if name.endswith("values"):
                parameter.add_(1.0)
    moved = other(x)
    assert not torch.equal(first, moved)
    model.load_state_dict(other.state_dict())
    assert torch.equal(model(x), moved)
    for name, parameter in model.named_parameters():
        if name.endswith("values"):
            parameter.data = parameter.data - 1.0
    torch.testing.assert_close(model(x), first)


def test_a_step_between_forward_and_backward_is_not_silent() -> None:
    model = stack()
    attach(model, chosen_of(model))
    y = model(torch.randn(2, 12))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("values"):
                parameter.add_(1.0)
    model(torch.randn(2, 12))
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_inference_needs_no_graph() -> None:
    model = stack()
    attach(model, chosen_of(model))
    with torch.inference_mode():
        assert not model(torch.randn(2, 12)).requires_grad


def test_values_train_rounded_to_the_stored_dtype() -> None:
    model = stack()
    selection = chosen_of(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.bfloat16().float())
    attach(model, selection, stored=dict.fromkeys(selection.positions, torch.bfloat16))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("values"):
                parameter.add_(0.01)
    x = torch.randn(2, 12)
    y = model(x)
    changed = detach(model)
    assert all(delta.new.dtype == delta.old.dtype == torch.bfloat16 for delta in changed.values())
    for name, delta in changed.items():
        held = model.get_parameter(name).detach().reshape(-1)[delta.positions]
        assert torch.equal(held, delta.new.float())
    assert torch.equal(model(x), y)


def test_a_copy_stands_on_its_own() -> None:
    model = stack()
    attach(model, chosen_of(model))
    x = torch.randn(2, 12)
    y = model(x)
    twin = copy.deepcopy(model)
    assert torch.equal(twin(x), y)
    with torch.no_grad():
        for name, parameter in twin.named_parameters():
            if name.endswith("values"):
                parameter.zero_()
    twin(x)
    assert torch.equal(model(x), y)


def test_a_detached_model_pickles() -> None:
    model = stack()
    attach(model, chosen_of(model))
    detach(model)
    x = torch.randn(2, 12)
    assert torch.equal(pickle.loads(pickle.dumps(model))(x), model(x))


@pytest.mark.parametrize("layer", [nn.LayerNorm(4), nn.Conv2d(1, 1, 2), nn.Embedding(3, 2, max_norm=1.0)])
def test_other_layers_have_no_rule(layer: nn.Module) -> None:
    assert kernel_of(layer) is None
    with pytest.raises(TypeError, match="no dense layer that can train in part"):
        make_sparse(layer, torch.tensor([0]))


def test_deltas_do_not_follow_later_steps() -> None:
    model = stack()
    attach(model, chosen_of(model))
    before = deltas(model)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("values"):
                parameter.add_(1.0)
    assert all(torch.equal(delta.new, delta.old) for delta in before.values())
