"""A least-squares line with an interval that knows how coarsely its points were read.

Shape letters: K points.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats


@dataclass(frozen=True, kw_only=True)
class Slope:
    """Slope of a least-squares line.

    Attributes:
        value: In the values' unit per unit of time.
        low: Lower end of the 95 % interval.
        high: Upper end.
    """

    value: float
    low: float
    high: float


def least_squares_slope(
    times: Float[np.ndarray, " K"], values: Float[np.ndarray, " K"], *, step: float = 0.0
) -> Slope:
    """Fits a line and returns its slope with a 95 % interval by Student's t.

    Args:
        times: Of the points.
        values: At these times.
        step: Grid that the values are rounded to. Rounding to a grid has a deviation of
            ``step / sqrt(12)``, below which the residuals are not believed: equal rounded values
            are no proof of a slope of exactly 0.

    Returns:
        The slope.

    Raises:
        ValueError: If there are fewer than three points or all times are equal.
    """
    count = len(times)
    if count < 3 or np.ptp(times) == 0:
        raise ValueError("a slope with an interval needs three points at different times")
    centred = times - times.mean()
    power = float(centred @ centred)
    slope = float(centred @ values) / power
    rest = values - values.mean() - slope * centred
    variance = max(float(rest @ rest) / (count - 2), step**2 / 12)
    reach = float(stats.t.ppf(0.975, count - 2)) * math.sqrt(variance / power)
    return Slope(value=slope, low=slope - reach, high=slope + reach)
