"""Frechet and kernel distances against independent computations and closed forms."""

import mpmath
import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.image.fid import _compute_fid

from evals.numerics.frechet import frechet_distance, jackknife_interval, kernel_distance


def features(seed: int, n: int, d: int, *, shift: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    spread = np.linspace(0.2, 2.0, d)
    return rng.normal(size=(n, d)) * spread + shift


def exact_distance(x: np.ndarray, y: np.ndarray) -> mpmath.mpf:
    """The definition with 60 digits: eigenvalues of X^T X Y^T Y by their nonzero part."""
    with mpmath.workdps(60):
        first, second = mpmath.matrix(x.tolist()), mpmath.matrix(y.tolist())
        means = []
        for rows in (first, second):
            mean = [mpmath.fsum(rows[:, k]) / rows.rows for k in range(rows.cols)]
            means.append(mean)
            for i in range(rows.rows):
                for k in range(rows.cols):
                    rows[i, k] = (rows[i, k] - mean[k]) / mpmath.sqrt(rows.rows - 1)
        cross = first * second.T
        eigenvalues = mpmath.eigsy(cross * cross.T, eigvals_only=True)
        root = mpmath.fsum(mpmath.sqrt(max(value, 0)) for value in eigenvalues)
        shift = mpmath.fsum((a - b) ** 2 for a, b in zip(*means, strict=True))
        trace = mpmath.fsum(value**2 for rows in (first, second) for value in rows)
        return shift + trace - 2 * root


def test_rank_deficient_case_agrees_with_sixty_digits() -> None:
    x, y = features(0, 12, 40), features(1, 12, 40, shift=0.1)
    exact = exact_distance(x, y)
    assert abs((mpmath.mpf(frechet_distance(x, y)) - exact) / exact) < 1e-12


def test_full_rank_case_agrees_with_sixty_digits() -> None:
    x, y = features(0, 60, 6), features(1, 50, 6, shift=0.1)
    exact = exact_distance(x, y)
    assert abs((mpmath.mpf(frechet_distance(x, y)) - exact) / exact) < 1e-12


@pytest.mark.parametrize(("n", "m", "d"), [(400, 300, 64), (200, 200, 199), (64, 500, 48)])
def test_agrees_with_torchmetrics(n: int, m: int, d: int) -> None:
    x, y = features(2, n, d), features(3, m, d, shift=0.2)
    theirs = _compute_fid(
        *(torch.from_numpy(array) for array in (x.mean(0), np.cov(x.T), y.mean(0), np.cov(y.T)))
    )
    assert frechet_distance(x, y) == pytest.approx(theirs.item(), rel=1e-6)


def test_biased_covariance_agrees_with_scipy() -> None:
    x, y = features(4, 300, 32), features(5, 200, 32, shift=0.2)
    s1, s2 = np.cov(x.T, ddof=0), np.cov(y.T, ddof=0)
    shift = x.mean(0) - y.mean(0)
    theirs = shift @ shift + np.trace(s1 + s2 - 2 * scipy.linalg.sqrtm(s1 @ s2).real)
    assert frechet_distance(x, y, ddof=0) == pytest.approx(theirs, rel=1e-6)


def test_singular_covariance_with_many_features_is_exact() -> None:
    narrow_x, narrow_y = features(6, 300, 8), features(7, 250, 8, shift=0.1)
    turn = np.linalg.qr(np.random.default_rng(8).normal(size=(40, 40)))[0][:8]
    wide = frechet_distance(narrow_x @ turn, narrow_y @ turn)
    assert wide == pytest.approx(frechet_distance(narrow_x, narrow_y), rel=1e-10)


@pytest.mark.parametrize("least", [1e-2, 1e-5, 1e-9])
def test_one_narrow_set_among_many_features_agrees_with_sixty_digits(least: float) -> None:
    """Spreads far apart: a Cholesky factor of squares would lose the least of them."""
    x, y = features(0, 30, 5), features(1, 40, 5) * np.array([1.0, 1.0, 1.0, 1.0, least])
    for first, second in ((x, y), (y, x)):
        exact = exact_distance(first, second)
        assert abs((mpmath.mpf(frechet_distance(first, second)) - exact) / exact) < 1e-12


def test_constant_dimensions_add_nothing() -> None:
    x, y = features(6, 100, 8), features(7, 90, 8)
    wide = [np.concatenate([array, np.zeros((len(array), 5))], axis=1) for array in (x, y)]
    assert frechet_distance(*wide) == pytest.approx(frechet_distance(x, y), rel=1e-10)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 40), st.integers(2, 40), st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_order_sides_and_scale(n: int, m: int, d: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(n, d)), rng.normal(size=(m, d)) + 0.5
    value = frechet_distance(x, y)
    assert value >= 0
    assert frechet_distance(y, x) == pytest.approx(value, rel=1e-6, abs=1e-9)
    assert frechet_distance(rng.permutation(x), y) == pytest.approx(value, rel=1e-6, abs=1e-9)
    assert frechet_distance(3 * x, 3 * y) == pytest.approx(9 * value, rel=1e-6, abs=1e-9)
    assert frechet_distance(x + 7, y + 7) == pytest.approx(value, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(("n", "d"), [(20, 50), (200, 10)])
def test_pure_shift_costs_its_squared_length(n: int, d: int) -> None:
    x = features(9, n, d)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(x, x + 0.5) == pytest.approx(0.25 * d, rel=1e-9)


def test_input_is_left_alone() -> None:
    x, y = features(10, 30, 8), features(11, 30, 8)
    before = x.copy(), y.copy()
    first = frechet_distance(x, y), kernel_distance(x, y)
    assert (frechet_distance(x, y), kernel_distance(x, y)) == first
    np.testing.assert_array_equal(x, before[0])
    np.testing.assert_array_equal(y, before[1])


def test_single_precision_features_are_raised_to_double() -> None:
    x, y = features(12, 30, 50).astype(np.float32), features(13, 30, 50).astype(np.float32)
    assert frechet_distance(x, y) == frechet_distance(x.astype(np.float64), y.astype(np.float64))


def test_what_has_no_distance_is_refused() -> None:
    x = features(14, 10, 4)
    with pytest.raises(ValueError, match="1 features; a covariance needs two"):
        frechet_distance(x, x[:1])
    with pytest.raises(ValueError, match="4 and 3 dimensions"):
        frechet_distance(x, x[:, :3])
    broken = x.copy()
    broken[3, 2] = np.nan
    with pytest.raises(ValueError, match="not a finite number"):
        frechet_distance(x, broken)


def test_kernel_distance_is_the_double_sum() -> None:
    x, y = features(15, 9, 5), features(16, 7, 5, shift=0.3)

    def k(a: np.ndarray, b: np.ndarray) -> float:
        return float((a @ b / 5 + 1) ** 3)

    within = [
        sum(k(s[i], s[j]) for i in range(len(s)) for j in range(len(s)) if i != j)
        / (len(s) * (len(s) - 1))
        for s in (x, y)
    ]
    between = sum(k(a, b) for a in x for b in y) / (len(x) * len(y))
    assert kernel_distance(x, y) == pytest.approx(sum(within) - 2 * between, rel=1e-12)


def test_kernel_distance_is_unbiased_and_sees_a_shift() -> None:
    draws = [
        kernel_distance(features(2 * i, 24, 6), features(2 * i + 1, 24, 6)) for i in range(300)
    ]
    error = np.std(draws) / np.sqrt(len(draws))
    assert abs(np.mean(draws)) < 4 * error
    assert kernel_distance(features(0, 200, 6), features(1, 200, 6, shift=0.3)) > 0.1


@pytest.mark.parametrize(("n", "m", "d"), [(10, 9, 30), (30, 6, 12), (40, 50, 5)])
def test_jackknife_by_gram_is_the_direct_one(n: int, m: int, d: int) -> None:
    x, y = features(17, n, d), features(18, m, d, shift=0.3)
    interval = jackknife_interval(x, y)
    assert interval.value == pytest.approx(frechet_distance(x, y), rel=1e-10)
    left_out = [
        [frechet_distance(np.delete(x, i, axis=0), y) for i in range(n)],
        [frechet_distance(x, np.delete(y, i, axis=0)) for i in range(m)],
    ]
    variance = sum(
        (len(r) - 1) / len(r) * np.sum((np.array(r) - np.mean(r)) ** 2) for r in left_out
    )
    assert interval.high - interval.value == pytest.approx(1.96 * np.sqrt(variance), rel=1e-4)
    assert interval.low < interval.value < interval.high


def test_jackknife_by_groups_is_wider_when_groups_agree() -> None:
    means_x, means_y = features(19, 10, 6), features(20, 10, 6)
    x = np.repeat(means_x, 5, axis=0) + 0.01 * features(21, 50, 6)
    y = np.repeat(means_y, 5, axis=0) + 0.01 * features(22, 50, 6)
    groups = np.repeat(np.arange(10), 5)
    alone = jackknife_interval(x, y)
    together = jackknife_interval(x, y, x_groups=groups, y_groups=groups)
    assert together.high - together.low > 1.5 * (alone.high - alone.low)


def test_jackknife_covers_a_known_distance() -> None:
    """True distance of unit Gaussians shifted by 1 in 2-d is 2; coverage 95 % up to the bias."""
    hits = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        interval = jackknife_interval(rng.normal(size=(80, 2)), rng.normal(size=(80, 2)) + 1)
        hits += interval.low <= 2 <= interval.high
    assert 88 <= hits <= 100


def test_jackknife_needs_groups() -> None:
    x = features(23, 10, 4)
    with pytest.raises(ValueError, match="two groups"):
        jackknife_interval(x, x, x_groups=np.zeros(10, int))
