"""The metrics of a sweep as small multiples."""

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from evals.protocols.info import Direction
from reports.axes import label_of
from reports.figures.steps import ALARM_COLOUR, StepCurve, plot_steps, steps_data
from reports.figures.style import GREY, WIDTHS_IN, drawn, styled
from reports.gallery import Drawn
from reports.sweep.results import Sweep, SweepMetric
from streamchar_ref.core.names import file_name

_ACROSS = 3
_PANEL_HEIGHT_IN = 1.9


def sweep_figure(sweep: Sweep, width: str = "report") -> Drawn:
    """Draws each metric against the step, with bands, alarms and the baseline.

    Args:
        sweep: With one metric or more.
        width: A name of `reports.figures.style.WIDTHS_IN`.

    Returns:
        The figure with its data.

    Raises:
        ValueError: If there is no metric.
    """
    if not sweep.metrics:
        raise ValueError("no metric to draw")
    across = min(_ACROSS, len(sweep.metrics))
    down = math.ceil(len(sweep.metrics) / across)
    data = []
    with styled():
        size = (WIDTHS_IN[width], 0.45 + _PANEL_HEIGHT_IN * down)
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots(down, across, squeeze=False).ravel()
        for ax, one in zip(axes, sweep.metrics, strict=False):
            data.append(_panel(ax, one, sweep))
        for ax in axes[len(sweep.metrics) :]:
            ax.remove()
        handles = [*_networks(axes[0]), *_marks(sweep)]
        figure.legend(handles=handles, loc="outside upper left", ncols=len(handles))
    return Drawn(
        name=file_name(f"sweep_{sweep.suite}"),
        title=f"Checkpoints on {sweep.suite}",
        caption="Mean and 95 % interval of each checkpoint on the same prompts and noise.",
        figure=figure,
        data=pd.concat(data, ignore_index=True),
    )


def _panel(ax: Axes, one: SweepMetric, sweep: Sweep) -> pd.DataFrame:
    curves = [_curve(one, network) for network in sweep.networks]
    curves = [curve for curve in curves if curve.steps]
    label = f"baseline: {sweep.baseline.network}" if sweep.baseline else ""
    plot_steps(
        curves,
        baseline=one.baseline,
        baseline_label=label,
        is_absolute=one.direction is Direction.ZERO,
        ax=ax,
    )
    ax.set_title(drawn(title_of(one, sweep)))
    return steps_data(curves, one.baseline)


def title_of(one: SweepMetric, sweep: Sweep) -> str:
    """Name of a metric, with its protocol where several are there."""
    is_shared = sum(other.metric == one.metric for other in sweep.metrics) > 1
    variant = one.protocol.partition("/")[2].partition("@")[0]
    return f"{label_of(one.metric)}, {variant}" if is_shared else label_of(one.metric)


def _curve(one: SweepMetric, network: str) -> StepCurve:
    points = [point for point in one.points if point.entry.network == network]
    best = one.best(network)
    return StepCurve(
        network=network,
        steps=tuple(point.entry.step or 0 for point in points),
        rows=tuple(point.summary for point in points),
        alarms=[point.entry.step or 0 for point in points if point.is_alarm],
        best=best.entry.step if best else None,
    )


def _networks(ax: Axes) -> list[Line2D]:
    return [line for line in ax.get_lines() if not str(line.get_label()).startswith("_")]


def _marks(sweep: Sweep) -> list[Line2D]:
    """Explains the marks that are drawn."""
    plain = {"color": "none", "marker": "o", "markersize": 7}
    marks = [Line2D([], [], mfc="none", mec=GREY, label="best step", **plain)]  # type: ignore[arg-type]
    if sweep.alarms:
        cross = {"ls": "none", "marker": "x", "color": ALARM_COLOUR, "markersize": 7, "mew": 1.6}
        marks.append(Line2D([], [], label="worse than the best before", **cross))  # type: ignore[arg-type]
    return marks
