"""Confidence intervals and tests over recordings; seeded and without BLAS, hence reproducible.

Shape letters: N recordings, C clusters of recordings, D draws.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
from jaxtyping import Float, Int

from evals.protocols.info import UNBOUNDED, Bounds

LEVEL = 0.95
MIN_CLUSTERS = 5
"""With fewer clusters no interval is reported: none has adequate coverage."""
SE_FLOOR = 0.25
"""Lower bound of a draw's standard error, as a share of the sample's.

A draw may repeat a single sample and have no spread, which would make its t infinite.
"""
MAX_EXACT = 13  # 2**13 sign patterns: fewer than the random draws they replace
_BLOCK = 2_000_000  # numbers drawn at once: 16 MB


@dataclass(frozen=True, kw_only=True)
class ConfidenceInterval:
    """An estimate and its 95 % interval.

    Attributes:
        value: Weighted mean; NaN if there is nothing to average.
        low: Lower end; NaN with too few clusters.
        high: Upper end; NaN with too few clusters.
        num_clusters: Number of resampled clusters.
    """

    value: float
    low: float
    high: float
    num_clusters: int = 0


@dataclass(frozen=True, kw_only=True)
class PairedDifference:
    """The mean difference of two systems on the same recordings.

    Attributes:
        delta: Weighted mean of first minus second.
        low: Lower end of the bootstrap interval; NaN with fewer than `MIN_CLUSTERS` clusters.
        high: Upper end; NaN with fewer than `MIN_CLUSTERS` clusters.
        p: Two-sided p-value of the sign-flip test; NaN with fewer than two clusters.
        smallest_p: Smallest p-value possible with this number of clusters; NaN with fewer than
            two.
        num_clusters: Number of clusters that were resampled and flipped.
    """

    delta: float
    low: float
    high: float
    p: float
    smallest_p: float
    num_clusters: int


def bootstrap_mean(
    values: Float[np.ndarray, " N"],
    *,
    weights: Float[np.ndarray, " N"] | None = None,
    clusters: Int[np.ndarray, " N"] | None = None,
    bounds: Bounds = UNBOUNDED,
    draws: int = 2_000,
    seed: int = 0,
) -> ConfidenceInterval:
    """Weighted mean with a bootstrap-t interval.

    Whole clusters are drawn with replacement, and the mean is a ratio of sums, so that a corpus
    rate such as WER keeps its definition in every draw. Each draw is studentised by its own
    standard error. At n = 5 the interval covers 94 % (normal samples) and 91 % (exponential); a
    percentile interval covers 83 % and 76 %.

    Args:
        values: One per recording, all finite.
        weights: Weight of each recording; equal by default.
        clusters: Cluster index of each recording; each its own cluster by default.
        bounds: Smallest and largest possible mean; the interval is clipped to them.
        draws: Number of resamples.
        seed: Of the resampling; the same seed and size resample the same positions.

    Returns:
        The mean and its interval.

    Source:
        Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, section 12.5; coverage in
        ``tests/evals/numerics/test_statistics.py``.
    """
    weights = np.ones(len(values)) if weights is None else weights
    totals, shares = _cluster_sums(values * weights, weights, clusters)
    value, num = _ratio(totals.sum(), shares.sum()), len(totals)
    if num < MIN_CLUSTERS or np.isnan(value):
        return ConfidenceInterval(value=value, low=np.nan, high=np.nan, num_clusters=num)
    low, high = _studentised(totals, shares, draws=draws, seed=seed)
    low, high = max(low, min(bounds[0], value)), min(high, max(bounds[1], value))
    return ConfidenceInterval(value=value, low=low, high=high, num_clusters=num)


def paired_difference(
    first: Float[np.ndarray, " N"],
    second: Float[np.ndarray, " N"],
    *,
    weights: Float[np.ndarray, " N"] | None = None,
    clusters: Int[np.ndarray, " N"] | None = None,
    draws: int = 10_000,
    flips: int = 10_000,
    seed: int = 0,
) -> PairedDifference:
    """Difference of two systems on the same recordings, with interval and p-value.

    The interval is that of `bootstrap_mean` for the differences. The p-value is a sign-flip test,
    exact up to 13 clusters, because a bootstrap p is far too small with a handful of recordings:
    three recordings that agree in sign cannot give less than 0.25.

    Args:
        first: One value per recording, all finite.
        second: The other system on the same recordings.
        weights: Weight of each recording; equal by default.
        clusters: Cluster index of each recording; clusters are drawn and flipped together.
        draws: Number of resamples.
        flips: Random sign patterns beyond 13 clusters; p cannot be below ``1 / flips``.
        seed: Of both.

    Returns:
        First minus second.
    """
    weights = np.ones(len(first)) if weights is None else weights
    differences = first - second
    mean = bootstrap_mean(differences, weights=weights, clusters=clusters, draws=draws, seed=seed)
    has_p = mean.num_clusters >= 2 and not np.isnan(mean.value)
    totals, _ = _cluster_sums(differences * weights, weights, clusters)
    return PairedDifference(
        delta=mean.value,
        low=mean.low,
        high=mean.high,
        p=sign_flip_p(totals, draws=flips, seed=seed) if has_p else np.nan,
        smallest_p=smallest_p(mean.num_clusters, draws=flips) if has_p else np.nan,
        num_clusters=mean.num_clusters,
    )


def smallest_p(num_clusters: int, *, draws: int = 10_000) -> float:
    """Smallest p-value of `sign_flip_p`, reached when all clusters agree in sign.

    Args:
        num_clusters: At least one.
        draws: Random sign patterns if there are too many to list.

    Returns:
        ``2 / 2**num_clusters``; ``1 / (draws + 1)`` where patterns are drawn.
    """
    return 2.0 / 2**num_clusters if num_clusters <= MAX_EXACT else 1 / (draws + 1)


def sign_flip_p(totals: Float[np.ndarray, " C"], *, draws: int = 10_000, seed: int = 0) -> float:
    """Two-sided p-value of the sum of ``totals`` under random signs.

    Args:
        totals: Weighted difference of each cluster.
        draws: Random sign patterns if there are too many to list.
        seed: Of the random patterns.

    Returns:
        The exact share of patterns, or ``(hits + 1) / (draws + 1)`` of the random ones.
    """
    observed = abs(float(totals.sum()))
    near = 1e-12 * float(np.abs(totals).sum())  # the same sum in another order is the same sum
    if len(totals) <= MAX_EXACT:
        signs = _all_signs(len(totals))
        return _num_as_far(signs, totals, observed - near) / len(signs)
    hits = sum(
        _num_as_far(_random_signs(len(totals), size, seed, block), totals, observed - near)
        for block, size in enumerate(_blocks(len(totals), draws))
    )
    return (hits + 1) / (draws + 1)


def _num_as_far(
    signs: Float[np.ndarray, "D C"], totals: Float[np.ndarray, " C"], bound: float
) -> int:
    return int(np.count_nonzero(np.abs(np.einsum("dc,c->d", signs, totals)) >= bound))


def _blocks(num: int, draws: int) -> list[int]:
    """Splits ``draws`` rows of ``num`` columns into blocks that fit into memory."""
    step = max(1, min(draws, _BLOCK // num))
    return [min(step, draws - start) for start in range(0, draws, step)]


def holm(p_values: Float[np.ndarray, " K"]) -> Float[np.ndarray, " K"]:
    """Adjusts p-values for multiple comparisons by Holm's step-down method.

    Args:
        p_values: NaN stays NaN and is not counted.

    Returns:
        Adjusted values, at most 1, in the order given.

    Source:
        Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Statist. 1979.
    """
    adjusted = np.full(len(p_values), np.nan)
    valid = np.flatnonzero(~np.isnan(p_values))
    order = valid[np.argsort(p_values[valid], kind="stable")]
    steps = p_values[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def _ratio(total: float, share: float) -> float:
    return float(total / share) if share > 0 else float("nan")


def _cluster_sums(
    weighted: Float[np.ndarray, " N"],
    weights: Float[np.ndarray, " N"],
    clusters: Int[np.ndarray, " N"] | None,
) -> tuple[Float[np.ndarray, " C"], Float[np.ndarray, " C"]]:
    """Sums over clusters; clusters of weight zero are dropped."""
    totals, shares = weighted, weights
    if clusters is not None:
        _, number = np.unique(clusters, return_inverse=True)
        totals = np.bincount(number, weights=weighted)
        shares = np.bincount(number, weights=weights)
    return totals[shares > 0], shares[shares > 0]


def _studentised(
    totals: Float[np.ndarray, " C"], shares: Float[np.ndarray, " C"], *, draws: int, seed: int
) -> tuple[float, float]:
    """Ends of the bootstrap-t interval of a ratio of sums.

    The standard error of the ratio, of the sample and of each draw, is that of its residuals:
    root of C / (C - 1) times their summed squares, over the summed shares.
    """
    num, total_share = len(totals), shares.sum()
    mean = totals.sum() / total_share
    residuals = totals - mean * shares
    error = float(np.sqrt(num / (num - 1) * (residuals**2).sum()) / total_share)
    if error <= 1e-12 * abs(mean):
        return float(mean), float(mean)  # no spread
    t_values = []
    for block, size in enumerate(_blocks(num, draws)):
        counts = _resample_counts(num, size, seed, block)
        drawn, moved, squares, crossed, own = _drawn_sums(counts, shares, residuals)
        shift = moved / drawn  # of the draw's mean from the sample's
        power = np.maximum(squares - 2 * shift * crossed + shift**2 * own, 0.0)
        errors = np.sqrt(num / (num - 1) * power) / drawn
        t_values.append(shift / np.maximum(errors, SE_FLOOR * error))
    tail = 100 * (1 - LEVEL) / 2
    below, above = np.percentile(np.concatenate(t_values), [tail, 100 - tail])
    return float(mean - max(above, 0.0) * error), float(mean - min(below, 0.0) * error)


def _drawn_sums(
    counts: Float[np.ndarray, "D C"],
    shares: Float[np.ndarray, " C"],
    residuals: Float[np.ndarray, " C"],
) -> tuple[np.ndarray | int, np.ndarray, np.ndarray, np.ndarray, np.ndarray | int]:
    """Sums of each draw: shares, residuals, squared ones, their products, and squared shares.

    With shares of 1, as of unweighted samples, two sums tell the other three to the last bit.
    """
    # einsum without BLAS: the sum does not depend on the number of threads
    moved = np.einsum("dc,c->d", counts, residuals)
    squares = np.einsum("dc,c->d", counts, residuals**2)
    if (shares == 1).all():
        return len(shares), moved, squares, moved, len(shares)
    drawn, crossed, own = (
        np.einsum("dc,c->d", counts, column) for column in (shares, residuals * shares, shares**2)
    )
    return drawn, moved, squares, crossed, own


@lru_cache(maxsize=12)
def _resample_counts(num: int, draws: int, seed: int, block: int) -> Float[np.ndarray, "D C"]:
    """Counts how often each of ``num`` clusters is drawn in each resample."""
    rng = np.random.default_rng([seed, block])
    picks = rng.integers(num, size=(draws, num)) + num * np.arange(draws)[:, None]
    counts = np.bincount(picks.ravel(), minlength=draws * num)
    return counts.reshape(draws, num).astype(np.float64)


@lru_cache(maxsize=MAX_EXACT)
def _all_signs(num: int) -> Float[np.ndarray, "D C"]:
    return np.array(list(product([1.0, -1.0], repeat=num)))


@lru_cache(maxsize=4)
def _random_signs(num: int, draws: int, seed: int, block: int) -> Float[np.ndarray, "D C"]:
    rng = np.random.default_rng([seed, num, block])
    return 1.0 - 2.0 * rng.integers(2, size=(draws, num))
