"""A metric against the training step, one line a network."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from evals.scoring.summary import SummaryRow
from reports.axes import axis_label, scale_of
from reports.figures.style import COLOURS, GREY, MARKERS, drawn

ALARM_COLOUR = "#000000"
"""Of no network in a figure of fewer than seven."""
_MOST_TICKS = 6
_NAN = float("nan")


@dataclass(frozen=True, kw_only=True)
class StepCurve:
    """One metric of one network.

    Attributes:
        network: Legend label.
        steps: Rising.
        rows: Ranked summaries, one a step; those without a value leave a gap.
        alarms: Steps to mark.
        best: Step to mark as the best; ``None`` for none.
    """

    network: str
    steps: tuple[int, ...]
    rows: tuple[SummaryRow, ...]
    alarms: Collection[int] = ()
    best: int | None = None


def plot_steps(
    curves: Sequence[StepCurve],
    *,
    baseline: SummaryRow | None = None,
    baseline_label: str = "baseline",
    is_absolute: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """Draws means against the step with their 95 % intervals as a band.

    A hollow ring marks the best step of a network, a cross a step that is shown to be worse than
    the best of those before. The baseline is a dashed line in its own band.

    Args:
        curves: One for each network, all of one metric.
        baseline: Ranked summary of what the steps are held against.
        baseline_label: Its name in the legend.
        is_absolute: Whether the values are means of absolute ones.
        ax: Where to draw; a new figure by default.

    Returns:
        The axis, without a legend.
    """
    ax = ax if ax is not None else plt.subplots()[1]
    if baseline is not None and baseline.value is not None:
        value, low, high = _scaled(baseline)
        ax.axhspan(low, high, color=GREY, alpha=0.16, lw=0)
        ax.axhline(value, color=GREY, lw=1.0, ls="--", label=drawn(baseline_label))
    for place, curve in enumerate(curves):
        _draw(ax, curve, COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)])
    if curves:
        row = curves[0].rows[0]
        ax.set_ylabel(axis_label(row.metric, row.unit, row.direction, is_absolute=is_absolute))
    steps = sorted({step for curve in curves for step in curve.steps})
    if len(steps) <= _MOST_TICKS:
        ax.set_xticks(steps)
    else:
        ax.xaxis.set_major_locator(MaxNLocator(nbins=_MOST_TICKS - 1, integer=True))
    ax.margins(x=0.06, y=0.12)
    ax.set_xlabel("step")
    return ax


def steps_data(curves: Sequence[StepCurve], baseline: SummaryRow | None = None) -> pd.DataFrame:
    """What `plot_steps` draws, a row for each point, in its unit; the baseline has no step."""
    records = [
        _record(row, curve.network, step) | {"is_alarm": step in curve.alarms}
        for curve in curves
        for step, row in zip(curve.steps, curve.rows, strict=True)
    ]
    if baseline is not None:
        records.append(_record(baseline, "baseline", None) | {"is_alarm": False})
    return pd.DataFrame(records)


def _draw(ax: Axes, curve: StepCurve, colour: str, marker: str) -> None:
    values, lows, highs = np.array([_scaled(row) for row in curve.rows]).T
    ax.fill_between(curve.steps, lows, highs, color=colour, alpha=0.16, lw=0)
    ax.vlines(curve.steps, lows, highs, color=colour, lw=0.7, alpha=0.6)
    ax.plot(
        curve.steps, values, color=colour, marker=marker, markersize=3, label=drawn(curve.network)
    )
    at = dict(zip(curve.steps, values, strict=True))
    alarms = sorted(curve.alarms)
    ax.plot(
        alarms,
        [at[step] for step in alarms],
        "x",
        color=ALARM_COLOUR,
        markersize=8,
        mew=1.6,
        zorder=4,
    )
    if curve.best is not None:
        ring: dict[str, Any] = {"markersize": 8, "mfc": "none", "mec": colour, "mew": 1.1}
        ax.plot([curve.best], [at[curve.best]], "o", zorder=3, **ring)


def _scaled(row: SummaryRow) -> tuple[float, float, float]:
    """Value and ends as axes print them; NaN where there is none."""
    numbers = (row.value, row.ci_low, row.ci_high)
    value, low, high = (_NAN if x is None else x * scale_of(row.metric) for x in numbers)
    return value, low, high


def _record(row: SummaryRow, network: str, step: int | None) -> dict[str, Any]:
    names = ("suite", "metric", "protocol", "value", "ci_low", "ci_high", "n", "unit")
    return {"network": network, "step": step} | {name: getattr(row, name) for name in names}
