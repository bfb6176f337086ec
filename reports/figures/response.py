"""How metrics answer faults: a curve for each pair, and a matrix of all of them."""

import math
from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.transforms import offset_copy

from evals.calibration.faults import FAULTS
from evals.calibration.response import SET_RATIO, DoseResponse, Response
from evals.calibration.results import Calibration
from reports.axes import in_order, info_of, label_of, scale_of, unit_of
from reports.figures.style import BAD, COLOURS, GREY

_DELTA = "\N{GREEK CAPITAL LETTER DELTA}"
MAX_EFFECT = 3.0
"""Where the colours of the matrix end, in standard deviations of the clean clips."""
FLOOR_COLOUR, _UNTOUCHED = "#dbe7ee", "#f1f1f1"
_INK, _STRONG = "#111111", "#7f3b08"  # of marks, and of the colours on which they are white
_MOVED, _LEFT, _FREE = COLOURS[0], BAD, "#6b6b6b"


def plot_response(
    response: Response, *, metric_unit: str, label: str, ax: Axes | None = None
) -> Axes:
    """Draws the change of one metric against the dose of one fault.

    Args:
        response: What to draw; doses without a value are left out.
        metric_unit: Of the metric.
        label: Name of the metric.
        ax: Where to draw; a new figure by default.

    Returns:
        The axis: change against the same clips clean with its 95 % interval, filled where it is
        detected; the band is what clean clips do on their own.
    """
    ax = ax if ax is not None else plt.subplots()[1]
    scale = scale_of(response.metric)
    colour = {"moves": _MOVED, "leaves": _LEFT}.get(response.expectation, _FREE)
    _draw_floor(ax, response, scale)
    measured = [cell for cell in response.cells if math.isfinite(cell.change)]
    xs = [cell.realised for cell in measured]
    ys = [(cell.value if response.is_set else cell.change) * scale for cell in measured]
    if _starts_at_clean(response):
        start = response.floor if response.is_set else 0.0
        ax.plot([0.0, *xs], [start, *ys], color=colour, lw=1.2)
    else:
        ax.plot(xs, ys, color=colour, lw=1.2)
    for cell, x, y in zip(measured, xs, ys, strict=True):
        _mark(ax, cell, (x, y), scale, colour)
    _dose_axis(ax, response)
    unit = unit_of(response.metric, metric_unit)
    ax.set_title(FAULTS[response.fault].label, fontsize=7, pad=12)
    what = (label if response.is_set else f"{_DELTA} {label}") + (f" [{unit}]" if unit else "")
    ax.annotate(
        what, (0, 1), xytext=(0, 4), xycoords="axes fraction", textcoords="offset points",
        fontsize=6, color="#444444",
    )  # fmt: skip
    ax.margins(x=0.1, y=0.15)
    return ax


def _draw_floor(ax: Axes, response: Response, scale: float) -> None:
    if math.isfinite(response.floor):
        low, high = (0.0, SET_RATIO) if response.is_set else (-1.0, 1.0)
        ax.axhspan(
            low * response.floor * scale, high * response.floor * scale, color=FLOOR_COLOUR, lw=0
        )
    ax.axhline(0, color=GREY, lw=0.6)


def _mark(ax: Axes, cell: DoseResponse, at: tuple[float, float], scale: float, colour: str) -> None:
    if math.isfinite(cell.low):
        ends = [cell.low * scale, cell.high * scale]
        ax.plot([at[0]] * 2, ends, color=colour, lw=0.9, solid_capstyle="butt")
    face = colour if cell.is_detected else "white"
    ax.plot(*at, marker="o", ms=4, color=colour, mfc=face, mew=1.0)


def _dose_axis(ax: Axes, response: Response) -> None:
    fault = FAULTS[response.fault]
    doses = [cell.realised for cell in response.cells if math.isfinite(cell.realised)]
    ticks = [0.0, *doses] if _starts_at_clean(response) else doses
    width = max(ticks) - min(ticks) if ticks else 0.0
    shown: list[float] = []
    for tick in sorted(ticks, reverse=True):
        room = 0.035 * width * len(dose_text(tick) + dose_text(shown[-1])) if shown else 0.0
        if not shown or shown[-1] - tick >= room:
            shown.append(tick)
    ax.set_xticks(shown, [dose_text(tick) for tick in shown])
    ax.set_xlabel(fault.unit)
    if len(doses) > 1 and doses[0] > doses[-1]:
        ax.invert_xaxis()  # harder to the right
    ax.grid(False, axis="x")


