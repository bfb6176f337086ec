"""A metric over playing time.

Shape letters: R recordings, K windows.
"""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from scipy.stats import t as student_t

from evals.numerics.bands import simultaneous_factor
from evals.protocols.info import UNBOUNDED, Bounds, Direction
from evals.scoring.curves import DriftCurve
from reports.axes import axis_label, scale_of
from reports.figures.style import ABOVE, GREY, colours_of, drawn, in_look_order, markers_of

MIN_FOR_BAND = 8
"""With fewer recordings each is drawn: a band would say little, and reach far beyond them."""


def plot_drift(
    curves: Sequence[DriftCurve],
    *,
    direction: Direction = Direction.NONE,
    unit: str = "1",
    bounds: Bounds = UNBOUNDED,
    variant: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Draws the mean over recordings against playing time, with a 95 % band.

    The dark band is the t interval of the mean, window by window; the light one covers the whole
    curve at once, see `evals.numerics.bands`. Both are cut at the bounds. A system with
    fewer than `MIN_FOR_BAND` recordings has a thin line for each of them instead, as an interval
    of so few says little. The line of the mean is dotted where recordings have ended or could not
    be measured: from there on it is the mean of others.

    Args:
        curves: One for each system, all of one quantity.
        direction: For the label of the axis.
        unit: Of the values, if the curves do not say.
        bounds: Smallest and largest value there can be.
        variant: Which protocol it is, beside the axis.
        ax: Where to draw; a new figure by default.

    Returns:
        The axis, so that the caller sizes, titles and saves the figure.
    """
    ax = ax if ax is not None else plt.subplots()[1]
    systems = in_look_order(curve.system for curve in curves)
    colours, markers = colours_of(systems), markers_of(systems)
    for curve in sorted(curves, key=lambda curve: systems.index(curve.system)):
        _draw_curve(ax, curve, colours[curve.system], markers[curve.system], bounds)
    if curves:
        shown = curves[0]
        ax.set_ylabel(axis_label(shown.quantity, shown.unit or unit, direction, variant=variant))
        ax.legend(ncols=2, **ABOVE)
    if direction is Direction.ZERO:
        ax.axhline(0, color=GREY, lw=0.8, zorder=1)
    ax.set_xlabel("playing time [s]")
    return ax


def _draw_curve(ax: Axes, curve: DriftCurve, colour: str, marker: str, bounds: Bounds) -> None:
    scale = scale_of(curve.quantity)
    mean, low, high = (scale * line for line in mean_and_ends(curve.values, bounds))
    is_whole = np.isfinite(curve.values).all(axis=0)
    every = max(1, len(curve.times_s) // 12)
    if 1 < len(curve.values) < MIN_FOR_BAND:
        ax.plot(curve.times_s, scale * curve.values.T, color=colour, lw=0.5, alpha=0.55)
    ax.plot(curve.times_s, mean, ":", color=colour, lw=0.9)
    ax.plot(
        curve.times_s,
        np.where(is_whole, mean, np.nan),
        color=colour,
        label=f"{drawn(curve.system)} (n={len(curve.values)})",
        marker=marker,
        markersize=3.2,
        markevery=every,
    )
    ax.fill_between(curve.times_s, low, high, color=colour, alpha=0.16, lw=0)
    low, high = (scale * line for line in ends_at_once(curve.values, bounds))
    ax.fill_between(curve.times_s, low, high, color=colour, alpha=0.09, lw=0)


def mean_and_ends(
    values: Float[np.ndarray, "R K"], bounds: Bounds = UNBOUNDED
) -> tuple[Float[np.ndarray, " K"], Float[np.ndarray, " K"], Float[np.ndarray, " K"]]:
    """Mean of each column, and the ends of its band.

    Args:
        values: One row a recording; NaN where there is none.
        bounds: The band is cut there.

    Returns:
        Mean, low, high; the ends are NaN where fewer than `MIN_FOR_BAND` recordings have a number.
    """
    mean, half = mean_and_band(values)
    half = np.where(_has_band(values), half, np.nan)
    return mean, *_within(mean, half, bounds)


def ends_at_once(
    values: Float[np.ndarray, "R K"], bounds: Bounds = UNBOUNDED
) -> tuple[Float[np.ndarray, " K"], Float[np.ndarray, " K"]]:
    """Ends of the band that covers the whole curve of the mean with 95 %.

    Args:
        values: One row a recording, taken as independent; NaN where there is none.
        bounds: The band is cut there.

    Returns:
        Low, high; NaN where `mean_and_ends` has no band.
    """
    mean, half = mean_and_band(values)
    is_shown = _has_band(values)
    count = np.isfinite(values).sum(axis=0)
    error = half / student_t.ppf(0.975, np.maximum(count - 1, 1))
    half = np.where(is_shown, simultaneous_factor(values, is_shown) * error, np.nan)
    return _within(mean, half, bounds)


def _has_band(values: Float[np.ndarray, "R K"]) -> Bool[np.ndarray, " K"]:
    return np.isfinite(values).sum(axis=0) >= MIN_FOR_BAND


def _within(
    mean: Float[np.ndarray, " K"], half: Float[np.ndarray, " K"], bounds: Bounds
) -> tuple[Float[np.ndarray, " K"], Float[np.ndarray, " K"]]:
    """Ends of a band, cut at the bounds of what there can be."""
    low, high = np.maximum(mean - half, bounds[0]), np.minimum(mean + half, bounds[1])
    return np.minimum(low, mean), np.maximum(high, mean)


def mean_and_band(
    values: Float[np.ndarray, "R K"],
) -> tuple[Float[np.ndarray, " K"], Float[np.ndarray, " K"]]:
    """Mean of each column without NaN, and half the width of its 95 % t interval.

    Args:
        values: One row a recording.

    Returns:
        Mean, NaN where a column has no number; half width, NaN with fewer than two numbers.
    """
    is_number = np.isfinite(values)
    count = is_number.sum(axis=0)
    filled = np.where(is_number, values, 0.0)
    mean = np.divide(filled.sum(axis=0), count, out=np.full(len(count), np.nan), where=count > 0)
    squares = np.where(is_number, (filled - np.where(count > 0, mean, 0.0)) ** 2, 0.0).sum(axis=0)
    free = np.maximum(count - 1, 1)
    half = student_t.ppf(0.975, free) * np.sqrt(squares / free / np.maximum(count, 1))
    return mean, np.where(count > 1, half, np.nan)


def drift_data(curves: Sequence[DriftCurve], bounds: Bounds = UNBOUNDED) -> pd.DataFrame:
    """What `plot_drift` draws, a row for each system and window, in the unit of the values.

    Rows with a ``sample`` are the thin lines of single recordings; their ``mean`` is its value.
    """
    frames = []
    for curve in curves:
        mean, low, high = mean_and_ends(curve.values, bounds)
        count = np.isfinite(curve.values).sum(axis=0)
        outer = dict(
            zip(("curve_low", "curve_high"), ends_at_once(curve.values, bounds), strict=True)
        )
        frames.append(_rows(curve, mean, count) | {"ci_low": low, "ci_high": high} | outer)
        if 1 < len(curve.values) < MIN_FOR_BAND:
            for place, row in enumerate(curve.values):
                name = curve.samples[place] if curve.samples else str(place)
                frames.append(_rows(curve, row, np.isfinite(row).astype(int), sample=name))
    tables = [pd.DataFrame(frame) for frame in frames]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def _rows(
    curve: DriftCurve, values: np.ndarray, count: np.ndarray, sample: str = ""
) -> dict[str, Any]:
    return {
        "system": curve.system,
        "metric": curve.metric,
        "protocol": curve.protocol,
        "quantity": curve.quantity,
        "sample": sample,
        "t_s": curve.times_s,
        "mean": values,
        "n": count,
        "ci_low": np.nan,
        "ci_high": np.nan,
        "curve_low": np.nan,
        "curve_high": np.nan,
    }
