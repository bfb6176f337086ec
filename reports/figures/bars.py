"""Systems side by side: values with intervals, and trade-offs of two metrics."""

from collections.abc import Collection, Sequence
from typing import Literal

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from evals.protocols.info import Direction
from evals.scoring.summary import SummaryRow
from reports.axes import axis_label, scale_of
from reports.figures.style import GREY, colours_of, drawn, in_look_order, markers_of
from reports.numbers import decimals_for, value_text


def plot_bars(
    rows: Sequence[SummaryRow],
    *,
    systems: Collection[str] = (),
    variant: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Draws a bar for each system, with its 95 % interval and its value.

    Where zero is best, bars are means of absolute values: what systems are ranked by.

    Args:
        rows: Summaries of one metric and protocol hash; those without a value say why.
        systems: Those that have a place, for axes side by side; by default those of the rows.
        variant: Which protocol it is, below the axis.
        ax: Where to draw; a new figure by default.

    Returns:
        The axis.
    """
    ax = ax if ax is not None else plt.subplots()[1]
    places = in_look_order([*systems, *(row.system for row in rows)])
    ordered = [row.ranked for row in sorted(rows, key=lambda row: places.index(row.system))]
    colours = colours_of(row.system for row in rows)
    decimals = decimals_for(ordered)
    for row in ordered:
        place, text = places.index(row.system), value_text(row, decimals)
        if row.value is None:
            ax.text(0, place, f" {text}", va="center", color=GREY, fontsize=7)
            continue
        scale = scale_of(row.metric)
        value = row.value * scale
        ax.barh(place, value, color=colours[row.system], height=0.62, alpha=0.85)
        end = value
        if row.ci_low is not None and row.ci_high is not None:
            low, high = row.ci_low * scale, row.ci_high * scale
            ax.plot([low, high], [place, place], color="#222222", lw=1.0, solid_capstyle="butt")
            end = max(value, high)
        ax.annotate(
            text,
            (max(end, 0), place),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            fontsize=7,
        )
    ax.set_yticks(range(len(places)), [drawn(system) for system in places])
    ax.set_ylim(len(places) - 0.5, -0.5)  # whole rows also for systems without a bar
    ax.margins(x=0.18)
    ax.locator_params(axis="x", nbins=5)
    ax.grid(False, axis="y")
    if rows:
        ax.set_xlabel(_label(rows[0], variant))
    return ax


def plot_pareto(
    points: Sequence[tuple[SummaryRow, SummaryRow]],
    *,
    unranked: Collection[str] = (),
    variants: tuple[str, str] = ("", ""),
    ax: Axes | None = None,
) -> Axes:
    """Draws systems in the plane of two metrics; models that another one beats in both are grey.

    A control such as ground truth or a still picture beats nobody: it is hollow and keeps its
    colour. Where zero is best, systems stand at the means of absolute values.

    Args:
        points: For each system its summaries on x and y; pairs that lack a value are left out.
        unranked: Systems that are no models.
        variants: Which protocols they are, below the axes.
        ax: Where to draw; a new figure by default.

    Returns:
        The axis.
    """
    ax = ax if ax is not None else plt.subplots()[1]
    pairs = [(x.ranked, y.ranked) for x, y in points]
    by_system = {x.system: (x, y) for x, y in pairs if x.value is not None and y.value is not None}
    measured = [by_system[system] for system in in_look_order(by_system)]
    markers = markers_of(x.system for x, _ in measured)
    colours = colours_of(x.system for x, _ in measured)
    best = front([pair for pair in measured if pair[0].system not in unranked]) | set(unranked)
    for x, y in measured:
        colour = colours[x.system] if x.system in best else GREY
        at = ((x.value or 0.0) * scale_of(x.metric), (y.value or 0.0) * scale_of(y.metric))
        _cross(ax, x, y, at, colour)
        ax.plot(
            *at,
            marker=markers[x.system],
            color=colour,
            markerfacecolor="white" if x.system in unranked else colour,
            markersize=6,
            linestyle="none",
            label=drawn(x.system),
        )
    ax.margins(0.15)
    if measured:
        _scale_axis(ax, "x", [x for x, _ in measured])
        _scale_axis(ax, "y", [y for _, y in measured])
        ax.legend()
        labels = [_label(row, text) for row, text in zip(points[0], variants, strict=True)]
        ax.set(xlabel=labels[0], ylabel=labels[1])
    return ax


def front(points: Sequence[tuple[SummaryRow, SummaryRow]]) -> set[str]:
    """Finds the systems that no other one matches in both metrics and beats in one.

    Args:
        points: Each with a value on x and y. Nothing beats anything in a metric of which no value
            is better than another.

    Returns:
        Their names.
    """
    if any(row.direction is Direction.NONE for pair in points for row in pair):
        return {x.system for x, _ in points}

    def costs(pair: tuple[SummaryRow, SummaryRow]) -> tuple[float, float]:
        x, y = (row.ranked.direction.cost(row.ranked.value or 0.0) for row in pair)
        return x, y

    costs_of = {pair[0].system: costs(pair) for pair in points}
    return {
        system
        for system, (x, y) in costs_of.items()
        if not any(
            other != system and a <= x and b <= y and (a, b) != (x, y)
            for other, (a, b) in costs_of.items()
        )
    }


def summary_data(rows: Sequence[SummaryRow]) -> pd.DataFrame:
    """What bars and trade-offs draw, a row for each system and metric, in the metric's unit."""
    names = ("suite", "system", "metric", "protocol", "value", "ci_low", "ci_high", "n", "unit")
    return pd.DataFrame(
        [
            {name: getattr(row.ranked, name) for name in names} | {"is_absolute": row.zero_is_best}
            for row in rows
        ]
    )


def _label(row: SummaryRow, variant: str = "") -> str:
    return axis_label(
        row.metric, row.unit, row.direction, is_absolute=row.zero_is_best, variant=variant
    )


def _scale_axis(ax: Axes, which: Literal["x", "y"], rows: Sequence[SummaryRow]) -> None:
    """Takes a logarithmic axis where a linear one would squeeze most systems into a corner."""
    values = [row.value for row in rows if row.value is not None]
    ends = [row.ci_low for row in rows if row.ci_low is not None]
    if min(values + ends) > 0 and max(values) > 20 * min(values):
        ax.set(**{f"{which}scale": "log"})
        axis = ax.xaxis if which == "x" else ax.yaxis
        axis.set_major_formatter(FuncFormatter(lambda value, place: f"{value:g}"))


def _cross(ax: Axes, x: SummaryRow, y: SummaryRow, at: tuple[float, float], colour: str) -> None:
    if x.ci_low is not None and x.ci_high is not None:
        scale = scale_of(x.metric)
        ax.plot([x.ci_low * scale, x.ci_high * scale], [at[1]] * 2, color=colour, lw=0.9, alpha=0.7)
    if y.ci_low is not None and y.ci_high is not None:
        scale = scale_of(y.metric)
        ax.plot([at[0]] * 2, [y.ci_low * scale, y.ci_high * scale], color=colour, lw=0.9, alpha=0.7)
