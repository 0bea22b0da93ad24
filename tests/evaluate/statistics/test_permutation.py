"""The sign-flip test: exact where it can be, right as often as it says."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from jaxtyping import Float64
from scipy import stats

from zogan.errors import DataError
from zogan.evaluate.metrics import metrics, ratio
from zogan.evaluate.statistics import Matched, mcnemar, sign_flip

F1 = metrics("classification")["macro_f1"].figure


def parts(values: Float64[np.ndarray, " rows"]) -> Float64[np.ndarray, "rows parts"]:
    return np.stack([values, np.ones_like(values)], axis=1)


def labelled(choice: np.ndarray, truth: np.ndarray) -> Float64[np.ndarray, "rows parts"]:
    identity = np.eye(3)
    return np.concatenate([identity[choice] * identity[truth], identity[choice], identity[truth]], axis=1)


def test_a_mean_is_as_scipy_has_it() -> None:
    apart = np.random.default_rng(0).normal(0.1, 1, size=12)
    found = sign_flip(
        parts(np.zeros(12)), parts(apart), ratio, shift=0.3, alternative="greater", resamples=5000, seed=0
    )
    peer = stats.permutation_test(
        (apart + 0.3,),
        lambda sample, axis: sample.mean(axis=axis),
        permutation_type="samples",
        alternative="greater",
        vectorized=True,
    ).pvalue
    assert found == pytest.approx(peer)


def test_right_and_wrong_rows_give_mcnemars_p_value() -> None:
    first, second = np.array([1.0] * 3 + [0.0] * 9), np.array([0.0] * 2 + [1.0] * 8 + [0.0] * 2)
    found = sign_flip(parts(first), parts(second), ratio, resamples=5000, seed=0)
    assert found == pytest.approx(mcnemar(Matched(12, 7, 2)))


def test_macro_f1_over_all_swaps() -> None:
    generator = np.random.default_rng(1)
    truth, first, second = (generator.integers(0, 3, size=9) for _ in range(3))
    one, two = labelled(first, truth), labelled(second, truth)
    gaps = []
    for swapped in itertools.product([False, True], repeat=9):
        mask = np.array(swapped)[:, None]
        sums = [np.where(mask, a, b).sum(axis=0, keepdims=True) for a, b in ((one, two), (two, one))]
        gaps.append((F1(sums[0]) - F1(sums[1]))[0])
    extreme = np.mean(np.array(gaps) >= gaps[0] - 1e-9)
    found = sign_flip(one, two, F1, alternative="greater", resamples=1000, seed=0)
    assert found == pytest.approx(extreme)


def test_a_margin_turns_no_difference_into_evidence() -> None:
    noise = 0.1 * np.random.default_rng(2).normal(size=200)
    same = {"alternative": "greater", "resamples": 999, "seed": 0}
    assert sign_flip(parts(np.zeros(200)), parts(noise - noise.mean()), ratio, **same) > 0.4  # type: ignore[arg-type]
    assert sign_flip(parts(np.zeros(200)), parts(noise), ratio, shift=0.05, **same) == 0.001  # type: ignore[arg-type]


def test_at_the_margin_it_accepts_as_often_as_it_says() -> None:
    generator = np.random.default_rng(3)
    accepted = 0
    for seed in range(400):
        apart = generator.normal(-0.1, 1, size=60)
        p_value = sign_flip(
            parts(np.zeros(60)), parts(apart), ratio, shift=0.1, alternative="greater", resamples=199, seed=seed
        )
        accepted += p_value <= 0.05
    assert abs(accepted / 400 - 0.05) <= 2.6 * (0.05 * 0.95 / 400) ** 0.5


def test_no_rows_are_refused() -> None:
    with pytest.raises(DataError, match="no rows to compare"):
        sign_flip(np.zeros((0, 2)), np.zeros((0, 2)), ratio, resamples=10, seed=0)