def _starts_at_clean(response: Response) -> bool:
    """Whether the clean clip has a place on the axis: other scales have no dose of zero."""
    return FAULTS[response.fault].clean == 0


def plot_selectivity(
    calibration: Calibration, *, ax: Axes | None = None, bar_ax: Axes | None = None
) -> Axes:
    """Draws effect sizes at the middle dose, faults down and metrics across.

    Args:
        calibration: What to draw.
        ax: Where to draw; a new figure by default.
        bar_ax: Where to draw the scale of colours; beside the matrix by default.

    Returns:
        The axis: a dot where the metric must react and does, a ring where it must and does not, a
        cross where it must not and does; white where black could not be seen.
    """
    ax = ax if ax is not None else plt.subplots()[1]
    faults, metrics = calibration.faults, ordered_metrics(calibration)
    effects = np.full((len(faults), len(metrics)), np.nan)
    for row, fault in enumerate(faults):
        for column, (_, protocol) in enumerate(metrics):
            response = calibration.of(fault, protocol)
            if response is None or response.expectation == "untouched":
                ax.add_patch(_square(column, row, _UNTOUCHED))
                continue
            effects[row, column] = np.clip(response.middle.effect, -MAX_EFFECT, MAX_EFFECT)
            _verdict_mark(ax, column, row, response)
    norm = TwoSlopeNorm(0, -MAX_EFFECT, MAX_EFFECT)
    image = ax.imshow(effects, cmap="PuOr_r", norm=norm, aspect="auto")
    _matrix_axes(ax, faults, metrics, calibration)
    bar = ax.figure.colorbar(
        image, cax=bar_ax, ax=None if bar_ax else ax, orientation="horizontal", extend="both"
    )
    bar.set_label("effect at the middle dose [clean sd; sets: floors]", fontsize=6.5)
    bar.ax.tick_params(labelsize=6.5, length=2)
    bar.outline.set_linewidth(0.4)
    legend = _matrix_legend()
    below = offset_copy(ax.transAxes, fig=ax.get_figure(root=True), x=-108, y=-16, units="points")
    ax.legend(
        list(legend.values()), list(legend), loc="upper left", bbox_to_anchor=(0, 0),
        bbox_transform=below, ncols=2, handletextpad=0.4, columnspacing=1.2, borderaxespad=0,
        fontsize=6.5,
    )  # fmt: skip
    return ax


def _square(column: int, row: int, colour: str) -> Patch:
    return plt.Rectangle((column - 0.5, row - 0.5), 1, 1, color=colour, lw=0)


def _verdict_mark(ax: Axes, column: int, row: int, response: Response) -> None:
    strong = abs(response.middle.effect) > 0.6 * MAX_EFFECT
    ink = "white" if strong else _INK
    styles: dict[str, dict[str, Any]] = {
        "detected": {"marker": "o", "mfc": ink, "mec": ink},
        "missed": {"marker": "o", "mfc": "none", "mec": ink},
        "violation": {"marker": "x", "mec": ink, "mew": 1.4},
    }
    if response.verdict in styles:
        ax.plot(column, row, ls="none", ms=4.5, **styles[response.verdict])
    elif response.verdict == "-":
        ax.text(column, row, "n/m", ha="center", va="center", fontsize=5, color=GREY)


