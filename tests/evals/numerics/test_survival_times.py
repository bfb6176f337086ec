"""Kaplan-Meier and log-rank on textbook cases, and the log-rank scores."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.numerics.survival import kaplan_meier, log_rank, log_rank_scores

WEEKS = np.array([6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35.0])
FAILED = np.array([1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0], bool)
PLACEBO = np.array([1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23.0])


def test_the_estimate_is_that_of_the_textbook() -> None:
    """Remission of 21 patients under 6-MP (Freireich et al., 1963), in every textbook."""
    found = kaplan_meier(WEEKS, FAILED)
    assert found.times_s.tolist() == [0, 6, 7, 10, 13, 16, 22, 23]
    expected = [1, 0.857, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448]
    assert found.share == pytest.approx(expected, abs=5e-4)
    assert found.low[1] == pytest.approx(0.620, abs=1e-3)
    assert found.high[1] == pytest.approx(0.952, abs=1e-3)


def test_the_median_is_that_of_the_textbook() -> None:
    assert kaplan_meier(WEEKS, FAILED).median_s == 23
    assert kaplan_meier(PLACEBO, np.ones(21, bool)).median_s == 8
    assert np.isnan(kaplan_meier(WEEKS, np.zeros(21, bool)).median_s)


def test_streams_that_end_without_a_failure_do_not_lower_it() -> None:
    found = kaplan_meier(np.array([10.0, 20.0]), np.array([False, False]))
    assert (found.times_s.tolist(), found.share.tolist()) == ([0.0], [1.0])
    everyone = kaplan_meier(np.array([10.0, 10.0]), np.array([True, True]))
    assert everyone.share.tolist() == [1.0, 0.0]
    assert np.isnan(everyone.low).all()


def test_the_log_rank_test_is_that_of_the_textbook() -> None:
    """6-MP against placebo: 9 failures of 19.25 expected, chi-square 16.79 (Kleinbaum, 2.4)."""
    times = np.concatenate([WEEKS, PLACEBO])
    failed = np.concatenate([FAILED, np.ones(21, bool)])
    found = log_rank(times, failed, np.repeat([0, 1], 21))
    assert found.observed.tolist() == [9, 21]
    assert found.expected == pytest.approx([19.25, 10.75], abs=5e-3)
    assert found.statistic == pytest.approx(16.793, abs=1e-3)
    assert found.p == pytest.approx(4.17e-5, rel=5e-3)


def test_three_groups_by_hand() -> None:
    """One failure of each of three streams, first to last: expected 1/3, 5/6 and 11/6."""
    found = log_rank(np.array([1.0, 2, 3]), np.ones(3, bool), np.array([4, 7, 9]))
    assert found.expected == pytest.approx([1 / 3, 5 / 6, 11 / 6])
    # Covariance of the first two: variances 2/9 and 2/9 + 1/4, between them -1/9.
    gap = np.array([2 / 3, 1 / 6])
    by_hand = gap @ np.linalg.inv([[2 / 9, -1 / 9], [-1 / 9, 2 / 9 + 1 / 4]]) @ gap
    assert found.statistic == pytest.approx(by_hand)


def test_groups_that_cannot_be_told_apart_have_no_test() -> None:
    never = log_rank(np.array([1.0, 2]), np.zeros(2, bool), np.array([0, 1]))
    alone = log_rank(np.array([1.0, 2]), np.ones(2, bool), np.array([0, 0]))
    apart = log_rank(np.array([1.0, 5]), np.array([False, True]), np.array([0, 1]))
    assert np.isnan([never.p, alone.p, apart.p]).all()


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.booleans(), st.integers(0, 2)), min_size=2, max_size=15
    )
)
def test_scores_add_up_to_observed_minus_expected(streams: list[tuple[int, bool, int]]) -> None:
    times, failed, groups = (np.array(column) for column in zip(*streams, strict=True))
    scores = log_rank_scores(times.astype(float), failed.astype(bool))
    found = log_rank(times.astype(float), failed.astype(bool), groups.astype(int))
    sums = [scores[groups == group].sum() for group in np.unique(groups)]
    np.testing.assert_allclose(sums, found.observed - found.expected, atol=1e-9)
