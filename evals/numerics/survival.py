"""Time to failure of streams, some of which end before they fail.

Shape letters: N recordings, K times at which one fails, G groups.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.stats import chi2


@dataclass(frozen=True, kw_only=True)
class Survival:
    """A Kaplan-Meier estimate.

    Attributes:
        times_s: 0 and each time of a failure.
        share: That has not failed after it.
        low: Lower end of its 95 % interval; NaN where it is not defined.
        high: Upper end.
    """

    times_s: Float[np.ndarray, " K_plus_1"]
    share: Float[np.ndarray, " K_plus_1"]
    low: Float[np.ndarray, " K_plus_1"]
    high: Float[np.ndarray, " K_plus_1"]

    @property
    def median_s(self) -> float:
        """First time at which at most half have not failed; NaN if more than half last."""
        below = np.flatnonzero(self.share <= 0.5 + 1e-12)
        return float(self.times_s[below[0]]) if len(below) else float("nan")


@dataclass(frozen=True, kw_only=True)
class LogRank:
    """A test of whether groups fail at the same rate.

    Attributes:
        statistic: Chi-square with one degree of freedom fewer than groups; NaN without a failure
            that could tell groups apart.
        p: Its p-value, for groups that are independent of each other.
        observed: Failures of each group.
        expected: Failures that each group would have if all failed at the same rate.
    """

    statistic: float
    p: float
    observed: Float[np.ndarray, " G"]
    expected: Float[np.ndarray, " G"]


def kaplan_meier(times_s: Float[np.ndarray, " N"], has_failed: Bool[np.ndarray, " N"]) -> Survival:
    """Estimates the share of streams without a failure at each time.

    Args:
        times_s: Of the failure or, for a stream without one, of its end.
        has_failed: Which of both.

    Returns:
        The curve, with Greenwood's interval on the scale log(-log).

    Source:
        Kalbfleisch and Prentice, "The Statistical Analysis of Failure Time Data", 2002, 1.4.
    """
    moments = np.unique(times_s[has_failed])
    at_risk = (times_s[:, None] >= moments).sum(axis=0)
    failed = ((times_s[:, None] == moments) & has_failed[:, None]).sum(axis=0)
    share = np.cumprod(1 - failed / np.maximum(at_risk, 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.sqrt(np.cumsum(failed / (at_risk * (at_risk - failed))))
        factor = np.exp(1.96 * spread / np.abs(np.log(share)))
        low, high = share**factor, share ** (1 / factor)
    is_known = (share > 0) & (share < 1)
    low, high = (np.where(is_known, end, np.nan) for end in (low, high))
    return Survival(
        times_s=np.append(0.0, moments),
        share=np.append(1.0, share),
        low=np.append(np.nan, low),
        high=np.append(np.nan, high),
    )


def log_rank(
    times_s: Float[np.ndarray, " N"],
    has_failed: Bool[np.ndarray, " N"],
    groups: Int[np.ndarray, " N"],
) -> LogRank:
    """Tests whether groups of streams fail at the same rate, over the whole time.

    Args:
        times_s: Of the failure or, for a stream without one, of its end.
        has_failed: Which of both.
        groups: Of each stream.

    Returns:
        The test, groups in the order of their numbers.

    Source:
        Mantel, "Evaluation of survival data and two new rank order statistics", Cancer Chemother.
        Rep. 1966; several groups: Kalbfleisch and Prentice, 2002, 1.5.
    """
    numbers = np.unique(groups)
    is_of = groups[:, None] == numbers  # [N, G]
    moments = np.unique(times_s[has_failed])
    is_at_risk = times_s[:, None] >= moments  # [N, K]
    fails = (times_s[:, None] == moments) & has_failed[:, None]
    at_risk = np.einsum("nk,ng->kg", is_at_risk.astype(float), is_of.astype(float))
    failed = np.einsum("nk,ng->kg", fails.astype(float), is_of.astype(float))
    all_at_risk, all_failed = at_risk.sum(axis=1), failed.sum(axis=1)
    shares = at_risk / np.maximum(all_at_risk, 1)[:, None]
    expected = np.einsum("k,kg->g", all_failed, shares)
    # Hypergeometric variance, time by time.
    left = (all_at_risk - all_failed) / np.maximum(all_at_risk - 1, 1)
    spread = all_failed * left
    covariance = np.diag(np.einsum("k,kg->g", spread, shares))
    covariance = covariance - np.einsum("k,kg,kh->gh", spread, shares, shares)
    observed = failed.sum(axis=0)
    freedom = len(numbers) - 1
    gap = (observed - expected)[:freedom]
    if freedom < 1 or not spread.sum() or np.linalg.matrix_rank(covariance) < freedom:
        statistic = p = float("nan")
    else:
        statistic = float(gap @ np.linalg.solve(covariance[:freedom, :freedom], gap))
        p = float(chi2.sf(statistic, freedom))
    return LogRank(statistic=statistic, p=p, observed=observed, expected=expected)


def log_rank_scores(
    times_s: Float[np.ndarray, " N"], has_failed: Bool[np.ndarray, " N"]
) -> Float[np.ndarray, " N"]:
    """Failures of each stream beyond those expected of it if all failed at the same rate.

    The sum over a group is its observed minus its expected failures in `log_rank`. Where two
    systems have the same prompts, a sign-flip test of the differences of scores is a log-rank test
    that keeps the pairs: `log_rank` takes the groups as independent of each other.

    Args:
        times_s: Of the failure or, for a stream without one, of its end.
        has_failed: Which of both.

    Returns:
        1 or 0, minus the Nelson-Aalen estimate at the end of each stream; the sum is 0.

    Source:
        Kalbfleisch and Prentice, 2002, 7.2.
    """
    moments = np.unique(times_s[has_failed])
    at_risk = (times_s[:, None] >= moments).sum(axis=0)
    failed = ((times_s[:, None] == moments) & has_failed[:, None]).sum(axis=0)
    steps = failed / np.maximum(at_risk, 1)
    hazard = np.where(times_s[:, None] >= moments, steps, 0.0).sum(axis=1)
    return has_failed - hazard
