"""Which figures the results of ``streamchar bench realtime`` have."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evals.bench.realtime.results import FILE_NAME, RealtimeResults, read_results
from evals.bench.realtime.row import Row
from reports.figures.realtime import (
    REPORTED_LABEL,
    REPORTED_PARAMETERS,
    REPORTED_RTF,
    chunk_times_data,
    gaps_of,
    plot_chunk_times,
    plot_share,
    plot_size,
    plot_streams,
    realtime_data,
)  # fmt: skip
from reports.figures.save import Drawn, save_figure
from reports.figures.style import WIDTHS_IN, colours_of, drawn, styled
from reports.figures.timeline import SHOWN_CHUNKS, plot_timeline, shown_runs, shown_s, timeline_data

_INVALID = "Hollow: not a valid run."
MOST_CURVES = 6
"""With more rows, each system's with the fewest and the most streams are drawn."""


def is_realtime_folder(folder: Path) -> bool:
    """Whether a folder holds results of ``streamchar bench realtime``."""
    return (folder / FILE_NAME).is_file()


def plot_realtime(
    folder: Path, *, kind: str = "all", width: str = "report", out: Path | None = None
) -> list[Path]:
    """Draws the figures of a folder again.

    Args:
        folder: That holds `FILE_NAME`.
        kind: Of `REALTIME_KINDS`, or ``all``.
        width: A name of `reports.figures.style.WIDTHS_IN`.
        out: Where to write; ``figures`` in the folder by default.

    Returns:
        Files.
    """
    kinds = list(REALTIME_KINDS) if kind == "all" else [kind]
    results = read_results(folder)
    return write_realtime_figures(results, out or folder / "figures", kinds=kinds, width=width)


def write_realtime_figures(
    results: RealtimeResults,
    folder: Path,
    *,
    kinds: Sequence[str] | None = None,
    width: str = "report",
) -> list[Path]:
    """Draws and writes the figures that the results allow, as PDF, PNG, CSV and caption.

    Args:
        results: With rows.
        folder: Where to write.
        kinds: Of `REALTIME_KINDS`; all by default.
        width: A name of `reports.figures.style.WIDTHS_IN`.

    Returns:
        Files.
    """
    paths: list[Path] = []
    for one in draw_realtime(results, kinds=kinds, width=width):
        paths += save_figure(one, folder)
    return paths


def draw_realtime(
    results: RealtimeResults, *, kinds: Sequence[str] | None = None, width: str = "report"
) -> list[Drawn]:
    """Draws the figures that the results allow; arguments as of `write_realtime_figures`."""
    with styled():
        return [
            one
            for kind in kinds or REALTIME_KINDS
            for one in REALTIME_KINDS[kind](results, WIDTHS_IN[width])
        ]


def _timeline(results: RealtimeResults, width_in: float) -> Iterator[Drawn]:
    """One panel for each system: its row with the fewest streams."""
    fewest: dict[str, Row] = {}
    for row in sorted(results.rows, key=lambda row: row.streams):
        if shown_runs(row):
            fewest.setdefault(row.system, row)
    rows = [fewest[system] for system in results.systems if system in fewest]
    if not rows:
        return
    colours = colours_of(row.system for row in rows)
    lanes = [len({s.part for s in row.part_spans}) + 2 * len(shown_runs(row)) for row in rows]
    heights = [0.62 + 0.24 * count for count in lanes]
    figure = Figure(figsize=(width_in, sum(heights)))
    axes = figure.subplots(len(rows), 1, squeeze=False, height_ratios=heights, sharex=True)[:, 0]
    for row, ax in zip(rows, axes, strict=True):
        plot_timeline(row, colour=colours[row.system], ax=ax)
        ax.set_title(f"{drawn(row.system)}{'' if row.is_valid else ' (invalid)'}")
        ax.set_xlim(0, max(map(shown_s, rows)))
        ax.set_xlabel("time since the request [s]" if ax is axes[-1] else "")
    yield Drawn(
        name="timeline",
        title="When chunks are made and played",
        caption=f"First {SHOWN_CHUNKS} chunks of the first turn. A bar of *generate* ends when the "
        "chunk has arrived; a vertical line is its deadline, red if it was missed, and the red "
        "area is the stall. Playing starts with the first chunk.",
        figure=figure,
        data=pd.concat([timeline_data(row) for row in rows], ignore_index=True),
    )


