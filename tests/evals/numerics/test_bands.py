"""Simultaneous bands cover whole curves where pointwise ones do not."""

import numpy as np
import pytest

from evals.numerics.bands import simultaneous_factor


def walks(rng: np.random.Generator, num: int) -> np.ndarray:
    return rng.normal(size=(num, 1)) + 0.3 * np.cumsum(rng.normal(size=(num, 15)), axis=1)


def test_the_band_covers_the_whole_curve() -> None:
    rng = np.random.default_rng(0)
    every, hits, pointwise = np.ones(15, bool), [], []
    for seed in range(250):
        values = walks(rng, 10)
        sizes = np.abs(values.mean(axis=0)) / (values.std(axis=0, ddof=1) / np.sqrt(10))
        hits.append(sizes.max() <= simultaneous_factor(values, every, draws=400, seed=seed))
        pointwise.append(sizes.max() <= 2.262)
    assert 0.91 <= np.mean(hits) <= 0.98
    assert np.mean(pointwise) < 0.9


def test_one_window_has_students_interval() -> None:
    values = np.random.default_rng(1).normal(size=(10, 3))
    found = simultaneous_factor(values, np.array([False, True, False]), draws=40_000)
    assert found == pytest.approx(2.262, abs=0.03)


def test_windows_that_move_together_are_one() -> None:
    column = np.random.default_rng(2).normal(size=(12, 1))
    together = simultaneous_factor(np.tile(column, 20), np.ones(20, bool))
    apart = simultaneous_factor(np.random.default_rng(3).normal(size=(12, 20)), np.ones(20, bool))
    assert together == pytest.approx(2.201, abs=0.1)
    assert apart > 1.4 * together


def test_gaps_are_left_out_and_no_spread_has_no_band() -> None:
    values = walks(np.random.default_rng(4), 10)
    holed = values.copy()
    holed[0, 7:] = np.nan
    every = np.ones(15, bool)
    assert simultaneous_factor(holed, every) > simultaneous_factor(values, every) - 0.1
    assert simultaneous_factor(values, every) == simultaneous_factor(values, every)
    assert np.isnan(simultaneous_factor(np.ones((9, 4)), np.ones(4, bool)))
    assert np.isnan(simultaneous_factor(values, np.zeros(15, bool)))
