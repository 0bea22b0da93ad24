"""Candidates in bounded memory choose what dense sums would."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from zogan.select.candidates import MULTIPLE, Candidates, threshold

SHAPES = {"a": (40, 50), "b": (10, 300), "c": (120, 8)}
TOTAL = sum(rows * columns for rows, columns in SHAPES.values())


def batches(seed: int, count: int) -> list[dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    # A signal that stays and noise that does not, as gradients over batches have.
    signal = {name: torch.randn(shape, generator=generator).pow(3) for name, shape in SHAPES.items()}
    return [
        {name: signal[name] + torch.randn(shape, generator=generator) for name, shape in SHAPES.items()}
        for _ in range(count)
    ]


def chosen(batches: list[dict[str, Tensor]], allocation: str, count: int, *, exact: bool) -> dict[str, Tensor]:
    candidates = Candidates(SHAPES, count, allocation, torch.abs, exact=exact)
    for batch in batches:
        for name, folded in batch.items():
            candidates.add(name, folded)
    return candidates.choose()


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 1000),
    allocation=st.sampled_from(["global", "tensor", "row"]),
    count=st.integers(5, TOTAL // 10),
)
def test_one_batch_is_exact(seed: int, allocation: str, count: int) -> None:
    data = batches(seed, 1)
    ours = chosen(data, allocation, count, exact=False)
    dense = chosen(data, allocation, count, exact=True)
    assert ours.keys() == dense.keys()
    for name in ours:
        assert torch.equal(ours[name], dense[name]), name


@pytest.mark.parametrize("allocation", ["global", "tensor", "row"])
def test_many_batches_are_close_to_exact(allocation: str) -> None:
    data = batches(1, 8)
    ours = chosen(data, allocation, 100, exact=False)
    dense = chosen(data, allocation, 100, exact=True)
    same = sum(len(set(ours[name].tolist()) & set(dense[name].tolist())) for name in SHAPES)
    assert same >= 0.95 * sum(len(flat) for flat in dense.values())


def test_global_is_the_best_over_all() -> None:
    data = batches(2, 3)
    sums = {name: sum((batch[name] for batch in data), torch.zeros(SHAPES[name])).abs() for name in SHAPES}
    limit = torch.cat([total.reshape(-1) for total in sums.values()]).topk(100).values.min()
    found = chosen(data, "global", 100, exact=True)
    assert sum(len(flat) for flat in found.values()) == 100
    for name, flat in found.items():
        assert torch.equal(flat, (sums[name].reshape(-1) >= limit).nonzero().squeeze(1))


@pytest.mark.parametrize("exact", [True, False])
def test_row_gives_every_row_its_part(exact: bool) -> None:
    found = chosen(batches(3, 4), "row", TOTAL // 20, exact=exact)
    for name, (rows, columns) in SHAPES.items():
        counts = torch.bincount(found[name] // columns, minlength=rows)
        assert int(counts.max() - counts.min()) <= 1, name


def test_tensor_gives_every_tensor_its_share() -> None:
    found = chosen(batches(3, 2), "tensor", TOTAL // 20, exact=False)
    for name, (rows, columns) in SHAPES.items():
        assert len(found[name]) == round(rows * columns / 20)


@pytest.mark.parametrize("allocation", ["global", "tensor", "row"])
def test_memory_is_bounded_by_the_budget(allocation: str) -> None:
    count = TOTAL // 50
    candidates = Candidates(SHAPES, count, allocation, torch.abs)
    for batch in batches(4, 12):
        for name, folded in batch.items():
            candidates.add(name, folded)
            held = sum(len(kept.flat) for kept in candidates.held.values())
            # Every tensor or row rounds up its part by less than one candidate's multiple.
            slack = 2 * MULTIPLE * sum(rows for rows, _ in SHAPES.values()) if allocation == "row" else 2 * MULTIPLE * 3
            assert held <= 2 * MULTIPLE * count + slack


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 1000), size=st.integers(1, 5000), share=st.floats(0.001, 1.2), ties=st.booleans())
def test_threshold_keeps_enough_and_not_many_more(seed: int, size: int, share: float, ties: bool) -> None:
    scores = torch.rand(size, generator=torch.Generator().manual_seed(seed))
    if ties:
        scores = (scores * 4).round()
    count = max(1, int(share * size))
    kept = int((scores >= threshold(scores, count, sample=256)).sum())
    assert kept >= min(count, size)
    if not ties:
        assert kept <= 2 * count + 64


def test_threshold_is_right_where_the_sample_misleads() -> None:
    scores = torch.zeros(100_000)
    scores[1::3] = 1.0  # a stride that the sample may fall between
    assert int((scores >= threshold(scores, 30_000, sample=100)).sum()) >= 30_000


def test_of_a_tensor_whose_rows_are_no_neurons_the_best_are_taken() -> None:
    shapes = {"layer": (4, 8), "table": (4, 8)}
    found = Candidates(shapes, 16, "row", torch.abs, rowless={"table"})
    folded = torch.zeros(4, 8)
    folded[1] = torch.arange(1.0, 9.0)  # of the four rows one is ever seen
    for name in shapes:
        for _ in range(2):
            found.add(name, folded)
    chosen = found.choose()
    assert chosen["table"].tolist() == list(range(8, 16))
    assert (chosen["layer"] // 8).bincount(minlength=4).tolist() == [2, 2, 2, 2]
