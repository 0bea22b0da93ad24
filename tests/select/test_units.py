"""The best units by the mean of their scores, and never more of them than the share allows."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from zogan.errors import ConfigError
from zogan.select.grids import Grid, Span
from zogan.select.units import Units, best

SHAPES = {"a": (6, 4), "b": (3, 10), "c": (5, 5)}
TOTAL = 24 + 30 + 25
BLOCKS = {
    name: Grid(name, Span(2, -(-rows // 2)), Span(2, -(-columns // 2))) for name, (rows, columns) in SHAPES.items()
}
ROWS = {name: Grid(name, Span(1, rows), Span(columns, 1)) for name, (rows, columns) in SHAPES.items()}
# Rows of a with columns of b (its ten in fives), c alone.
COUPLED = {
    "a": Grid("b", Span(3, 2), Span(4, 1)),
    "b": Grid("b", Span(3, 1), Span(5, 2)),
    "c": Grid("c", Span(1, 5), Span(5, 1)),
}
CUTS = {"blocks": BLOCKS, "rows": ROWS, "coupled": COUPLED}


def data(seed: int, count: int = 2) -> list[dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    return [{name: torch.randn(shape, generator=generator) for name, shape in SHAPES.items()} for _ in range(count)]


def units(batches: list[dict[str, Tensor]], pattern: str, count: int, allocation: str = "global") -> Units:
    held = Units(CUTS[pattern], SHAPES, count, allocation, torch.abs)
    for batch in batches:
        for name, folded in batch.items():
            held.add(name, folded)
    return held


def chosen_units(pattern: str, positions: dict[str, Tensor]) -> dict[tuple[str, int], bool]:
    """Whether each unit is chosen; it is whole or not at all."""
    found: dict[tuple[str, int], bool] = {}
    for name, one in CUTS[pattern].items():
        count = len(one.sizes(SHAPES[name]))
        for unit in range(count):
            inside = torch.isin(one.positions(torch.arange(count) == unit, SHAPES[name]), positions[name])
            assert inside.all() or not inside.any()
            assert found.setdefault((one.group, unit), bool(inside[0])) == bool(inside[0])
    return found


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 1000),
    pattern=st.sampled_from(list(CUTS)),
    allocation=st.sampled_from(["global", "tensor"]),
    count=st.integers(1, TOTAL),
)
def test_whole_units_within_the_share(seed: int, pattern: str, allocation: str, count: int) -> None:
    held = units(data(seed), pattern, count, allocation)
    try:
        positions = held.choose()
    except ConfigError:
        smallest = {"blocks": 1, "rows": 4, "coupled": 5}[pattern]
        assert count < smallest if allocation == "global" else count < TOTAL
        return
    assert positions.keys() == SHAPES.keys()
    assert 0 < sum(len(flat) for flat in positions.values()) <= count
    taken = chosen_units(pattern, positions)
    if allocation == "tensor":
        for group, names in itertools.groupby(sorted(SHAPES, key=lambda name: CUTS[pattern][name].group), str):
            of_group = [name for name in names if CUTS[pattern][name].group == group]
            weights = sum(SHAPES[name][0] * SHAPES[name][1] for name in of_group)
            assert sum(len(positions[name]) for name in of_group) <= -(-count * weights // TOTAL)
    assert any(taken.values())


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 1000), pattern=st.sampled_from(list(CUTS)), count=st.integers(12, TOTAL - 1))
def test_the_best_by_the_mean_of_each_batchs_scores(seed: int, pattern: str, count: int) -> None:
    batches = data(seed)
    taken = chosen_units(pattern, units(batches, pattern, count).choose())
    means: dict[tuple[str, int], float] = {}
    sizes: dict[tuple[str, int], int] = {}
    for key in taken:
        scores = []
        for name, one in CUTS[pattern].items():
            if one.group == key[0]:
                flat = one.positions(torch.arange(len(one.sizes(SHAPES[name]))) == key[1], SHAPES[name])
                scores += [sum(batch[name].reshape(-1)[flat].abs() for batch in batches)]
        every = torch.cat([torch.as_tensor(score) for score in scores])
        means[key], sizes[key] = float(every.mean()), len(every)
    left, expected = count, {}
    for key in sorted(means, key=lambda key: -means[key]):
        expected[key] = sizes[key] <= left
        left -= sizes[key] if expected[key] else 0
    assert taken == expected


def test_a_share_in_which_no_unit_fits_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"density: 3 of 79 weights may change, and the smallest unit holds 4\. Take"):
        units(data(0), "rows", 3).choose()
    with pytest.raises(ConfigError, match=r"10 of 79 weights, shared out over .* holds 4\. Take at least 0\.17, or"):
        units(data(0), "rows", 10, "tensor").choose()


def test_one_batch_more_adds_to_the_scores() -> None:
    one, other = data(1)
    once, twice = units([one, other], "rows", 10), units([one], "rows", 10)
    twice.add("a", other["a"])
    assert torch.equal(once.sums["a"], twice.sums["a"])
    assert not torch.equal(once.sums["b"], twice.sums["b"])


def test_tensors_that_are_out_after_all_count_not() -> None:
    held = units(data(2), "coupled", TOTAL)
    held.narrow({"a": SHAPES["a"], "c": SHAPES["c"]}, 20)
    found = held.choose()
    assert found.keys() == {"a", "c"}
    assert len(found["a"]) in (0, 12)
    assert 15 <= sum(len(flat) for flat in found.values()) <= 20


def test_at_random_every_unit_has_the_same_chance() -> None:
    counts: dict[Any, int] = {}
    for seed in range(400):
        held = Units(COUPLED, SHAPES, TOTAL, "global", torch.abs)
        held.draw(torch.Generator().manual_seed(seed))
        held.count = 27  # the larger units, of 27, fit when they come first
        first = [key for key, taken in chosen_units("coupled", held.choose()).items() if taken]
        for key in first if len(first) == 1 else ():
            counts[key] = counts.get(key, 0) + 1
    # Two of seven units are large, and a large one comes first in two of seven draws.
    assert sum(counts.values()) == pytest.approx(400 * 2 / 7, rel=0.25)


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 1000), sizes=st.lists(st.integers(1, 6), min_size=1, max_size=20), budget=st.integers(0, 60))
def test_best_takes_what_fits_from_the_top(seed: int, sizes: list[int], budget: int) -> None:
    scores = torch.rand(len(sizes), generator=torch.Generator().manual_seed(seed)).mul(4).round()  # with ties
    left, expected = budget, [False] * len(sizes)
    for unit in sorted(range(len(sizes)), key=lambda unit: -float(scores[unit])):
        if sizes[unit] <= left:
            expected[unit], left = True, left - sizes[unit]
    assert best(scores, torch.tensor(sizes), budget).tolist() == expected
