"""Paired differences of systems to one of them, with intervals: a forest plot."""

from collections.abc import Sequence
from dataclasses import asdict

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes

from evals.protocols.info import Direction
from evals.scoring.compare import Comparison
from reports.axes import absolute_label, label_of, scale_of, unit_of
from reports.figures.style import GREY, colours_of, drawn, in_look_order, markers_of

_FIELDS = (
    "suite", "metric", "protocol", "system", "against", "n_pairs", "n_independent", "unit", "delta",
    "is_absolute", "ci_low", "ci_high", "p", "p_holm", "verdict", "reason",
)  # fmt: skip

MOST_OF_BASELINE = 28
"""Letters of the other system that a line below the axis has room for."""
ACROSS = 30
"""Letters of a line below the axis that holds two things."""


def plot_forest(
    comparisons: Sequence[Comparison],
    *,
    direction: Direction,
    variant: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Draws a row for each system: its difference to the same other one, and the interval.

    A filled marker is a difference that the Holm-adjusted test has decided, a hollow one is
    inconclusive.

    Args:
        comparisons: Of one metric and protocol, all against the same system.
        direction: Of the metric, for the word at the axis.
        variant: Which protocol it is, below the axis.
        ax: Where to draw; a new figure by default.

    Returns:
        The axis.
    """
    ax = ax if ax is not None else plt.subplots()[1]
    systems = in_look_order(one.system for one in comparisons)
    colours, markers = colours_of(systems), markers_of(systems)
    by_system = {one.system: one for one in comparisons}
    ax.axvline(0, color=GREY, lw=0.8, zorder=1)
    for place, system in enumerate(systems):
        one, colour = by_system[system], colours[system]
        scale = scale_of(one.metric)
        if one.delta is None:
            ax.annotate("not comparable", (0, place), xytext=(3, 0), textcoords="offset points",
                        va="center", color=GREY, fontsize=6.5)  # fmt: skip
            continue
        if one.ci_low is not None and one.ci_high is not None:
            ends = [one.ci_low * scale, one.ci_high * scale]
            ax.plot(ends, [place, place], color=colour, lw=1.3, solid_capstyle="butt")
        is_decided = one.verdict in {"better", "worse"}
        ax.plot(
            one.delta * scale, place, marker=markers[system], markersize=5, color=colour,
            markerfacecolor=colour if is_decided else "white", linestyle="none",
        )  # fmt: skip
    ax.set_yticks(range(len(systems)), [drawn(system) for system in systems])
    ax.set_ylim(len(systems) - 0.5, -0.5)
    ax.margins(x=0.12)
    ax.grid(False, axis="y")
    if comparisons:
        ax.set_xlabel(_label(comparisons[0], direction, variant))
    return ax


def _label(one: Comparison, direction: Direction, variant: str) -> str:
    name = absolute_label(one.metric) if one.is_absolute else label_of(one.metric)
    unit = unit_of(one.metric, one.unit)
    better = {
        Direction.HIGHER: "right is better",
        Direction.LOWER: "left is better",
        Direction.ZERO: "left is better",
    }.get(direction, "")
    lines = [f"\u0394 {name}" + (f" [{unit}]" if unit else ""), variant]
    against = f"to {drawn(one.against, MOST_OF_BASELINE)}"
    is_long = len(against) + len(better) > ACROSS
    lines += [against, better] if is_long else ["; ".join(filter(None, (against, better)))]
    return "\n".join(filter(None, lines))


def forest_data(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """What `plot_forest` draws, a row for each comparison, in the metric's unit."""
    records = [asdict(one) for one in comparisons]
    return pd.DataFrame(records, columns=list(_FIELDS))
