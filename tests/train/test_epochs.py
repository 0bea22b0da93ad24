"""The number of epochs that folds say: the earliest within one standard error of the best."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zogan.train.epochs import choose
from zogan.train.loop import Epoch, Known
from zogan.train.regularize import Point


def fold(*scores: float) -> tuple[Epoch, ...]:
    return tuple(Epoch(place, 1.0, score * 2, (score, score * 2), False, 0.5) for place, score in enumerate(scores, 1))


def test_the_earliest_that_cannot_be_told_from_the_best_is_taken() -> None:
    # The best mean is 0.30, after epoch 3, and the folds that differ there by 0.1 give it a standard error of 0.05.
    folds = [fold(0.60, 0.37, 0.25, 0.30), fold(0.50, 0.31, 0.35, 0.40)]
    found = choose(folds)
    assert (found.best, found.epochs) == (3, 2)
    assert found.standard_error == pytest.approx(0.05)
    assert [mean.score[0] for mean in found.means] == pytest.approx([0.55, 0.34, 0.30, 0.35])
    assert [mean.loss for mean in found.means] == pytest.approx([1.10, 0.68, 0.60, 0.70])
    assert found.folds == tuple(folds)
    assert found.as_json()["validation_losses"] == [mean.loss for mean in found.means]


def test_folds_that_agree_leave_no_doubt() -> None:
    same = [fold(0.5, 0.4, 0.3, 0.35)] * 3
    assert choose(same).standard_error == 0.0
    assert choose(same).epochs == choose(same).best == 3


def test_where_the_first_figures_are_equal_the_next_decides_the_best_and_the_earliest_is_taken() -> None:
    first, second = Epoch(1, 1.0, 0.7, (0.2, 0.7), True, 0.1), Epoch(2, 1.0, 0.6, (0.2, 0.6), True, 0.2)
    found = choose([(first, second)] * 2)
    assert (found.best, found.epochs) == (2, 1)


def test_of_the_points_on_the_way_to_the_chosen_epoch_the_one_with_the_best_mean_is_taken() -> None:
    def points(*scores: float) -> tuple[Point, ...]:
        return tuple(Point(place / 2, score * 2, (score,)) for place, score in enumerate(scores))

    # Of the second epoch, which is chosen; those of the first would say otherwise.
    around = [(points(0.1, 0.9, 0.9), points(0.5, 0.2, 0.4)), (points(0.1, 0.9, 0.9), points(0.5, 0.4, 0.3))]
    found = choose([fold(0.6, 0.3), fold(0.6, 0.3)], around)
    assert [point.validation_score[0] for point in found.points] == pytest.approx([0.5, 0.3, 0.35])
    assert [point.validation_loss for point in found.points] == pytest.approx([1.0, 0.6, 0.7])
    assert [(point.share, point.best) for point in found.points] == [(0.0, False), (0.5, True), (1.0, False)]
    assert found.known == Known(found.means, found.points)
    assert found.as_json()["points"][1]["share"] == 0.5
    assert choose([fold(0.6, 0.3), fold(0.6, 0.3)]).points == ()


@given(st.lists(st.lists(st.floats(0, 1), min_size=4, max_size=4), min_size=2, max_size=6))
def test_no_epoch_before_the_chosen_has_as_good_a_mean(scores: list[list[float]]) -> None:
    found = choose([fold(*one) for one in scores])
    chosen = found.means[found.epochs - 1]
    assert all(chosen.score[0] < before.score[0] for before in found.means[: found.epochs - 1])
    assert found.epochs <= found.best
    assert chosen.score[0] <= found.means[found.best - 1].score[0] + found.standard_error
