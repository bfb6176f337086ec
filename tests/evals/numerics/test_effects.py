"""Effect sizes: by hand, their invariances, and how often their intervals cover."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.numerics.effects import (
    Effect,
    probability_of_superiority,
    standardised_difference,
)


def smd(differences: np.ndarray, clusters: np.ndarray | None = None) -> Effect:
    own = np.arange(len(differences)) if clusters is None else clusters
    return standardised_difference(differences, weights=np.ones(len(differences)), clusters=own)


def superiority(costs: np.ndarray, clusters: np.ndarray | None = None) -> Effect:
    own = np.arange(len(costs)) if clusters is None else clusters
    return probability_of_superiority(costs, weights=np.ones(len(costs)), clusters=own)


def test_the_standardised_difference_by_hand() -> None:
    """Mean 3, standard deviation sqrt(2.5); Hedges's factor at 4 degrees of freedom is 0.7979."""
    found = smd(np.array([1.0, 2, 3, 4, 5]))
    assert found.value == pytest.approx(0.7978846 * 3 / np.sqrt(2.5), abs=1e-6)
    assert found.low < found.value < found.high


def test_wins_and_ties_are_counted() -> None:
    found = superiority(np.array([-1.0, -2, 0, 3, -1, -5, -1, -1]))
    assert found.value == (6 + 0.5) / 8
    assert 0 < found.low < found.value < found.high < 1


def test_all_wins_leave_room_for_those_that_were_not_seen() -> None:
    """With 20 wins of 20, Wilson's lower end is n / (n + t^2), t at 19 degrees of freedom."""
    found = superiority(-np.ones(20))
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(20 / (20 + 2.0930241**2), abs=1e-6)


@pytest.mark.parametrize("cost", [0.0, -1.0, 1.0])
def test_rounding_of_weights_is_no_certainty(cost: float) -> None:
    """Whatever the weights, pairs that are all alike have the interval of as many draws."""
    rng = np.random.default_rng(6)
    costs, own = np.full(20, cost), np.arange(20)
    expected = superiority(costs)
    for _ in range(200):
        found = probability_of_superiority(costs, weights=rng.random(20), clusters=own)
        ends = (found.value, found.low, found.high)
        assert ends == pytest.approx((expected.value, expected.low, expected.high))
        assert 0 <= found.low < found.high <= 1


@pytest.mark.parametrize("delta", [0.0, 0.5, 1.0])
def test_intervals_of_normal_samples_cover(delta: float) -> None:
    rng = np.random.default_rng(3)
    draws = [smd(delta + rng.normal(size=10)) for _ in range(500)]
    assert 0.92 <= np.mean([one.low <= delta <= one.high for one in draws]) <= 0.99
    assert np.mean([one.value for one in draws]) == pytest.approx(delta, abs=0.06)  # unbiased


def test_the_interval_of_a_share_covers() -> None:
    rng = np.random.default_rng(4)
    draws = [superiority(np.where(rng.random(20) < 0.7, -1.0, 1.0)) for _ in range(500)]
    assert 0.92 <= np.mean([one.low <= 0.7 <= one.high for one in draws]) <= 0.99


def test_copies_add_no_certainty() -> None:
    values = np.random.default_rng(5).normal(0.5, 1, 12)
    copies, clusters = np.repeat(values, 8), np.repeat(np.arange(12), 8)
    one, many = superiority(values), superiority(copies, clusters)
    assert (one.value, one.low, one.high) == pytest.approx((many.value, many.low, many.high))
    one, many = smd(values), smd(copies, clusters)
    assert many.high - many.low == pytest.approx(one.high - one.low, rel=0.1)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(-50, 50), min_size=5, max_size=12), st.floats(0.01, 100))
def test_units_do_not_matter_and_swapping_systems_mirrors(values: list[int], scale: float) -> None:
    differences = np.array(values, float)
    base, scaled, swapped = smd(differences), smd(scale * differences), smd(-differences)
    ends = np.array([base.value, base.low, base.high])
    np.testing.assert_allclose([scaled.value, scaled.low, scaled.high], ends, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(
        [-swapped.value, -swapped.high, -swapped.low], ends, rtol=1e-9, atol=1e-12
    )
    share, mirrored = superiority(differences), superiority(-differences)
    assert share.value == pytest.approx(1 - mirrored.value)
    assert share.low == pytest.approx(1 - mirrored.high)


def test_what_is_not_defined_is_not_a_number() -> None:
    assert np.isnan(smd(np.full(9, 0.3)).value)  # no spread
    assert np.isnan(smd(np.array([1.0])).value)
    assert np.isnan(superiority(np.zeros(0)).value)
    few = superiority(np.array([-1.0, 1, 1]))
    assert few.value == pytest.approx(1 / 3)
    assert np.isnan([few.low, few.high, smd(np.array([1.0, 2, 4])).low]).all()


def test_two_pairs_have_no_effect_size() -> None:
    assert np.isnan(smd(np.array([0.36, 0.4])).value)
    assert np.isnan(smd(np.array([0.36, 0.4, 0.5, 0.6]), np.array([0, 0, 1, 1])).value)
    assert np.isfinite(smd(np.array([0.36, 0.4, 0.5])).value)
