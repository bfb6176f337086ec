from typing import Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.numerics.statistics import (
    SE_FLOOR,
    bootstrap_mean,
    holm,
    paired_difference,
    sign_flip_p,
    smallest_p,
)  # fmt: skip

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
    first, second = normal(150, 0.4, seed=1), normal(150, seed=2)
    ours = paired_difference(first, second, draws=20_000)
    theirs = scipy.stats.bootstrap(
        (first - second,), np.mean, n_resamples=20_000, method="BCa", rng=np.random.default_rng(0)
    ).confidence_interval
    # Another kind of interval: with 150 samples they differ by a few per cent of the width, 0.45.
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.02)
    assert ours.delta == pytest.approx(np.mean(first - second), abs=1e-12)


def test_the_interval_is_the_bootstrap_t_of_plain_loops() -> None:
    errors, words = np.array([3.0, 0, 8, 1, 5, 2, 9]), np.array([30.0, 10, 40, 25, 60, 15, 50])
    found = bootstrap_mean(errors / words, weights=words, draws=4_000)

    def rate_and_error(pick: np.ndarray) -> tuple[float, float]:
        rate = errors[pick].sum() / words[pick].sum()
        rest = errors[pick] - rate * words[pick]
        return rate, float(np.sqrt(7 / 6 * (rest**2).sum()) / words[pick].sum())

    rate, error = rate_and_error(np.arange(7))
    rng = np.random.default_rng(7)
    drawn = [rate_and_error(rng.integers(7, size=7)) for _ in range(4_000)]
    t = [(one - rate) / max(its_error, SE_FLOOR * error) for one, its_error in drawn]
    below, above = np.percentile(t, [2.5, 97.5])
    expected = (rate - above * error, rate - below * error)
    # Two sets of 4,000 draws: the tails of t differ by some 3 %.
    assert (found.low, found.high) == pytest.approx(expected, abs=0.06 * (found.high - found.low))


def coverage(draw: Any, mean: float, *, num: int, trials: int = 400) -> float:
    rng = np.random.default_rng(num)
    hits = 0
    for _ in range(trials):
        values, weights, clusters = draw(rng, num)
        found = bootstrap_mean(values, weights=weights, clusters=clusters, draws=1_000)
        hits += found.low <= mean <= found.high
    return hits / trials


def alone(kind: str, *settings: float) -> Any:
    return lambda rng, num: (getattr(rng, kind)(*settings, size=num), None, None)


def clustered(rng: np.random.Generator, num: int) -> Any:
    """One to five samples of each of ``num`` people, who differ as much as their samples do."""
    clusters = np.repeat(np.arange(num), rng.integers(1, 6, size=num))
    return rng.normal(1, 1, num)[clusters] + rng.normal(0, 1, len(clusters)), None, clusters


def word_errors(rng: np.random.Generator, num: int) -> Any:
    words = rng.integers(10, 60, size=num)
    return rng.binomial(words, rng.beta(1, 12, size=num)) / words, words.astype(float), None


@pytest.mark.parametrize(
    ("draw", "mean", "least"),
    [
        (alone("normal", 1.0, 1.0), 1.0, {5: 0.90, 8: 0.93, 10: 0.93, 20: 0.93}),
        (alone("exponential", 1.0), 1.0, {5: 0.88, 8: 0.90, 10: 0.91, 20: 0.91}),
        (alone("lognormal", 0.0, 1.0), float(np.exp(0.5)), {5: 0.84, 8: 0.87, 10: 0.87}),
        (clustered, 1.0, {5: 0.90, 8: 0.92, 10: 0.91}),
        (word_errors, 1 / 13, {5: 0.88, 8: 0.90, 10: 0.90}),
    ],
    ids=["normal", "exponential", "lognormal", "clustered", "word errors"],
)
def test_small_samples_are_covered_as_often_as_the_label_says(
    draw: Any, mean: float, least: dict[int, float]
) -> None:
    # 400 trials at 95 %: standard error 1.1 %. Percentile intervals: 83, 89, 90 for normal
    # samples of 5, 8 and 10; 76, 84, 87 for exponential ones; 71, 79, 76 for lognormal ones.
    found = {num: coverage(draw, mean, num=num) for num in least}
    assert all(found[num] >= least[num] for num in least), found


def test_an_interval_ends_at_the_bounds_of_the_metric() -> None:
    shares = np.array([1.0, 1.0, 0.9, 1.0, 0.2, 1.0])
    free, cut = bootstrap_mean(shares), bootstrap_mean(shares, bounds=(0.0, 1.0))
    assert free.high > 1.0 or free.low < 0.0
    assert 0.0 <= cut.low <= cut.value <= cut.high <= 1.0


@pytest.mark.parametrize("value", [0.0, 0.1, 1e9])
def test_samples_that_are_all_alike_have_no_spread(value: float) -> None:
    found = bootstrap_mean(np.full(6, value), weights=np.arange(1.0, 7.0))
    assert found.low == found.value == found.high == pytest.approx(value, rel=1e-12)


def test_one_sample_that_stands_out_does_not_make_the_interval_endless() -> None:
    found = bootstrap_mean(np.array([0.0] * 9 + [1.0]))
    assert 0.3 < found.high < 1.5  # nine draws of ten without it have hardly any spread


def test_fewer_than_five_clusters_have_a_mean_and_a_p_but_no_interval() -> None:
    people = np.repeat(np.arange(4), 10)
    found = bootstrap_mean(normal(40), clusters=people)
    assert found.num_clusters == 4
    assert np.isnan([found.low, found.high]).all()
    assert np.isfinite(found.value)
    pair = paired_difference(normal(40, 1.0), np.zeros(40), clusters=people)
    assert np.isnan([pair.low, pair.high]).all()
    assert pair.p >= pair.smallest_p == 0.125
    assert np.isfinite(bootstrap_mean(normal(5)).low)


def test_a_sample_without_weight_is_no_witness() -> None:
    weights = np.array([1.0, 1, 1, 1, 0])
    assert bootstrap_mean(normal(5), weights=weights).num_clusters == 4


@pytest.mark.parametrize(("num", "p"), [(1, 1.0), (3, 0.25), (6, 2 / 64), (13, 2 / 2**13)])
def test_the_smallest_p_is_that_of_samples_that_all_agree(num: int, p: float) -> None:
    assert smallest_p(num) == p == sign_flip_p(np.linspace(1, 2, num))


def test_the_smallest_p_of_random_patterns() -> None:
    assert smallest_p(40, draws=999) == 1e-3
    assert sign_flip_p(np.ones(40), draws=999) == 1e-3


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
@given(st.lists(st.tuples(FINITE, FINITE), min_size=5, max_size=16))
def test_swapping_systems_swaps_the_sign(pairs: list[tuple[float, float]]) -> None:
    first, second = np.array(pairs).T
    one = paired_difference(first, second, draws=200)
    other = paired_difference(second, first, draws=200)
    assert one.delta == -other.delta
    assert one.p == other.p
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low), rel=1e-6, abs=1e-6)


@settings(deadline=None)
@given(st.lists(FINITE, min_size=5, max_size=16), st.floats(0.1, 10), FINITE)
def test_intervals_follow_scale_and_shift(values: list[float], scale: float, shift: float) -> None:
    base = bootstrap_mean(np.array(values), draws=200)
    moved = bootstrap_mean(scale * np.array(values) + shift, draws=200)
    expected = scale * np.array([base.value, base.low, base.high]) + shift
    np.testing.assert_allclose([moved.value, moved.low, moved.high], expected, rtol=1e-6, atol=1e-6)
    assert base.low <= base.value <= base.high
