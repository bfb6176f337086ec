"""Jackknife of the kernel distance: what is left without each group, from one table of sums.

Shape letters: N and M features of the two sets, D dimensions, G and H their groups.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Integer, Real

from evals.numerics.frechet import Z_95, JackknifeInterval


class _Sums(NamedTuple):
    """Sums of the kernel over groups."""

    xx: Float64[np.ndarray, "G G"]
    yy: Float64[np.ndarray, "H H"]
    xy: Float64[np.ndarray, "G H"]
    n: Float64[np.ndarray, " G"]
    m: Float64[np.ndarray, " H"]


def kernel_jackknife(
    x: Real[np.ndarray, "N D"],
    y: Real[np.ndarray, "M _"],
    x_groups: Integer[np.ndarray, " N"],
    y_groups: Integer[np.ndarray, " M"],
) -> JackknifeInterval:
    """Computes `evals.numerics.frechet.kernel_distance` and its delete-one-group interval.

    Args:
        x: One set.
        y: The other.
        x_groups: Group of each feature, 0, 1 and so on, e.g. its video.
        y_groups: The same for ``y``.

    Returns:
        The distance with a cubic kernel, and a 95 % interval of its sampling error.

    Raises:
        ValueError: If a set has fewer than two groups, or a group leaves fewer than two features.
    """
    sums = _sums(x, y, x_groups, y_groups)
    for counts in (sums.n, sums.m):
        if len(counts) < 2 or counts.sum() - counts.max() < 2:
            raise ValueError("a jackknife needs two groups, and two features without any of them")
    value = _distance(sums)
    without_x = [_distance(_without(sums, 0, row)) for row in range(len(sums.n))]
    without_y = [_distance(_without(sums, 1, row)) for row in range(len(sums.m))]
    error = np.sqrt(_variance(without_x) + _variance(without_y))
    return JackknifeInterval(
        value=value, low=float(value - Z_95 * error), high=float(value + Z_95 * error)
    )


def _sums(x: np.ndarray, y: np.ndarray, x_groups: np.ndarray, y_groups: np.ndarray) -> _Sums:
    left, right = x.astype(np.float64), y.astype(np.float64)
    sides = np.eye(x_groups.max() + 1)[x_groups], np.eye(y_groups.max() + 1)[y_groups]

    def kernel(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        return np.asarray((one @ other.T / one.shape[1] + 1) ** 3)

    def within(features: np.ndarray, side: np.ndarray) -> np.ndarray:
        table = kernel(features, features)
        np.fill_diagonal(table, 0)  # a feature is not compared with itself
        return np.asarray(side.T @ table @ side)

    return _Sums(
        xx=within(left, sides[0]),
        yy=within(right, sides[1]),
        xy=sides[0].T @ kernel(left, right) @ sides[1],
        n=sides[0].sum(axis=0),
        m=sides[1].sum(axis=0),
    )


def _distance(sums: _Sums) -> float:
    n, m = sums.n.sum(), sums.m.sum()
    return float(
        sums.xx.sum() / (n * (n - 1)) + sums.yy.sum() / (m * (m - 1)) - 2 * sums.xy.sum() / (n * m)
    )


def _without(sums: _Sums, side: int, row: int) -> _Sums:
    """Leaves one group of one set out."""
    if side == 0:
        smaller = np.delete(np.delete(sums.xx, row, 0), row, 1)
        return sums._replace(xx=smaller, xy=np.delete(sums.xy, row, 0), n=np.delete(sums.n, row))
    smaller = np.delete(np.delete(sums.yy, row, 0), row, 1)
    return sums._replace(yy=smaller, xy=np.delete(sums.xy, row, 1), m=np.delete(sums.m, row))


def _variance(values: list[float]) -> float:
    spread = np.array(values)
    return float((len(spread) - 1) / len(spread) * ((spread - spread.mean()) ** 2).sum())
