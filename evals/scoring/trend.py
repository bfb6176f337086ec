"""Whether a metric trends over playing time, and whether its trend lies inside a bound."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from evals.numerics.line import least_squares_slope
from evals.numerics.statistics import MIN_CLUSTERS, bootstrap_mean
from evals.numerics.trend import MIN_POINTS, har_slope
from evals.scoring.curves import DriftCurve, drift_curves
from evals.scoring.names import in_order
from evals.scoring.results import ScoreRow
from evals.scoring.summary import clusters_of

MIN_WINDOWS = 3
"""Measured windows of a recording from which it has a slope."""
_KINDS = ("domain", "protocol_hash")
"""Columns of windows whose values share no mean."""
_PLACE = ("system", "suite", "sample_id", "seed", "protocol")

TrendVerdict = Literal["inside", "not shown to be inside", "outside", ""]


@dataclass(frozen=True, kw_only=True)
class TrendRow:
    """The linear trend of one curve of one system.

    Attributes:
        suite: Which prompts.
        system: What made the recordings.
        metric: Name of the metric.
        protocol: Name and version of its parameters.
        domain: ``real`` or ``world``; empty if not known.
        protocol_hash: Of all its parameters; empty if not known.
        quantity: What the curve is of: the metric's name, or see `evals.protocols.base.Curve`.
        unit: Of the curve's values; empty if not known.
        n: Recordings with a slope.
        n_independent: Those that are drawn apart, see `evals.scoring.summary.bootstrap_clusters`.
        n_left_out: Recordings with fewer than `MIN_WINDOWS` measured windows.
        n_windows: Measured windows behind the slope.
        n_missing: Windows of the same recordings in which nothing could be measured.
        minutes: Playing time from the first to the last measured window, of the recording with
            the least; ``None`` without a slope.
        longest_minutes: Likewise of the recording with the most.
        slope: In ``unit`` per minute: of the one recording, or the mean over several, each
            counted once. ``None`` if no recording has one.
        ci_low: Lower end of its 95 % interval; ``None`` if there is none.
        ci_high: Upper end.
        change: What the slope comes to in ``minutes``, in ``unit``.
        bound: Largest slope that is taken for none, in ``unit`` per minute; ``None`` if not given.
        verdict: Where the interval lies; empty without a bound.
        reason: Why there is no interval, or no slope; else empty.
    """

    suite: str
    system: str
    metric: str
    protocol: str
    domain: str
    protocol_hash: str
    quantity: str
    unit: str
    n: int
    n_independent: int
    n_left_out: int
    n_windows: int
    n_missing: int
    minutes: float | None
    longest_minutes: float | None
    slope: float | None
    ci_low: float | None
    ci_high: float | None
    change: float | None
    bound: float | None = None
    verdict: TrendVerdict = ""
    reason: str = ""

    def within(self, bound: float) -> "TrendRow":
        """Says where the interval lies.

        Args:
            bound: Positive, in ``unit`` per minute.

        Returns:
            The row with its verdict: ``inside`` where the whole interval lies between both bounds,
            ``outside`` where it lies beyond one of them.
        """
        verdict: TrendVerdict = "not shown to be inside"
        if self.ci_low is not None and self.ci_high is not None:
            if -bound < self.ci_low and self.ci_high < bound:
                verdict = "inside"
            elif self.ci_low > bound or self.ci_high < -bound:
                verdict = "outside"
        return replace(self, bound=bound, verdict=verdict)


def of_kinds(windows: pd.DataFrame, rows: Iterable[ScoreRow]) -> pd.DataFrame:
    """Adds to windows the domain and protocol hash of the scores that they are beside.

    Args:
        windows: Columns of `evals.scoring.results.WindowRow`.
        rows: Scores of the same samples.

    Returns:
        The windows with columns ``domain`` and ``protocol_hash``, empty where there is no score.
    """
    kinds = {(row.system, row.suite, row.sample_id, row.seed, row.protocol): row for row in rows}
    places = zip(*(windows[name] for name in _PLACE), strict=True)
    found = [kinds.get(place) for place in places]
    return windows.assign(
        **{name: [getattr(row, name) if row else "" for row in found] for name in _KINDS}
    )


def trends(
    windows: pd.DataFrame,
    *,
    identities: Mapping[str, str] | None = None,
    systems: Sequence[str] | None = None,
) -> list[TrendRow]:
    """Fits a line to every curve of a run.

    Of one recording, the interval of the slope allows for windows that depend on each other, see
    `evals.numerics.trend.har_slope`; it is about this recording. Of several, each gives a slope by
    least squares, and the interval is that of their mean, as of any mean over recordings: from
    `evals.numerics.statistics.MIN_CLUSTERS` independent ones on.

    Args:
        windows: Columns of `evals.scoring.results.WindowRow`, and those of `of_kinds` where they
            are known; a missing value is NaN.
        identities: See `evals.scoring.summary.bootstrap_clusters`.
        systems: All of them, in the order of the rows; by name by default.

    Returns:
        A row for each suite, domain, metric, protocol, hash, quantity and system, metrics in the
        order of tables.
    """
    order = list(systems or sorted(set(windows["system"])))
    rows: list[TrendRow] = []
    windows = windows.assign(**{name: "" for name in _KINDS if name not in windows})
    for _, part in windows.groupby(["suite", "metric", "protocol", *_KINDS, "quantity", "unit"]):
        curves = drift_curves(part, str(part["metric"].iloc[0]))
        by_system = {curve.system: curve for curve in curves}
        for system, own in part.groupby("system"):
            rows.append(_trend(own, by_system.get(str(system)), identities or {}))
    places = {name: place for place, name in enumerate(in_order(row.metric for row in rows))}
    return sorted(
        rows,
        key=lambda row: (
            row.suite, row.domain, places[row.metric], row.protocol, row.protocol_hash,
            row.quantity, row.unit, order.index(row.system),
        ),
    )  # fmt: skip


class _Series(NamedTuple):
    """Measured windows of one recording."""

    sample: str
    """Suite and sample_id, as in ``identities``."""
    minutes: Float[np.ndarray, " K"]
    values: Float[np.ndarray, " K"]
    covered: float
    """Minutes."""
    num_missing: int


class _Estimate(NamedTuple):
    slope: float
    low: float = np.nan
    high: float = np.nan
    n_independent: int = 1
    reason: str = ""


def _trend(
    windows: pd.DataFrame, curve: DriftCurve | None, identities: Mapping[str, str]
) -> TrendRow:
    measured = [] if curve is None else _series(curve)
    fitted = [one for one in measured if len(one.values) >= MIN_WINDOWS]
    num_all = len(windows[["sample_id", "seed"]].drop_duplicates())
    found = _estimate(fitted, identities)
    covered = [one.covered for one in fitted]
    shortest = min(covered, default=None)
    first = windows.iloc[0]
    return TrendRow(
        suite=str(first["suite"]),
        system=str(first["system"]),
        metric=str(first["metric"]),
        protocol=str(first["protocol"]),
        domain=str(first["domain"]),
        protocol_hash=str(first["protocol_hash"]),
        quantity=str(first["quantity"]),
        unit=str(first["unit"]),
        n=len(fitted),
        n_independent=found.n_independent,
        n_left_out=num_all - len(fitted),
        n_windows=sum(len(one.values) for one in fitted),
        n_missing=sum(one.num_missing for one in fitted),
        minutes=shortest,
        longest_minutes=max(covered, default=None),
        slope=_known(found.slope),
        ci_low=_known(found.low),
        ci_high=_known(found.high),
        change=None if shortest is None else found.slope * shortest,
        reason=found.reason,
    )


def _series(curve: DriftCurve) -> list[_Series]:
    series = []
    for place, ends_s, values in zip(curve.places, curve.ends_s, curve.values, strict=True):
        there = np.flatnonzero(np.isfinite(values))
        starts_s, stops_s = curve.starts_s[there], ends_s[there]
        series.append(
            _Series(
                sample="/".join(place[:2]),
                minutes=(starts_s + stops_s) / 120,
                values=values[there],
                covered=float(stops_s[-1] - starts_s[0]) / 60,
                num_missing=int(np.isfinite(ends_s).sum()) - len(there),
            )
        )
    return series


def _estimate(fitted: Sequence[_Series], identities: Mapping[str, str]) -> _Estimate:
    if not fitted:
        reason = f"no recording has {MIN_WINDOWS} measured windows"
        return _Estimate(np.nan, n_independent=0, reason=reason)
    return _of_one(fitted[0]) if len(fitted) == 1 else _of_several(fitted, identities)


def _of_one(one: _Series) -> _Estimate:
    count = len(one.values)
    if count < MIN_POINTS:
        reason = f"one recording with {count} measured windows: an interval needs {MIN_POINTS}"
        return _Estimate(_least_squares(one), reason=reason)
    found = har_slope(one.minutes, one.values)
    reason = "its windows lie on a line: no scatter" if np.isnan(found.low) else ""
    return _Estimate(found.value, found.low, found.high, reason=reason)


def _of_several(fitted: Sequence[_Series], identities: Mapping[str, str]) -> _Estimate:
    slopes = np.array([_least_squares(one) for one in fitted])
    mean = bootstrap_mean(slopes, clusters=clusters_of([one.sample for one in fitted], identities))
    found = _Estimate(mean.value, n_independent=mean.num_clusters)
    if mean.num_clusters < MIN_CLUSTERS:
        reason = f"{mean.num_clusters} independent recordings: an interval needs {MIN_CLUSTERS}"
        return found._replace(reason=reason)
    if mean.low == mean.high:
        return found._replace(reason="all recordings have the same slope: no spread")
    return found._replace(low=mean.low, high=mean.high)


def _least_squares(one: _Series) -> float:
    moved = one.values - one.values[0]  # equal values become zeros, which have a slope of exactly 0
    return least_squares_slope(one.minutes, moved).value


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
