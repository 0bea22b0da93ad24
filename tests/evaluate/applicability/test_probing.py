"""What heads, neighbours and layers can do is told of rows that they have not seen."""

from __future__ import annotations

import numpy as np
import pytest

from zogan.data.rows import Place, TextRow
from zogan.evaluate.applicability.probing import by_neighbour, cut, more_rows, within_reach


def drawn(rows: int = 90, classes: int = 3, dim: int = 12, *, noise: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    given = np.arange(rows) % classes
    return draw.normal(size=(classes, dim))[given] + noise * draw.normal(size=(rows, dim)), given


def parts_of(rows: int) -> list[tuple[int, ...]]:
    return [tuple(range(start, rows, 5)) for start in range(5)]


def named(given: np.ndarray) -> list[TextRow]:
    return [TextRow(f"text {row}", str(label), Place("x", row + 1)) for row, label in enumerate(given.tolist())]


def test_a_class_of_one_row_is_not_judged() -> None:
    given = np.array([0, 1] * 10 + [2])
    judged, parts, classes = cut(named(given), given, 0)
    assert judged.tolist() == list(range(20))
    assert classes == [0, 1]
    assert sorted(row for part in parts for row in part) == list(range(20))


@pytest.mark.parametrize("given", [[0, 1, 2], [0, 0, 0, 0, 0, 0, 1]])
def test_nothing_is_judged_with_fewer_than_two_classes(given: list[int]) -> None:
    rows = np.array(given)
    judged, parts, classes = cut(named(rows), rows, 0)
    assert (len(judged), list(parts), classes) == (0, [], [])


def test_a_row_is_not_its_own_neighbour() -> None:
    features, given = drawn(noise=0.1)
    assert by_neighbour(features, given, parts_of(90)).all()
    alone = given.copy()
    alone[7] = (given[7] + 1) % 3
    right = by_neighbour(features, alone, parts_of(90))
    assert not right[7]


def test_ridge_is_as_leaving_out_each_row() -> None:
    from sklearn.linear_model import Ridge

    from zogan.evaluate.applicability.probing import PENALTIES

    features, given = drawn(30, noise=1.5)
    upper, lower = features.astype(np.float32), np.zeros_like(features, dtype=np.float32)
    found, _ = within_reach(np.stack([lower, upper]), given)
    x = upper.astype(np.float64)
    x, target = (x - x.mean(0)) / (x.std(0) + 1e-9), np.eye(3)[given]
    scores = np.zeros((len(PENALTIES), 30, 3))
    for place, penalty in enumerate(PENALTIES):
        for row in range(30):
            rest = np.arange(30) != row
            fit = Ridge(float((x**2).sum()) * penalty).fit(x[rest], target[rest])
            scores[place, row] = fit.predict(x[row : row + 1])[0]
    best = ((scores - target) ** 2).mean(axis=(1, 2)).argmin()
    assert np.array_equal(found, scores[best].argmax(axis=1) == given)
    assert 0 < found.sum() < 30


def test_what_a_lower_layer_holds_is_within_reach() -> None:
    features, given = drawn()
    blind = np.random.default_rng(1).normal(size=features.shape)
    last, every = within_reach(np.stack([features, blind]).astype(np.float32), given)
    assert every.mean() > 0.9 > 0.6 > last.mean()


def test_twice_the_rows_help_while_a_class_is_hardly_known() -> None:
    gains = []
    for features, given in (drawn(120, noise=0.3), drawn(96, 12, 40, noise=1.5)):
        found = more_rows(features, given, parts_of(len(given)), level=0.95, seed=0, resamples=200)
        assert found is not None
        gains.append(found.points[2].value - found.points[1].value)
    assert gains[0] < 0.02 < 0.05 < gains[1]


def test_rows_that_cannot_be_quartered_have_no_curve() -> None:
    features, given = drawn(8, 2)
    parts = [(0, 1), (2, 3), (4, 5), (6, 7)]
    assert more_rows(features, given, parts, level=0.95, seed=0, resamples=100) is None
