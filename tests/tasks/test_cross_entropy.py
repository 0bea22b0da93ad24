"""Cross-entropies formed piece by piece are torch's own, and so are their gradients."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, linear
from torch.utils._python_dispatch import TorchDispatchMode

from zogan.tasks import cross_entropy as ours
from zogan.tasks.cross_entropy import cross_entropies, linear_cross_entropies

DIM, VOCABULARY = 16, 60


@pytest.fixture(params=[1, 150, 2**20])
def pieces(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Logits at once: a row, a few, or all."""
    monkeypatch.setattr(ours, "_IN_CACHE", max(1, request.param // 2))
    monkeypatch.setattr(ours, "_IN_MEMORY", request.param)
    return int(request.param)


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(len(shape) + sum(shape)))


def wanted(targets: int) -> Tensor:
    return torch.randint(0, VOCABULARY, (targets,), generator=torch.Generator().manual_seed(0))


def gradient(loss: Callable[[Tensor], Tensor], x: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """The losses, and the gradient of their weighted sum."""
    x = x.clone().requires_grad_()
    losses = loss(x)
    (losses * weights).sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    return losses.detach(), x.grad


@pytest.mark.usefixtures("pieces")
@pytest.mark.parametrize("targets", [0, 1, 7])
def test_of_logits(targets: int) -> None:
    logits, labels, weights = 30 * drawn(targets, VOCABULARY), wanted(targets), drawn(targets)
    found = gradient(lambda x: cross_entropies(x, labels), logits, weights)
    known = gradient(lambda x: cross_entropy(x, labels, reduction="none"), logits, weights)
    torch.testing.assert_close(found, known)
    torch.testing.assert_close(cross_entropies(logits, labels), known[0])


@pytest.mark.usefixtures("pieces")
@pytest.mark.parametrize("targets", [0, 1, 7])
@pytest.mark.parametrize("biased", [False, True])
def test_of_a_product(targets: int, biased: bool) -> None:
    hidden, weight, labels = drawn(targets, DIM), drawn(VOCABULARY, DIM), wanted(targets)
    bias, weights = drawn(VOCABULARY) if biased else None, drawn(targets)
    found = gradient(lambda x: linear_cross_entropies(x, weight, bias, labels), hidden, weights)
    known = gradient(lambda x: cross_entropy(linear(x, weight, bias), labels, reduction="none"), hidden, weights)
    torch.testing.assert_close(found, known, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(linear_cross_entropies(hidden, weight, bias, labels), found[0])


@pytest.mark.usefixtures("pieces")
@pytest.mark.parametrize("smoothing", [0.1, 0.9])
def test_with_smoothed_targets(smoothing: float) -> None:
    hidden, weight, labels = drawn(7, DIM), drawn(VOCABULARY, DIM), wanted(7)
    bias, weights = drawn(VOCABULARY), drawn(7)

    def known(logits: Tensor) -> Tensor:
        return cross_entropy(logits, labels, reduction="none", label_smoothing=smoothing)

    logits = linear(hidden, weight, bias)
    torch.testing.assert_close(
        gradient(lambda x: cross_entropies(x, labels, smoothing), logits, weights), gradient(known, logits, weights)
    )
    torch.testing.assert_close(
        gradient(lambda x: linear_cross_entropies(x, weight, bias, labels, smoothing), hidden, weights),
        gradient(lambda x: known(linear(x, weight, bias)), hidden, weights),
        rtol=1e-5,
        atol=1e-5,
    )


@pytest.mark.usefixtures("pieces")
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("autocast", [False, True])
def test_in_half_precision(dtype: torch.dtype, autocast: bool) -> None:
    kept = torch.float32 if autocast else dtype
    hidden, weight, labels, weights = drawn(7, DIM).to(kept), drawn(VOCABULARY, DIM).to(kept), wanted(7), drawn(7)

    def both(x: Tensor) -> tuple[Tensor, Tensor]:
        with torch.autocast("cpu", dtype=dtype, enabled=autocast):
            return (
                linear_cross_entropies(x, weight, None, labels),
                cross_entropy(linear(x, weight).float(), labels, reduction="none"),
            )

    found, known = (gradient(lambda x, at=at: both(x)[at], hidden, weights) for at in (0, 1))  # type: ignore[misc]
    assert found[0].dtype == torch.float32
    torch.testing.assert_close(found[0], known[0], rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(found[1], known[1], rtol=3e-2, atol=3e-2)


def test_small_probabilities_have_a_gradient_in_fp16() -> None:
    # Beside a likely target each of the many is at 4e-8: fp16 knows 6e-8 and 0.
    logits = torch.ones(1, 60_000, dtype=torch.float16)
    logits[0, 0] = 18
    known = logits.double().softmax(dim=1)
    known[0, 0] -= 1
    ours._fill(torch.empty(1), logits, torch.tensor([0]), logits)
    torch.testing.assert_close(logits.double() / ours._HALF_SCALE, known, rtol=2e-3, atol=0.0)


class Largest(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes the most logits that any operation gives."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.numel = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        given = func(*args, **(kwargs or {}))
        if isinstance(given, Tensor) and given.shape[-1:] == (VOCABULARY,) and given.shape != (DIM, VOCABULARY):
            self.numel = max(self.numel, given.numel())
        return given


@pytest.mark.parametrize("train", [False, True])
def test_no_more_logits_than_a_piece_are_in_memory(pieces: int, train: bool) -> None:
    hidden = drawn(50, DIM).requires_grad_(train)
    with Largest() as largest:
        loss = linear_cross_entropies(hidden, drawn(VOCABULARY, DIM), None, wanted(50)).sum()
        if train:
            loss.backward()  # type: ignore[no-untyped-call]
    assert 0 < largest.numel <= max(pieces, VOCABULARY)


def test_factors_that_train_are_refused() -> None:
    weight = drawn(VOCABULARY, DIM).requires_grad_()
    with pytest.raises(ValueError, match="must be frozen"):
        linear_cross_entropies(drawn(2, DIM), weight, None, wanted(2))
    with torch.no_grad():
        assert linear_cross_entropies(drawn(2, DIM), weight, None, wanted(2)).shape == (2,)


def test_a_gradient_is_taken_once() -> None:
    hidden = drawn(2, DIM).requires_grad_()
    for losses in (
        cross_entropies(drawn(2, VOCABULARY).requires_grad_(), wanted(2)),
        linear_cross_entropies(hidden, drawn(VOCABULARY, DIM), None, wanted(2)),
    ):
        losses.sum().backward(retain_graph=True)  # type: ignore[no-untyped-call]
        with pytest.raises(RuntimeError, match="was taken already"):
            losses.sum().backward()  # type: ignore[no-untyped-call]
