"""Distribution of chunk times, cost of concurrent streams, model size, share of the limit."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, NullFormatter

from evals.bench.realtime.row import Row
from evals.numerics.arrivals import chunk_gaps_s
from reports.figures.style import ABOVE, GREY, colours_of, drawn, markers_of

PERCENTILES = {50: "o", 95: "^", 99: "D"}
_DASHES = ("-", "--", ":", "-.")
_SHORTEST_S = 1e-5
"""Chunks that came together have a place on a logarithmic axis."""
_LIMIT: dict[str, Any] = {"color": "#222222", "lw": 0.9, "ls": (0, (4, 2)), "zorder": 1.5}
_NOTE: dict[str, Any] = {
    "fontsize": 6.5,
    "color": "#222222",
    "bbox": {"facecolor": "white", "alpha": 0.8, "lw": 0, "pad": 0.8},
}
REPORTED_LABEL = "StreamChar, reported: one H100"
REPORTED_RTF = 1.34 / 1.375
REPORTED_PARAMETERS = 8e9
"""1.34 s for a chunk of 1.375 s; DiT of 5 B and orchestrator of 3 B. arXiv 2605.25659."""


def gaps_of(row: Row) -> Float[np.ndarray, " G"]:
    """Times between playable chunks of all streams of a row, sorted."""
    several = [r for r in row.requests if r.arrivals and len(r.trace.media_s) > 1]
    gaps = [chunk_gaps_s(run.trace) for run in several]
    return np.sort(np.concatenate(gaps)) if gaps else np.zeros(0)


def plot_chunk_times(rows: Sequence[Row], *, ax: Axes | None = None) -> Axes:
    """Draws the cumulative distribution of the time between chunks, with percentiles and deadline.

    The tail is stretched: each tenth of the chunks that is left takes as much room.

    Args:
        rows: Each with at least two chunks.
        ax: Where to draw; a new figure by default.

    Returns:
        The axis.
    """
    ax = ax if ax is not None else plt.subplots()[1]
    colours = colours_of(row.system for row in rows)
    counts = sorted({row.streams for row in rows})
    for row in rows:
        gaps = np.maximum(gaps_of(row), _SHORTEST_S)
        share = (np.arange(len(gaps)) + 0.5) / len(gaps)
        colour = colours[row.system]
        dashes = _DASHES[counts.index(row.streams) % len(_DASHES)]
        ax.plot(gaps, _nines(share), color=colour, ls=dashes, lw=1.3, label=row_label(row))
        for percent, marker in PERCENTILES.items():
            ax.plot(
                np.percentile(gaps, percent), _nines(np.array(percent / 100)), marker, ms=4.5,
                color=colour, mfc=colour if row.is_valid else "white", zorder=3,
            )  # fmt: skip
    for media_s in _chunk_lengths(rows):
        ax.axvline(media_s, label=f"real time: {media_s:g} s", **_LIMIT)
    ax.set_xscale("log")
    _seconds_axis(ax.xaxis)
    ticks = np.array([0, 50, 90, 95, 99, 99.9])
    ax.set_yticks(_nines(ticks / 100), [f"{tick:g}" for tick in ticks])
    ax.set_ylim(0, max(2.3, float(ax.dataLim.y1) + 0.1))
    ax.set(xlabel="time between chunks [s]", ylabel="share of chunks [%]")
    ax.legend(ncols=4, **ABOVE)
    return ax


def _nines(share: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Places shares on an axis that stretches the tail: 0, 90, 99, 99.9 % are equally far apart."""
    return np.asarray(-np.log10(1 - share))


def plot_streams(rows: Sequence[Row], *, ax: Axes | None = None) -> Axes:
    """Draws the time between chunks against the number of concurrent streams.

    Args:
        rows: Of one or more systems.
        ax: Where to draw; a new figure by default.

    Returns:
        The axis: median as line, up to the 99th percentile as band; hollow where a stream
        stalled or the row is not valid.
    """
    ax = ax if ax is not None else plt.subplots()[1]
    colours, markers = (of(row.system for row in rows) for of in (colours_of, markers_of))
    for system in dict.fromkeys(row.system for row in rows):
        own = sorted((r for r in rows if r.system == system), key=lambda row: row.streams)
        x = [row.streams for row in own]
        p50, p99 = ([getattr(r, name) for r in own] for name in ("chunk_p50_s", "chunk_p99_s"))
        ax.fill_between(x, p50, p99, color=colours[system], alpha=0.14, lw=0)
        ax.plot(x, p99, color=colours[system], lw=0.8, ls="--")
        ax.plot(x, p50, color=colours[system], label=drawn(system))
        for row in own:
            is_good = row.is_valid and row.num_stalls == 0
            ax.plot(
                row.streams, row.chunk_p50_s or np.nan, markers[system], ms=5,
                color=colours[system], mfc=colours[system] if is_good else "white", zorder=3,
            )  # fmt: skip
    for media_s in _chunk_lengths(rows):
        ax.axhline(media_s, label=f"real time: {media_s:g} s", **_LIMIT)
    counts = sorted({row.streams for row in rows})
    if counts[-1] / counts[0] > 8:
        ax.set_xscale("log", base=2)
    ax.set_xticks(counts, [str(count) for count in counts])
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_yscale("log")
    _seconds_axis(ax.yaxis)
    ax.set(xlabel="concurrent streams", ylabel="time between chunks [s]")
    ax.legend(ncols=2, **ABOVE)
    return ax


