import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.statistics import bootstrap_mean, holm, paired_difference, sign_flip_p

FINITE = st.floats(-100, 100).map(lambda x: round(x, 6))


def normal(num: int, shift: float = 0.0, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(shift, 1.0, size=num)


@pytest.mark.parametrize("shift", [0.0, 0.3, 0.8])
def test_small_samples_get_the_exact_p_of_scipy(shift: float) -> None:
    differences = normal(9, shift)
    theirs = scipy.stats.permutation_test(
        (differences,),
        np.sum,
        permutation_type="samples",
        n_resamples=np.inf,
        alternative="two-sided",
        vectorized=False,
    )
    assert sign_flip_p(differences) == pytest.approx(theirs.pvalue, abs=1e-12)


def test_large_samples_get_nearly_the_p_of_the_t_test() -> None:
    differences = normal(150, 0.12)
    theirs = scipy.stats.ttest_1samp(differences, 0).pvalue
    # Standard error of 20,000 draws at p = 0.1 is 0.002; the two tests differ by little more.
    assert sign_flip_p(differences, draws=20_000) == pytest.approx(theirs, abs=0.01)


@pytest.mark.parametrize(("num", "p"), [(2, 0.5), (3, 0.25), (6, 2 / 64)])
def test_a_handful_of_agreeing_samples_cannot_be_sure(num: int, p: float) -> None:
    assert sign_flip_p(np.linspace(1.0, 2.0, num)) == p


def test_no_difference_has_p_one() -> None:
    found = paired_difference(normal(40), normal(40))
    assert (found.delta, found.low, found.high, found.p) == (0, 0, 0, 1)


def test_the_null_is_rejected_as_often_as_it_says() -> None:
    p_values = [sign_flip_p(normal(12, seed=seed)) for seed in range(400)]
    # 400 trials at 5 %: standard error 1.1 %.
    assert np.mean(np.array(p_values) < 0.05) == pytest.approx(0.05, abs=0.035)


def test_the_paired_interval_agrees_with_scipy_bootstrap() -> None:
    first, second = normal(50, 0.4, seed=1), normal(50, seed=2)
    ours = paired_difference(first, second, draws=20_000)
    theirs = scipy.stats.bootstrap(
        (first - second,),
        np.mean,
        n_resamples=20_000,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.03)
    assert ours.delta == pytest.approx(np.mean(first - second), abs=1e-12)


def test_the_interval_covers_as_often_as_it_says() -> None:
    hits = 0
    for seed in range(300):
        found = bootstrap_mean(normal(60, 1.0, seed=seed), draws=1_000)
        hits += found.low <= 1.0 <= found.high
    assert hits / 300 == pytest.approx(0.94, abs=0.04)  # percentile intervals are a little narrow


def test_weights_make_a_ratio_of_sums() -> None:
    errors, words = np.array([3.0, 0.0, 8.0]), np.array([30.0, 10.0, 40.0])
    found = bootstrap_mean(errors / words, weights=words)
    assert found.value == pytest.approx(11 / 80, abs=1e-15)


def test_cluster_copies_add_no_certainty() -> None:
    values = normal(20)
    clusters = np.repeat(np.arange(20), 30)
    many = bootstrap_mean(np.repeat(values, 30), clusters=clusters)
    few = bootstrap_mean(values)
    assert (many.low, many.high) == pytest.approx((few.low, few.high), abs=1e-12)
    copies = np.repeat(values, 30)
    zero = np.zeros(600)
    assert paired_difference(copies, zero, clusters=clusters).p == pytest.approx(
        paired_difference(values, np.zeros(20)).p, abs=1e-12
    )


@pytest.mark.parametrize("num", [0, 1])
def test_too_few_samples_have_no_interval(num: int) -> None:
    found = paired_difference(np.ones(num), np.zeros(num))
    assert np.isnan([found.low, found.high, found.p]).all()
    assert np.isnan(bootstrap_mean(np.ones(num)).low)


def test_large_samples_are_drawn_in_blocks_that_change_nothing_between_calls() -> None:
    values = normal(3_000)
    assert bootstrap_mean(values, draws=1_500) == bootstrap_mean(values, draws=1_500)
    assert 0 < sign_flip_p(values, draws=1_500) <= 1


def test_holm_by_hand() -> None:
    # Sorted: .01*4, .02*3, .03*2, .9*1, each at least as large as the one before.
    found = holm(np.array([0.03, 0.01, np.nan, 0.9, 0.02]))
    np.testing.assert_allclose(found, [0.06, 0.04, np.nan, 0.9, 0.06], atol=1e-15)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_between_p_and_bonferroni_and_keeps_order(p_values: list[float]) -> None:
    p = np.array(p_values)
    adjusted = holm(p)
    assert (adjusted >= p - 1e-15).all()
    assert (adjusted <= np.minimum(len(p) * p, 1) + 1e-15).all()
    assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= 0).all()


@settings(deadline=None)
@given(st.lists(st.tuples(FINITE, FINITE), min_size=2, max_size=16))
def test_swapping_systems_swaps_the_sign(pairs: list[tuple[float, float]]) -> None:
    first, second = np.array(pairs).T
    one = paired_difference(first, second, draws=200)
    other = paired_difference(second, first, draws=200)
    assert one.delta == -other.delta
    assert one.p == other.p
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low), abs=1e-9)


@settings(deadline=None)
@given(st.lists(FINITE, min_size=2, max_size=16), st.floats(0.1, 10), FINITE)
def test_intervals_follow_scale_and_shift(values: list[float], scale: float, shift: float) -> None:
    base = bootstrap_mean(np.array(values), draws=200)
    moved = bootstrap_mean(scale * np.array(values) + shift, draws=200)
    expected = scale * np.array([base.value, base.low, base.high]) + shift
    np.testing.assert_allclose([moved.value, moved.low, moved.high], expected, atol=1e-7)
