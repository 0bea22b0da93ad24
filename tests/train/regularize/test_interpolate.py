"""Points between old and new: the best stays in place, and both ends are exact."""

from __future__ import annotations

from math import inf, nan

import pytest
import torch
from torch import nn

from zogan.config import RegularizeConfig
from zogan.tasks.task import Monitor
from zogan.train.regularize.interpolate import Point, between, interpolate

SHARES = RegularizeConfig(interpolate=4).points


def parameters() -> tuple[dict[str, nn.Parameter], dict[str, torch.Tensor]]:
    """A body that went from 2 to 6, and a head that has no old values."""
    trained = {"body": nn.Parameter(torch.full((3,), 6.0)), "head": nn.Parameter(torch.full((2,), 9.0))}
    return trained, {"body": torch.full((3,), 2.0)}


def scored(*scores: float) -> tuple[tuple[Point, ...], dict[str, nn.Parameter], list[float]]:
    """Of the points in order; with what was in place at each."""
    (trained, old), seen, left = parameters(), [], list(scores)

    def monitor() -> Monitor:
        seen.append(trained["body"][0].item())
        return Monitor(10 * left[0], (left.pop(0),))

    return interpolate(trained, old, SHARES, monitor), trained, seen


def test_the_way_is_cut_evenly_and_one_part_lies_beyond() -> None:
    assert SHARES == (0.0, 0.25, 0.5, 0.75, 1.0, 1.25)
    assert RegularizeConfig(interpolate=3).points[3] == 1.0
    assert RegularizeConfig().points == ()


@pytest.mark.parametrize(
    ("scores", "best"),
    [
        ((6, 5, 4, 3, 2, 1), 1.25),
        ((1, 2, 3, 4, 5, 6), 0.0),
        ((5, 2, 1, 2, 5, 6), 0.5),
        ((5, 2, 2, 2, 5, 6), 0.75),  # of equals the larger share
        ((1, 1, 1, 1, 1, 1), 1.25),
        ((5, 4, 3, 2, 3, nan), 0.75),
        ((nan, inf, 3, 4, 3, nan), 1.0),
    ],
)
def test_the_best_is_kept(scores: tuple[float, ...], best: float) -> None:
    points, trained, seen = scored(*map(float, scores))
    assert seen == [2 + 4 * share for share in SHARES]
    assert [point.share for point in points] == list(SHARES)
    assert [point.share for point in points if point.best] == [best]
    assert trained["body"].tolist() == [2 + 4 * best] * 3
    assert trained["head"].tolist() == [9.0, 9.0]
    assert points[2].validation_loss == 10 * points[2].validation_score[0]


def test_ends_and_what_did_not_change_are_exact() -> None:
    old, new = torch.tensor([0.1, -0.0, 1e30, 0.7]), torch.tensor([0.3, -0.0, 1.0, 0.7])
    for share, known in ((0.0, old), (1.0, new)):
        assert between(old, new, share).view(torch.int32).tolist() == known.view(torch.int32).tolist()
    middle = between(old, new, 0.3)
    assert middle[[1, 3]].view(torch.int32).tolist() == old[[1, 3]].view(torch.int32).tolist()
    torch.testing.assert_close(middle, torch.lerp(old, new, 0.3))
