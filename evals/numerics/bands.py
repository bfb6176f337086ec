"""Simultaneous bands: the whole curve of a mean lies in them, not each point alone.

Shape letters: R recordings, K windows, D draws.
"""

import numpy as np
from jaxtyping import Bool, Float
from scipy.stats import t as student_t

from evals.numerics.statistics import LEVEL

DRAWS = 4_000


def simultaneous_factor(
    values: Float[np.ndarray, "R K"],
    is_shown: Bool[np.ndarray, " K"],
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> float:
    """Standard errors by which a band must reach out to cover a whole curve of means.

    The curve of means leaves the band mean +- factor x standard error anywhere with a probability
    of 5 %. Residuals of whole recordings are drawn with normal multipliers, so that windows stay as
    dependent as they are; few recordings are allowed for by a chi-square draw, as in Student's t.

    Args:
        values: One row a recording; NaN where there is none.
        is_shown: Windows that the band is to cover, each with at least two numbers.
        draws: Of the multipliers.
        seed: Of the draws.

    Returns:
        The factor: with one window Student's t, and never below it; NaN without a window of any
        spread.

    Source:
        Montiel Olea and Plagborg-Moller, "Simultaneous confidence bands: Theory, implementation,
        and an application to SVARs", J. Appl. Econometrics 2019. Coverage:
        ``tests/evals/numerics/test_bands.py``.
    """
    shown = values[:, is_shown]
    is_number = np.isfinite(shown)
    count = is_number.sum(axis=0)
    mean = np.where(is_number, shown, 0.0).sum(axis=0) / np.maximum(count, 1)
    residuals = np.where(is_number, shown - mean, 0.0)
    length = np.sqrt((residuals**2).sum(axis=0))
    has_spread = length > 1e-12 * np.maximum(np.abs(mean), 1e-300)
    if not has_spread.any():
        return float("nan")
    directions = residuals[:, has_spread] / length[has_spread]
    freedom = max(int(count[has_spread].min()) - 1, 1)
    rng = np.random.default_rng(seed)
    multipliers = rng.standard_normal((draws, len(values)))
    sizes = np.sqrt(rng.chisquare(freedom, draws) / freedom)
    # einsum without BLAS: the sum does not depend on the number of threads
    moves = np.abs(np.einsum("dr,rk->dk", multipliers, directions)).max(axis=1)
    pointwise = float(student_t.ppf((1 + LEVEL) / 2, freedom))
    return max(pointwise, float(np.quantile(moves / sizes, LEVEL)))
