"""A metric over playing time.

Shape letters: R recordings, K windows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from scipy.stats import t as student_t

from reports.axes import label_of, scale_of, unit_of
from reports.figures.style import ABOVE, colours_of


@dataclass(frozen=True, kw_only=True)
class DriftCurve:
    """One metric over the recordings of one system.

    Attributes:
        system: Legend label.
        metric: Name of the metric.
        protocol: Name and version of its parameters.
        times_s: Centres of the windows, in seconds from the start.
        values: One row a recording; NaN where nothing was measured or the recording has ended.
    """

    system: str
    metric: str
    protocol: str
    times_s: Float[np.ndarray, " K"]
    values: Float[np.ndarray, "R K"]


def drift_curves(windows: pd.DataFrame, metric: str, protocol: str = "") -> list[DriftCurve]:
    """Arranges ``Runs.windows`` as curves.

    Args:
        windows: Columns of `evals.results.WindowRow`.
        metric: Which.
        protocol: Which, if the metric has several; the first by default.

    Returns:
        One curve a system, by name; empty if the metric has no windows.
    """
    chosen = windows[windows["metric"] == metric]
    if chosen.empty:
        return []
    protocol = protocol or str(chosen["protocol"].min())
    chosen = chosen[chosen["protocol"] == protocol]
    # Windows are matched by their start: the last one of a recording may be short.
    starts = chosen["t0_s"].round(3)
    ends = chosen.groupby(starts)["t1_s"].max()
    curves = []
    for system, rows in chosen.assign(start_s=starts).groupby("system", sort=True):
        grid = rows.pivot_table(
            index=["suite", "sample_id", "seed"], columns="start_s", values="value", dropna=False
        )
        grid = grid.dropna(axis="index", how="all")
        centres = (grid.columns + ends[grid.columns].to_numpy()) / 2
        curves.append(
            DriftCurve(
                system=str(system),
                metric=metric,
                protocol=protocol,
                times_s=np.asarray(centres, dtype=np.float64),
                values=grid.to_numpy(dtype=np.float64),
            )
        )
    return [curve for curve in curves if len(curve.values)]


def plot_drift(
    curves: Sequence[DriftCurve],
    *,
    higher_is_better: bool | None = None,
    unit: str = "1",
    ax: Axes | None = None,
) -> Axes:
    """Draws the mean over recordings against playing time, with a 95 % band.

    The band is the t interval of the mean, window by window; with one recording there is none.
    The line is dotted where recordings have ended or could not be measured: from there on it is
    the mean of others.

    Args:
        curves: One for each system, all of one metric.
        higher_is_better: For the label of the axis.
        unit: Of the metric, as stored.
        ax: Where to draw; a new figure by default.

    Returns:
        The axis, so that the caller sizes, titles and saves the figure.
    """
    ax = ax if ax is not None else plt.subplots()[1]
    colours = colours_of(curve.system for curve in curves)
    for curve in curves:
        mean, band = mean_and_band(curve.values * scale_of(curve.metric))
        colour = colours[curve.system]
        is_whole = np.isfinite(curve.values).all(axis=0)
        marker = "o" if len(curve.times_s) <= 12 else ""
        ax.plot(curve.times_s, mean, ":", color=colour, lw=0.9, marker=marker, markersize=1.5)
        ax.plot(
            curve.times_s,
            np.where(is_whole, mean, np.nan),
            color=colour,
            label=f"{curve.system} (n={len(curve.values)})",
            marker=marker,
            markersize=2.5,
        )
        ax.fill_between(curve.times_s, mean - band, mean + band, color=colour, alpha=0.16, lw=0)
    if curves:
        ax.set_ylabel(axis_label(curves[0].metric, unit, higher_is_better))
        ax.legend(ncols=2, **ABOVE)
    ax.set_xlabel("playing time [s]")
    return ax


def axis_label(metric: str, unit: str, higher_is_better: bool | None) -> str:
    """Name, unit and direction of a metric, as axes print them."""
    shown = unit_of(metric, unit)
    arrow = {True: " \N{UPWARDS ARROW}", False: " \N{DOWNWARDS ARROW}", None: ""}[higher_is_better]
    return f"{label_of(metric)}{arrow}" + (f" [{shown}]" if shown else "")


def mean_and_band(
    values: Float[np.ndarray, "R K"],
) -> tuple[Float[np.ndarray, " K"], Float[np.ndarray, " K"]]:
    """Mean of each column without NaN, and half the width of its 95 % t interval.

    Args:
        values: One row a recording.

    Returns:
        Mean, NaN where a column has no number; half width, NaN with fewer than two numbers.
    """
    known = np.isfinite(values)
    count = known.sum(axis=0)
    filled = np.where(known, values, 0.0)
    mean = np.divide(filled.sum(axis=0), count, out=np.full(len(count), np.nan), where=count > 0)
    squares = np.where(known, (filled - np.where(count > 0, mean, 0.0)) ** 2, 0.0).sum(axis=0)
    free = np.maximum(count - 1, 1)
    half = student_t.ppf(0.975, free) * np.sqrt(squares / free / np.maximum(count, 1))
    return mean, np.where(count > 1, half, np.nan)


def drift_data(curves: Sequence[DriftCurve]) -> pd.DataFrame:
    """What `plot_drift` draws, a row for each system and window, in the metric's unit."""
    frames = []
    for curve in curves:
        mean, band = mean_and_band(curve.values)
        frames.append(
            pd.DataFrame(
                {
                    "system": curve.system,
                    "metric": curve.metric,
                    "protocol": curve.protocol,
                    "t_s": curve.times_s,
                    "mean": mean,
                    "ci_low": mean - band,
                    "ci_high": mean + band,
                    "n": np.isfinite(curve.values).sum(axis=0),
                }
            )
        )
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
