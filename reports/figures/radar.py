"""Several metrics at once, each scaled from the worst to the best system shown: a radar."""

from collections.abc import Mapping, Sequence
from typing import Literal, cast

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.projections.polar import PolarAxes

from evals.scoring.summary import SummaryRow
from reports.axes import absolute_label, label_of, scale_of, unit_of
from reports.figures.style import colours_of, drawn, in_look_order, markers_of
from reports.numbers import decimals_for, number

MIN_AXES = 3
WIDE_IN = 5.0
"""Narrower figures have their legend below and small labels, which leave room for the circle."""
SMALL_PT = 6
INNER = 0.15
"""Where the worst system stands: not in the centre, where all axes meet."""
HIDES = (
    "Each axis runs from the worst (inside) to the best (rim) of the systems shown, so a small "
    "difference fills an axis as a large one does. Areas depend on the order of the axes and mean "
    "nothing; intervals and ties are not shown: see the table. A line is open where a system has "
    "no value."
)


def plot_radar(
    by_metric: Mapping[str, Sequence[SummaryRow]], *, ax: PolarAxes | None = None
) -> PolarAxes:
    """Draws a closed line for each system over at least three metrics.

    Args:
        by_metric: Summaries of each metric under one protocol hash; all have a better direction.
        ax: A polar axis; that of a new figure by default.

    Returns:
        The axis.
    """
    if ax is None:
        ax = cast(PolarAxes, plt.subplots(subplot_kw={"projection": "polar"})[1])
    names = list(by_metric)
    angles = 2 * np.pi * np.arange(len(names)) / len(names)
    systems = in_look_order(row.system for rows in by_metric.values() for row in rows)
    colours, markers = colours_of(systems), markers_of(systems)
    scaled = {name: scaled_values(rows) for name, rows in by_metric.items()}
    for system in systems:
        radii = np.array([scaled[name].get(system, np.nan) for name in names])
        if np.isfinite(radii).any():
            ax.plot(np.append(angles, angles[:1]), np.append(radii, radii[:1]), lw=1.2,
                    color=colours[system], marker=markers[system], markersize=3.5,
                    label=drawn(system))  # fmt: skip
    ax.set_theta_offset(np.pi / 2)
    ax.set_theta_direction(-1)
    ax.set_ylim(0, 1.08)
    ax.set_yticks([INNER, 1.0], ["", ""])
    ax.set_xticks(angles, [_label(rows) for rows in by_metric.values()])
    ax.spines["polar"].set_visible(False)
    ax.tick_params(axis="x", pad=5)
    for label, angle in zip(ax.get_xticklabels(), angles, strict=True):
        label.set_horizontalalignment(_side(angle))
    figure = ax.figure.get_figure(root=True)
    if figure.get_figwidth() < WIDE_IN:
        ax.tick_params(axis="x", labelsize=SMALL_PT)
        figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    else:
        figure.legend(*ax.get_legend_handles_labels(), loc="outside right center")
    return ax


def _side(angle: float) -> Literal["left", "center", "right"]:
    """Alignment of a label that begins outside the circle; angles run clockwise from the top."""
    across = np.sin(angle)
    return "center" if abs(across) < 0.1 else "left" if across > 0 else "right"


def scaled_values(rows: Sequence[SummaryRow]) -> dict[str, float]:
    """Scales the values of one metric: the best system is 1, the worst `INNER`.

    Args:
        rows: With a better direction.

    Returns:
        System -> radius, of those with a value; all 1 where they are alike.
    """
    costs = {
        row.system: row.direction.cost(row.value)
        for row in (row.ranked for row in rows)
        if row.value is not None
    }
    if not costs:
        return {}
    worst, best = max(costs.values()), min(costs.values())
    span = worst - best
    return {
        name: 1.0 if span == 0 else INNER + (1 - INNER) * (worst - cost) / span
        for name, cost in costs.items()
    }


def _label(rows: Sequence[SummaryRow]) -> str:
    ranked = [row.ranked for row in rows if row.ranked.value is not None]
    first, decimals = rows[0], decimals_for(ranked)
    name = absolute_label(first.metric) if first.zero_is_best else label_of(first.metric)
    by_cost = sorted(ranked, key=lambda row: row.direction.cost(row.value or 0.0))
    best, worst = (
        number((row.value or 0.0) * scale_of(row.metric), decimals)
        for row in (by_cost[0], by_cost[-1])
    )
    return f"{name}\n{worst} to {best} {unit_of(first.metric, first.unit)}".rstrip()


def radar_data(by_metric: Mapping[str, Sequence[SummaryRow]]) -> pd.DataFrame:
    """What `plot_radar` draws, a row for each metric and system with a value."""
    scaled = {metric: scaled_values(rows) for metric, rows in by_metric.items()}
    records = [
        {
            "suite": row.suite,
            "metric": metric,
            "protocol": row.protocol,
            "system": row.system,
            "value": row.value,
            "radius": scaled[metric][row.system],
            "unit": row.unit,
        }
        for metric, rows in by_metric.items()
        for row in (one.ranked for one in rows)
        if row.value is not None
    ]
    return pd.DataFrame(records)
