"""The mean over the last steps, and no more than that."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from zogan.train.regularize.average import Average


def steps(average: Average, values: Tensor, begin: int = 1) -> dict[str, nn.Parameter]:
    """Each row of the values after a step."""
    trained = {"w": nn.Parameter(torch.zeros(values.shape[1]))}
    for step, row in enumerate(values, start=begin):
        trained["w"].data.copy_(row)
        average.add(trained, step)
    return trained


@pytest.mark.parametrize(("share", "count"), [(1.0, 10), (0.5, 5), (0.24, 2), (0.01, 1)])
def test_it_is_the_mean_of_the_last_steps(share: float, count: int) -> None:
    values = torch.randn(10, 6, generator=torch.Generator().manual_seed(0))
    average = Average(share, 10)
    trained = steps(average, values)
    assert average.count == count
    with average.in_place(trained):
        torch.testing.assert_close(trained["w"].data, values[-count:].mean(0))
    assert torch.equal(trained["w"].data, values[-1])


def test_before_the_last_steps_values_are_their_own() -> None:
    values = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    for average in (Average(0.5, 10), Average(0.0, 4)):
        trained = steps(average, values)
        assert average.count == 0
        with average.in_place(trained):
            assert torch.equal(trained["w"].data, values[-1])


def test_what_never_moved_is_what_it_was() -> None:
    values = torch.full((50, 3), 0.1) * torch.tensor([1.0, -7.0, 1e-20])
    average = Average(1.0, 50)
    trained = steps(average, values)
    with average.in_place(trained):
        assert torch.equal(trained["w"].data, values[0])


def test_its_state_goes_on_with_the_same_bytes() -> None:
    values = torch.randn(10, 6, generator=torch.Generator().manual_seed(0))
    whole, first, second = (Average(0.8, 10) for _ in range(3))
    steps(whole, values)
    trained = steps(first, values[:6])
    second.load(first.state(), trained)
    steps(second, values[6:], begin=7)
    assert second.count == whole.count
    assert torch.equal(second.values["w"], whole.values["w"])


def test_the_values_are_back_after_an_error() -> None:
    values = torch.tensor([[1.0], [3.0]])
    average = Average(1.0, 2)
    trained = steps(average, values)
    with pytest.raises(RuntimeError, match="stop"), average.in_place(trained):
        raise RuntimeError("stop")
    assert trained["w"].item() == 3.0