def plot_size(rows: Sequence[Row], *, ax: Axes | None = None) -> Axes:
    """Draws the real-time factor of one stream against the size of the model.

    Args:
        rows: Whose systems tell their number of parameters.
        ax: Where to draw; a new figure by default.

    Returns:
        The axis, with the real-time line and the point that the paper reports, which is hollow.
    """
    ax = ax if ax is not None else plt.subplots()[1]
    colours, markers = (of(row.system for row in rows) for of in (colours_of, markers_of))
    for row in rows:
        ax.plot(
            row.num_parameters or np.nan, row.rtf or np.nan, markers[row.system], ms=6, zorder=3,
            color=colours[row.system], mfc=colours[row.system] if row.is_valid else "white",
            label=drawn(row.system),
        )  # fmt: skip
    ax.plot(
        REPORTED_PARAMETERS, REPORTED_RTF, "*", ms=10, mfc="white", color=GREY,
        label=REPORTED_LABEL, zorder=3,
    )  # fmt: skip
    ax.axhline(1.0, **_LIMIT)
    ax.annotate(
        "slower than real time", (0.01, 1.0), xytext=(0, 3), va="bottom",
        xycoords=("axes fraction", "data"), textcoords="offset points", **_NOTE,
    )  # fmt: skip
    ax.set_xscale("log")
    ax.set_yscale("log")
    values = [row.rtf for row in rows if row.rtf] + [REPORTED_RTF]
    ax.set_ylim(min(values) / 2, max(2.0, 2 * max(values)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _count(value)))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.margins(x=0.12)
    ax.set(xlabel="parameters", ylabel="real-time factor ↓")
    ax.legend(ncols=2, **ABOVE)
    return ax


def plot_share(rows: Sequence[Row], *, ax: Axes | None = None) -> Axes:
    """Draws how much of the measured matrix and copy rates the counted work reaches.

    Args:
        rows: Whose systems tell their work.
        ax: Where to draw; a new figure by default.

    Returns:
        The axis: a bar for each rate, 100 % being the limit.
    """
    ax = ax if ax is not None else plt.subplots()[1]
    colours = colours_of(row.system for row in rows)
    for place, row in enumerate(rows):
        bars = [("FLOP/s", row.flops_share, 1.0), ("bytes/s", row.bytes_share, 0.45)]
        for offset, (name, share, alpha) in zip((-0.19, 0.19), bars, strict=True):
            if share is None:
                continue
            ax.barh(place + offset, 100 * share, 0.34, color=colours[row.system], alpha=alpha, lw=0)
            ax.annotate(
                f"{name} {100 * share:.1f} %", (100 * share, place + offset), xytext=(3, 0),
                textcoords="offset points", va="center", **_NOTE,
            )  # fmt: skip
    ax.axvline(100, **_LIMIT)
    ax.set_yticks(range(len(rows)), [row_label(row) for row in rows])
    ax.set_ylim(len(rows) - 0.4, -0.6)
    shares = [s for row in rows for s in (row.flops_share, row.bytes_share) if s is not None]
    ax.set_xlim(0, max(112.0, 125 * max(shares)))
    ax.grid(axis="y", visible=False)
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel("share of the rate measured on this machine [%]")
    return ax


def row_label(row: Row) -> str:
    """Names a row in a legend."""
    many = f", {row.streams} streams" if row.streams > 1 else ""
    return drawn(row.system) + many + ("" if row.is_valid else " (invalid)")


def realtime_data(rows: Sequence[Row], names: Sequence[str]) -> pd.DataFrame:
    """Some numbers of each row, as drawn."""
    head = ("system", "streams", "is_valid")
    return pd.DataFrame([{name: getattr(row, name) for name in (*head, *names)} for row in rows])


def chunk_times_data(rows: Sequence[Row]) -> pd.DataFrame:
    """What `plot_chunk_times` draws, a line for each gap."""
    frames = [
        pd.DataFrame({"system": row.system, "streams": row.streams, "chunk_s": gaps_of(row)})
        for row in rows
    ]
    return pd.concat(frames, ignore_index=True)


def _chunk_lengths(rows: Sequence[Row]) -> list[float]:
    return sorted({round(row.chunk_media_s, 3) for row in rows if row.chunk_media_s})


def _seconds_axis(axis: Axis) -> None:
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _count(value: float) -> str:
    for size, letter in ((1e9, " B"), (1e6, " M"), (1e3, " k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"
