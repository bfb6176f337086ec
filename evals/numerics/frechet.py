"""Frechet and kernel distances between two sets of features, exact and in double precision.

The matrix square root is never formed. With centred features X (N, D) and Y (M, D), the trace of
(S1 S2)^(1/2) is the sum of the singular values of X Y^T over sqrt((N-1)(M-1)): one small
decomposition when there are fewer features than dimensions, accurate for singular covariances.
With more features than dimensions, the triangular factors of both covariances take their place.

Shape letters: N and M features of the two sets, D dimensions, P all features together.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Integer, Real

_LEAST_SPREAD = 1e-5
"""Ratio of diagonals from which a Cholesky factor is taken, which squares the features; QR does
not, and takes far longer. The factor's error is about the machine's precision over this ratio."""
Z_95 = 1.959963984540054
"""Standard normal quantile of a two-sided 95 % interval."""


@dataclass(frozen=True, kw_only=True)
class JackknifeInterval:
    """A value with its 95 % jackknife interval.

    Attributes:
        value: On all features.
        low: Lower end; not clipped at zero.
        high: Upper end.
    """

    value: float
    low: float
    high: float


def frechet_distance(
    x: Real[np.ndarray, "N D"], y: Real[np.ndarray, "M _"], *, ddof: int = 1
) -> float:
    """Computes the squared Frechet distance of the Gaussians fitted to two sets.

    Args:
        x: One set; not modified.
        y: The other; not modified.
        ddof: 1 for the sample covariance 1/(N-1), 0 for 1/N as in StyleGAN2-ADA.

    Returns:
        ||m1 - m2||^2 + tr(S1) + tr(S2) - 2 tr((S1 S2)^(1/2)), never below zero.

    Raises:
        ValueError: If a set has fewer than two features, the dimensions differ, or a value is
            not finite.

    Source:
        Heusel et al., GANs Trained by a Two Time-Scale Update Rule, arXiv:1706.08500, Eq. 6;
        Dowson and Landau, The Frechet distance between multivariate normal distributions, 1982.
    """
    x, y = _checked(x, y)
    shift = x.mean(axis=0) - y.mean(axis=0)
    x, y = _centred(x, ddof), _centred(y, ddof)
    if min(len(x), len(y)) > x.shape[1]:
        x, y = _factor(x), _factor(y)
    root = np.linalg.svd(x @ y.T, compute_uv=False).sum()  # trace of (X^T X Y^T Y)^(1/2)
    return max(0.0, float(shift @ shift + (x**2).sum() + (y**2).sum() - 2 * root))


def kernel_distance(
    x: Real[np.ndarray, "N D"],
    y: Real[np.ndarray, "M _"],
    *,
    degree: int = 3,
    gamma: float | None = None,
    coef: float = 1.0,
) -> float:
    """Computes the unbiased squared maximum mean discrepancy with a polynomial kernel.

    Unlike `frechet_distance` it is unbiased in the number of features; it is negative about half
    the time when both sets come from one distribution.

    Args:
        x: One set.
        y: The other.
        degree: Of the polynomial.
        gamma: Factor of the scalar product; 1/D by default.
        coef: Constant added to the scalar product.

    Returns:
        The distance: KID for images, KVD for videos.

    Raises:
        ValueError: As for `frechet_distance`.

    Source:
        Binkowski et al., Demystifying MMD GANs, arXiv:1801.01401; Gretton et al., A Kernel
        Two-Sample Test, 2012, Eq. 3.
    """
    x, y = _checked(x, y)
    scale = 1 / x.shape[1] if gamma is None else gamma

    def kernel(
        left: Float64[np.ndarray, "A D"], right: Float64[np.ndarray, "B D"]
    ) -> Float64[np.ndarray, "A B"]:
        return (scale * left @ right.T + coef) ** degree

    return float(
        _mean_off_diagonal(kernel(x, x))
        + _mean_off_diagonal(kernel(y, y))
        - 2 * kernel(x, y).mean()
    )


def jackknife_interval(
    x: Real[np.ndarray, "N D"],
    y: Real[np.ndarray, "M _"],
    *,
    x_groups: Integer[np.ndarray, " N"] | None = None,
    y_groups: Integer[np.ndarray, " M"] | None = None,
    ddof: int = 1,
) -> JackknifeInterval:
    """Computes `frechet_distance` and its delete-one-group jackknife interval.

    With fewer features than dimensions all replicates come from one Gram matrix of the pooled
    features, so their cost does not depend on D. A bootstrap would be biased: repeated features
    shrink the covariance.

    Args:
        x: One set.
        y: The other.
        x_groups: Group of each feature, e.g. its video; every feature on its own by default.
        y_groups: The same for ``y``.
        ddof: As for `frechet_distance`.

    Returns:
        The interval; it covers the sampling error at this number of features, not the bias.

    Raises:
        ValueError: As for `frechet_distance`, and if a set has fewer than two groups or one
            group leaves fewer than two features.

    Source:
        Efron and Stein, The Jackknife Estimate of Variance, 1981; Arvesen, Jackknifing
        U-statistics, 1969, for two samples.
    """
    x, y = _checked(x, y)
    groups = [_masks(x_groups, len(x)), _masks(y_groups, len(y))]
    distance = _SubsetDistances(x, y, ddof=ddof)
    all_x, all_y = np.ones(len(x), bool), np.ones(len(y), bool)
    without_x = [distance(keep, all_y) for keep in groups[0]]
    without_y = [distance(all_x, keep) for keep in groups[1]]
    error = np.sqrt(_jackknife_variance(without_x) + _jackknife_variance(without_y))
    value = distance(all_x, all_y)
    return JackknifeInterval(
        value=value, low=float(value - Z_95 * error), high=float(value + Z_95 * error)
    )


class _SubsetDistances:
    """Frechet distances of subsets, from the pooled Gram matrix where that is cheaper."""

    def __init__(
        self, x: Float64[np.ndarray, "N D"], y: Float64[np.ndarray, "M D"], *, ddof: int
    ) -> None:
        self._x, self._y, self._ddof = x, y, ddof
        self._gram: Float64[np.ndarray, "P P"] | None = None
        if min(len(x), len(y)) <= x.shape[1]:
            pooled = np.concatenate([x, y])
            pooled -= pooled.mean(axis=0)  # distances do not change, cancellation does
            self._gram = pooled @ pooled.T

    def __call__(self, keep_x: np.ndarray, keep_y: np.ndarray) -> float:
        if self._gram is None:
            return frechet_distance(self._x[keep_x], self._y[keep_y], ddof=self._ddof)
        first = np.flatnonzero(keep_x)
        second = np.flatnonzero(keep_y) + len(keep_x)
        return _from_gram(
            self._gram[np.ix_(first, first)],
            self._gram[np.ix_(second, second)],
            self._gram[np.ix_(first, second)],
            ddof=self._ddof,
        )


def _from_gram(
    xx: Float64[np.ndarray, "N N"],
    yy: Float64[np.ndarray, "M M"],
    xy: Float64[np.ndarray, "N M"],
    *,
    ddof: int,
) -> float:
    n, m = xy.shape
    mean_xx, mean_yy, mean_xy = xx.mean(), yy.mean(), xy.mean()
    trace_x = (np.trace(xx) - n * mean_xx) / (n - ddof)
    trace_y = (np.trace(yy) - m * mean_yy) / (m - ddof)
    centred = xy - xy.mean(axis=0) - xy.mean(axis=1, keepdims=True) + mean_xy
    root = np.linalg.svd(centred, compute_uv=False).sum() / np.sqrt((n - ddof) * (m - ddof))
    return max(0.0, float(mean_xx + mean_yy - 2 * mean_xy + trace_x + trace_y - 2 * root))


def _factor(x: Float64[np.ndarray, "N D"]) -> Float64[np.ndarray, "D D"]:
    """Returns a triangular F with F^T F = X^T X, which has the same distances."""
    try:
        factor = np.linalg.cholesky(x.T @ x).T
        spread = np.diag(factor)
        if spread.min() > _LEAST_SPREAD * spread.max():
            return factor
    except np.linalg.LinAlgError:  # singular
        pass
    return np.asarray(np.linalg.qr(x, mode="r"))


def _checked(
    x: Real[np.ndarray, "N D"], y: Real[np.ndarray, "M _"]
) -> tuple[Float64[np.ndarray, "N D"], Float64[np.ndarray, "M _"]]:
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"the sets have {x.shape[1]} and {y.shape[1]} dimensions")
    for features in (x, y):
        if len(features) < 2:
            raise ValueError(f"a set has {len(features)} features; a covariance needs two")
        if not np.isfinite(features).all():
            raise ValueError("a feature is not a finite number")
    return x.astype(np.float64), y.astype(np.float64)  # copies


def _centred(x: Float64[np.ndarray, "N D"], ddof: int) -> Float64[np.ndarray, "N D"]:
    """Centres and scales in place, so that X^T X is the covariance."""
    x -= x.mean(axis=0)
    x /= np.sqrt(len(x) - ddof)
    return x


def _mean_off_diagonal(kernel: Float64[np.ndarray, "N N"]) -> float:
    n = len(kernel)
    return float((kernel.sum() - np.trace(kernel)) / (n * (n - 1)))


def _masks(groups: Integer[np.ndarray, " N"] | None, count: int) -> Iterator[np.ndarray]:
    labels = np.arange(count) if groups is None else groups
    names, sizes = np.unique(labels, return_counts=True)
    if len(names) < 2 or count - sizes.max() < 2:
        raise ValueError(
            "the jackknife needs two groups in each set, and two features outside each"
        )
    return (labels != name for name in names)


def _jackknife_variance(replicates: Sequence[float]) -> float:
    values = np.asarray(replicates)
    return float((len(values) - 1) * values.var())
