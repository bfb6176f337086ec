"""How many prompts resolve a difference, from the spread of paired differences.

Shape letters: N recordings, R ranks of a distribution.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Int
from scipy.special import ndtr
from scipy.stats import chi2
from scipy.stats import t as student_t

from evals.numerics.statistics import MIN_CLUSTERS

POWER = 0.8
MOST = 10_000_000
"""Clusters beyond which no number is named."""
GRAIN = 16
"""The t test stands for the sign-flip test where ``alpha`` is this many times its smallest p."""
_RANKS = (np.arange(400) + 0.5) / 400


@dataclass(frozen=True, kw_only=True)
class PairedSpread:
    """What a paired comparison says of a larger one.

    Attributes:
        gap: Mean difference.
        spread: Standard deviation of a cluster's share in the mean: the standard error of the mean
            is this over the root of the number of clusters.
        num_clusters: Independent clusters.
        num_prompts: Prompts in them.
    """

    gap: float
    spread: float
    num_clusters: int
    num_prompts: int

    @property
    def prompts_a_cluster(self) -> float:
        """Mean number of prompts in a cluster."""
        return self.num_prompts / self.num_clusters


def paired_spread(
    differences: Float[np.ndarray, " N"],
    *,
    weights: Float[np.ndarray, " N"],
    clusters: Int[np.ndarray, " N"],
    prompts: Int[np.ndarray, " N"],
) -> PairedSpread | None:
    """Measures the spread that decides how many prompts are needed.

    Args:
        differences: First minus second, all finite.
        weights: Weight of each recording.
        clusters: Recordings that are no independent witnesses have the same number.
        prompts: Of which prompt each recording is.

    Returns:
        The spread; ``None`` with fewer than `MIN_CLUSTERS` clusters.
    """
    kept = weights > 0
    differences, weights = differences[kept], weights[kept]
    _, numbers = np.unique(clusters[kept], return_inverse=True)
    count = int(numbers.max()) + 1 if len(numbers) else 0
    if count < MIN_CLUSTERS:
        return None
    total = weights.sum()
    mean = float(weights @ differences / total)
    sums = np.bincount(numbers, weights=weights * (differences - mean))
    error = np.sqrt(count / (count - 1) * (sums**2).sum()) / total
    return PairedSpread(
        gap=mean,
        spread=float(error * np.sqrt(count)),
        num_clusters=count,
        num_prompts=len(np.unique(prompts[kept])),
    )


def power_of(gap: float, spread: float, num_clusters: int, *, alpha: float) -> float:
    """Probability that a two-sided paired t test shows a gap.

    Args:
        gap: True mean difference.
        spread: See `PairedSpread`.
        num_clusters: Independent clusters, at least two.
        alpha: Of the test.

    Returns:
        The power. With so few clusters that the sign-flip test of `evals.numerics.statistics`
        reaches ``alpha`` only if nearly all agree in sign, it is not above the probability that
        all do; it is 0 where even that would not reach it.

    Source:
        Cohen, "Statistical Power Analysis", 1988; the noncentral t distribution.
    """
    if 2.0 ** (1 - num_clusters) >= alpha:
        return 0.0
    if spread <= 0:
        return float(gap != 0)
    limits = _limits(num_clusters, alpha)
    shift = abs(gap) / spread * math.sqrt(num_clusters)
    power = float((ndtr(shift - limits) + ndtr(-shift - limits)).mean())
    if 2.0 ** (1 - num_clusters) * GRAIN <= alpha:
        return power
    ratio = abs(gap) / spread
    return min(power, float(ndtr(ratio) ** num_clusters + ndtr(-ratio) ** num_clusters))


@lru_cache(maxsize=256)
def _limits(num_clusters: int, alpha: float) -> Float[np.ndarray, " R"]:
    """Returns critical values of the standardised mean, one for each rank of its error.

    The noncentral t is a mean over them: scipy's own is NaN far from zero.
    """
    freedom = num_clusters - 1
    errors = np.sqrt(chi2.ppf(_RANKS, freedom) / freedom)
    return np.asarray(student_t.isf(alpha / 2, freedom) * errors)


def clusters_needed(gap: float, spread: float, *, alpha: float, power: float = POWER) -> int | None:
    """Smallest number of clusters with which a gap is shown with the given probability.

    Args:
        gap: True mean difference.
        spread: See `PairedSpread`.
        alpha: Of the test.
        power: Wanted.

    Returns:
        At least `MIN_CLUSTERS`; ``None`` if it is beyond `MOST`, as for a gap of zero.
    """

    def is_enough(count: int) -> bool:
        return power_of(gap, spread, count, alpha=alpha) >= power

    low, high = MIN_CLUSTERS - 1, MIN_CLUSTERS
    while not is_enough(high):
        low, high = high, 2 * high
        if high > MOST:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high


def detectable_gap(
    spread: float, num_clusters: int, *, alpha: float, power: float = POWER
) -> float | None:
    """Smallest gap that so many clusters show with the given probability.

    Args:
        spread: See `PairedSpread`.
        num_clusters: Independent clusters.
        alpha: Of the test.
        power: Wanted.

    Returns:
        In the unit of ``spread``; 0 if pairs do not vary, for then any gap is shown; ``None`` if
        so few clusters show none, however large.
    """
    if 2.0 ** (1 - num_clusters) >= alpha:
        return None
    if spread <= 0:
        return 0.0
    low, high = 0.0, spread
    while power_of(high, spread, num_clusters, alpha=alpha) < power:
        low, high = high, 2 * high
    while high - low > 1e-4 * high:
        middle = (low + high) / 2
        is_shown = power_of(middle, spread, num_clusters, alpha=alpha) >= power
        low, high = (low, middle) if is_shown else (middle, high)
    return high