def _matrix_axes(
    ax: Axes,
    faults: Sequence[str],
    metrics: Sequence[tuple[str, str]],
    calibration: Calibration,
) -> None:
    labels = [metric_label(metric, protocol, calibration) for metric, protocol in metrics]
    ax.set_xticks(range(len(metrics)), labels, rotation=90, fontsize=6.5)
    ax.xaxis.tick_top()
    ax.set_yticks(range(len(faults)), [_with_middle_dose(name, calibration) for name in faults])
    ax.tick_params(length=0)
    ax.set_xticks(np.arange(len(metrics) + 1) - 0.5, minor=True)
    ax.set_yticks(np.arange(len(faults) + 1) - 0.5, minor=True)
    ax.grid(False)
    ax.grid(True, which="minor", color="white", lw=1.2)
    ax.tick_params(which="minor", length=0)
    ax.spines[:].set_visible(False)
    axes = [info_of(metric).axis for metric, _ in metrics]
    for name in dict.fromkeys(axes):
        first, last = axes.index(name), len(axes) - 1 - axes[::-1].index(name)
        below: dict[str, Any] = {"ha": "center", "va": "top", "fontsize": 6.5, "color": GREY}
        ax.text((first + last) / 2, len(faults) - 0.4, name, **below)
        if first:
            ax.axvline(first - 0.5, color="#555555", lw=0.8)


def _with_middle_dose(name: str, calibration: Calibration) -> str:
    doses = next(r for r in calibration.responses if r.fault == name)
    return f"{FAULTS[name].label}, {dose_text(doses.middle.realised)} {short_unit(name)}"


def dose_text(dose: float) -> str:
    """Prints a dose with two digits, and whole from 100 on."""
    return f"{dose:.2g}" if abs(dose) < 100 else f"{dose:.0f}"


def short_unit(fault: str) -> str:
    """The unit of a dose in a word or two."""
    unit = FAULTS[fault].unit
    for long, short in (
        ("frames of 40 ms", "frames"), ("share of words", "of words"), (" at the end", ""),
        ("share of the clip", "of clip"), ("times too often", "times"),
        ("frames in a window", "frames"), (" sigma", ""), (" sd", ""),
    ):  # fmt: skip
        unit = unit.replace(long, short)
    return unit


def _matrix_legend() -> dict[str, Any]:
    """Label -> what stands before it."""

    def mark(marker: str, face: str, ink: str = _INK) -> Line2D:
        return Line2D([], [], ls="none", marker=marker, ms=4.5, mfc=face, mec=ink)

    return {
        "must react, does": mark("o", _INK),
        "must react, does not": mark("o", "none"),
        "must not react, does": mark("x", _INK),
        "its track is not touched": Patch(color=_UNTOUCHED),
        "white mark: the same, on a strong colour": (
            Patch(color=_STRONG), mark("o", "white", "white"),
        ),
    }  # fmt: skip


def ordered_metrics(calibration: Calibration) -> list[tuple[str, str]]:
    """Metrics with their protocols, axis by axis."""
    order = in_order(metric for metric, _ in calibration.metrics)
    return sorted(calibration.metrics, key=lambda pair: (order.index(pair[0]), pair[1]))


def metric_label(metric: str, protocol: str, calibration: Calibration) -> str:
    """Name of a metric, with the protocol's middle where it has several."""
    same = [p for m, p in calibration.metrics if m == metric]
    middle = protocol.split("/", 1)[-1].split("@")[0]
    return label_of(metric) if len(same) == 1 else f"{label_of(metric)}, {middle}"


def response_data(responses: Sequence[Response]) -> pd.DataFrame:
    """What curves and matrix draw, a row for each fault, metric and dose."""
    return pd.DataFrame(
        [
            {
                "fault": response.fault,
                "metric": response.metric,
                "protocol": response.protocol,
                "verdict": response.verdict,
                "floor": response.floor,
                **vars(cell),
            }
            for response in responses
            for cell in response.cells
        ]
    )


def curve_legend(has_violations: bool) -> list[Line2D | Patch]:
    """Returns the marks of response curves for a legend."""

    def mark(colour: str, face: str, label: str) -> Line2D:
        return Line2D([], [], color=colour, marker="o", ms=4, mfc=face, mec=colour, label=label)

    blue = COLOURS[0]
    handles: list[Line2D | Patch] = [
        mark(blue, blue, "detected"),
        mark(blue, "white", "not detected"),
        Patch(color=FLOOR_COLOUR, label="clean clips on their own"),
    ]
    return [*handles, mark(BAD, BAD, "must not react")] if has_violations else handles
