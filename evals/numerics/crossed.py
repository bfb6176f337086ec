"""Intervals over two things at once: the prompts that were drawn, and the trainings.

Every training is scored on every prompt, so the two are crossed, not nested.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import t as student_t

from evals.numerics.statistics import LEVEL, MIN_CLUSTERS


@dataclass(frozen=True, kw_only=True)
class CrossedMean:
    """A mean for prompts and trainings like these.

    Attributes:
        value: Weighted mean; NaN if there is nothing to average.
        low: Lower end of its 95 % interval; NaN with fewer than two trainings, or too few prompts.
        high: Upper end.
        error_of_clusters: Standard error due to the choice of prompts; NaN likewise.
        error_of_trainings: Standard error due to the trainings; NaN likewise.
        num_clusters: Independent groups of prompts.
        num_trainings: Trainings.
    """

    value: float
    low: float
    high: float
    error_of_clusters: float
    error_of_trainings: float
    num_clusters: int
    num_trainings: int


def crossed_mean(
    values: Float[np.ndarray, " N"],
    *,
    weights: Float[np.ndarray, " N"],
    clusters: Int[np.ndarray, " N"],
    trainings: Int[np.ndarray, " N"],
) -> CrossedMean:
    """Weighted mean with an interval that covers other prompts and other trainings.

    The variance is the sum of that over clusters and that over trainings. Each holds the variance
    of their interaction once, so the sum is too large by one of them rather than too small. The
    degrees of freedom are Satterthwaite's; with three trainings that differ they are few, and the
    interval is wide.

    Args:
        values: One per recording, e.g. differences of two systems; all finite.
        weights: Weight of each recording.
        clusters: Which recordings show one identity, or are of one prompt.
        trainings: Which training each recording is of.

    Returns:
        The mean and its interval.

    Source:
        Variances of crossed means: Owen, "The pigeonhole bootstrap", Ann. Appl. Stat. 2007.
        Degrees of freedom: Satterthwaite, Biometrics Bulletin 1946. Coverage in
        ``tests/evals/numerics/test_crossed.py``.
    """
    total = weights.sum()
    value = float((weights * values).sum() / total) if total > 0 else float("nan")
    residuals = weights * (values - value)
    parts = [_variance(residuals, total, groups) for groups in (clusters, trainings)]
    (of_clusters, num_clusters), (of_trainings, num_trainings) = parts
    variance = of_clusters + of_trainings
    if num_clusters < MIN_CLUSTERS or num_trainings < 2 or np.isnan(value):
        variance = float("nan")
    spread = of_clusters**2 / max(num_clusters - 1, 1) + of_trainings**2 / max(num_trainings - 1, 1)
    freedom = variance**2 / spread if spread > 0 else np.inf
    half = float(student_t.ppf((1 + LEVEL) / 2, freedom) * np.sqrt(variance))
    return CrossedMean(
        value=value,
        low=value - half,
        high=value + half,
        error_of_clusters=float(np.sqrt(of_clusters)),
        error_of_trainings=float(np.sqrt(of_trainings)),
        num_clusters=num_clusters,
        num_trainings=num_trainings,
    )


def _variance(
    residuals: Float[np.ndarray, " N"], total: float, groups: Int[np.ndarray, " N"]
) -> tuple[float, int]:
    """Variance of the mean if groups were drawn anew, and their number; NaN with one group."""
    _, numbers = np.unique(groups, return_inverse=True)
    sums = np.bincount(numbers, weights=residuals)
    count = len(sums)
    if count < 2 or not total > 0:
        return float("nan"), count
    return float(count / (count - 1) * (sums**2).sum() / total**2), count