def _latency(results: RealtimeResults, width_in: float) -> Iterator[Drawn]:
    rows = [row for row in results.rows if len(gaps_of(row))]
    if len(rows) > MOST_CURVES:
        ends = {s: [r.streams for r in rows if r.system == s] for s in results.systems}
        rows = [r for r in rows if r.streams in (min(ends[r.system]), max(ends[r.system]))]
    if rows:
        figure, ax = _one_axis(width_in, 2.7)
        plot_chunk_times(rows, ax=ax)
        yield Drawn(
            name="latency",
            title="Time between chunks",
            caption="Cumulative distribution over all streams and turns; circle, triangle and "
            f"diamond: 50th, 95th and 99th percentile. The tail is stretched. {_INVALID} A stream "
            "whose chunks take longer than they play falls behind.",
            figure=figure,
            data=chunk_times_data(rows),
        )


def _streams(results: RealtimeResults, width_in: float) -> Iterator[Drawn]:
    rows = [row for row in results.rows if row.chunk_p50_s]
    if len({row.streams for row in rows}) > 1:
        figure, ax = _one_axis(width_in / 2, 2.5)
        plot_streams(rows, ax=ax)
        yield Drawn(
            name="streams",
            title="Concurrent streams against time between chunks",
            caption="Line with markers: median; dashed: 99th percentile. Hollow: a stream "
            "stalled, or not a valid run.",
            figure=figure,
            data=realtime_data(rows, ("chunk_p50_s", "chunk_p99_s", "num_stalls")),
        )


def _size(results: RealtimeResults, width_in: float) -> Iterator[Drawn]:
    rows = [r for r in results.rows if r.num_parameters and r.rtf and r.streams == 1]
    if rows:
        figure, ax = _one_axis(width_in / 2, 2.5)
        plot_size(rows, ax=ax)
        reported = {
            "system": REPORTED_LABEL, "streams": 1, "num_parameters": REPORTED_PARAMETERS,
            "rtf": REPORTED_RTF,
        }  # fmt: skip
        measured = realtime_data(rows, ("num_parameters", "rtf")).to_dict("records")
        yield Drawn(
            name="size",
            title="Real-time factor against model size",
            caption="One stream each. The star is reported by arXiv 2605.25659 (1.34 s for a chunk "
            f"of 1.375 s), not measured here, and on other hardware. {_INVALID}",
            figure=figure,
            data=pd.DataFrame([*measured, reported]),
        )


def _share(results: RealtimeResults, width_in: float) -> Iterator[Drawn]:
    rows = [row for row in results.rows if row.flops_share or row.bytes_share]
    if rows:
        figure, ax = _one_axis(width_in, 0.75 + 0.34 * len(rows))
        plot_share(rows, ax=ax)
        yield Drawn(
            name="share",
            title="Share of the limit",
            caption="Counted work of all chunks over the time they took, as a share of the matrix "
            "and copy rates measured in the same run.",
            figure=figure,
            data=realtime_data(rows, ("flops_share", "bytes_share", "floor_s", "chunk_p50_s")),
        )


REALTIME_KINDS: dict[str, Callable[[RealtimeResults, float], Iterator[Drawn]]] = {
    "timeline": _timeline,
    "latency": _latency,
    "streams": _streams,
    "size": _size,
    "share": _share,
}


def _one_axis(width_in: float, height_in: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width_in, height_in))
    return figure, figure.subplots()
