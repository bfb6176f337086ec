"""The interval of one series' slope allows for points that depend on each other."""

import numpy as np
import pytest

from evals.numerics.line import least_squares_slope
from evals.numerics.trend import har_slope, num_cosines

TIMES = 2.0 * np.arange(60) + 1
NUM = 1_000


def noise(correlation: float, *, num: int = NUM, seed: int = 0) -> np.ndarray:
    """Stationary AR(1) series of 60 points, one a row."""
    steps = np.random.default_rng(seed).normal(size=(num, 60))
    steps[:, 0] /= np.sqrt(1 - correlation**2)
    for point in range(1, 60):
        steps[:, point] += correlation * steps[:, point - 1]
    return steps


@pytest.mark.parametrize(("correlation", "least"), [(0.0, 0.93), (0.5, 0.92), (0.8, 0.86)])
def test_the_interval_covers_what_it_says(correlation: float, least: float) -> None:
    found = [har_slope(TIMES, values) for values in noise(correlation)]
    covered = np.mean([one.low <= 0 <= one.high for one in found])
    assert least <= covered <= 0.97


def test_the_interval_of_independent_points_is_far_too_narrow_for_dependent_ones() -> None:
    found = [least_squares_slope(TIMES, values) for values in noise(0.5, num=400)]
    assert np.mean([one.low <= 0 <= one.high for one in found]) < 0.8


def test_a_trend_is_found_inside_its_interval() -> None:
    slope = har_slope(TIMES, 0.3 * TIMES + noise(0.5, num=1)[0])
    assert slope.low < 0.3 < slope.high
    assert slope.low > 0.25
    assert slope.high < 0.35


def test_the_slope_follows_shift_and_scale_of_values_and_times() -> None:
    values = noise(0.5, num=1)[0]
    plain = har_slope(TIMES, values)
    for moved in (har_slope(TIMES, -3 * values + 7), har_slope(TIMES / -3 + 1, values)):
        ends = (moved.value, moved.high, moved.low)
        assert ends == pytest.approx((-3 * plain.value, -3 * plain.low, -3 * plain.high))


def test_the_estimate_is_that_of_the_definition() -> None:
    """Of eight points: what the first cosine shows beside a constant and a line."""
    values = noise(0.5, num=1)[0][:8]
    times = TIMES[:8]
    cosine = np.cos(np.pi * (np.arange(8) + 0.5) / 8)
    beside = cosine - np.polynomial.Polynomial.fit(times, cosine, 1)(times)
    error = abs(values @ beside) / np.linalg.norm(beside) / np.linalg.norm(times - times.mean())
    found = har_slope(times, values)
    assert num_cosines(8) == 1
    assert found.value == pytest.approx(np.polynomial.Polynomial.fit(times, values, 1).deriv()(0))
    assert (found.high - found.low) / 2 == pytest.approx(12.7062 * error, rel=1e-4)


def test_cosines_grow_with_the_length() -> None:
    assert [num_cosines(num) for num in (8, 60, 1_800)] == [1, 6, 59]


def test_missing_points_are_left_out() -> None:
    values = noise(0.5, num=1)[0]
    there = np.arange(60) % 7 != 3
    assert har_slope(TIMES, np.where(there, values, np.nan)) == har_slope(
        TIMES[there], values[there]
    )


@pytest.mark.parametrize("slope", [0.0, 0.1])
def test_points_without_scatter_have_no_interval(slope: float) -> None:
    found = har_slope(TIMES, 0.7 + slope * TIMES)
    assert found.value == pytest.approx(slope, abs=1e-15)
    assert np.isnan([found.low, found.high]).all()


def test_too_few_points_and_equal_times_are_refused() -> None:
    values = np.where(np.arange(60) < 7, TIMES, np.nan)
    with pytest.raises(ValueError, match="7 values: the interval of one series needs 8"):
        har_slope(TIMES, values)
    with pytest.raises(ValueError, match="all times are equal"):
        har_slope(np.ones(60), TIMES)
