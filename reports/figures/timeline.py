"""When chunks were made, when they arrived, and when they are played.

Shape letter: P playable chunks.
"""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes

from evals.bench.realtime.records import StreamRun
from evals.bench.realtime.row import Row
from reports.figures.style import BAD, COLOURS, GREY, drawn

SHOWN_CHUNKS = 8
"""Of each stream: more are too small to be told apart."""
SHOWN_STREAMS = 4
_PLAY = "#c9d3da"
_HEIGHT = 0.62


def plot_timeline(row: Row, *, colour: str = COLOURS[0], ax: Axes | None = None) -> Axes:
    """Draws the first chunks of the first turn: parts of the work, generation and playback.

    A chunk's bar ends when it arrived. It is played from its deadline on, which is red if the
    chunk came later: the viewer waits. Parts are lanes of their own, where the system tells them.

    Args:
        row: With arrivals.
        colour: Of the system.
        ax: Where to draw; a new figure by default.

    Returns:
        The axis.
    """
    ax = ax if ax is not None else plt.subplots()[1]
    runs = shown_runs(row)
    start_s = min(run.t_request_s for run in runs)
    made_s = max(run.t_request_s + float(_playing(run)[0][-1]) for run in runs)
    lanes: list[str] = []
    for part in dict.fromkeys(span.part for span in row.part_spans):
        spans = [s for s in row.part_spans if s.part == part and s.end_s <= made_s + 1e-6]
        for number, span in enumerate(spans):
            bar = (span.start_s - start_s, span.end_s - span.start_s)
            _bar(ax, bar, len(lanes), facecolor=colour, alpha=(0.75, 0.45)[number % 2])
        lanes.append(part)
    for run in runs:
        _draw_stream(ax, run, len(lanes), run.t_request_s - start_s, colour)
        name = f"stream {run.stream + 1}: " if len(runs) > 1 else ""
        lanes += [f"{name}generate", "play"]
    ax.set_yticks(range(len(lanes)), [drawn(lane) for lane in lanes])
    ax.set_ylim(len(lanes) - 0.4, -0.6)
    ax.set_xlim(0, shown_s(row))
    ax.grid(axis="y", visible=False)
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel("time since the request [s]")
    return ax


def shown_runs(row: Row) -> list[StreamRun]:
    """The streams of the first turn that are drawn."""
    first = [run for run in row.requests if run.turn == 0 and run.arrivals]
    return [run for run in first if len(run.trace.media_s)][:SHOWN_STREAMS]


def shown_s(row: Row) -> float:
    """Length of a panel: the work on the shown chunks is to fill a good part of it."""
    played = [_playing(run) for run in shown_runs(row)]
    made_s = max(float(arrival_s[-1]) for arrival_s, _, _ in played)
    second_s = max(float(end_s[:2][-1]) for _, _, end_s in played)
    return min(max(2.5 * made_s, second_s), max(float(end_s[-1]) for _, _, end_s in played))


def _playing(run: StreamRun) -> tuple[Float[np.ndarray, " P"], ...]:
    """Arrival, start and end of playing of each shown chunk, if playing starts with the first."""
    arrival_s = run.trace.t_playable_s[:SHOWN_CHUNKS]
    media_s = run.trace.media_s[:SHOWN_CHUNKS]
    starts, clock = [], 0.0
    for arrived, lasts in zip(arrival_s, media_s, strict=True):
        clock = max(clock, float(arrived))
        starts.append(clock)
        clock += float(lasts)
    return arrival_s, np.array(starts), np.array(starts) + media_s


def _draw_stream(ax: Axes, run: StreamRun, lane: int, shift_s: float, colour: str) -> None:
    arrival_s, start_s, end_s = _playing(run)
    made_from = np.concatenate([[0.0], arrival_s[:-1]])
    due_s = np.concatenate([start_s[:1], end_s[:-1]])
    for number, arrived in enumerate(arrival_s):
        made = (shift_s + made_from[number], arrived - made_from[number])
        played = (shift_s + start_s[number], end_s[number] - start_s[number])
        _bar(ax, made, lane, facecolor=colour, alpha=(0.95, 0.6)[number % 2])
        _bar(ax, played, lane + 1, facecolor=_PLAY, alpha=(1.0, 0.6)[number % 2])
        late = arrived > due_s[number] + 1e-9
        if late:
            _bar(
                ax, (shift_s + due_s[number], arrived - due_s[number]), lane + 1,
                facecolor=BAD, alpha=0.35,
            )  # fmt: skip
        ax.plot(
            [shift_s + arrived, shift_s + start_s[number]],
            [lane + _HEIGHT / 2, lane + 1 - _HEIGHT / 2],
            color=BAD if late else GREY, lw=0.6, zorder=1,
        )  # fmt: skip
        ax.vlines(
            shift_s + due_s[number], lane + 1 - _HEIGHT / 2, lane + 1 + _HEIGHT / 2,
            color=BAD if late else "#555555", lw=1.1,
        )  # fmt: skip
        _number(ax, played, lane + 1, number)


def _number(ax: Axes, span: tuple[float, float], lane: int, number: int) -> None:
    """Writes the number of a chunk into its bar."""
    ax.text(
        span[0] + span[1] / 2, lane, str(number + 1), ha="center", va="center", fontsize=6,
        color="#444444", clip_on=True,
    )  # fmt: skip


def _bar(ax: Axes, span: tuple[float, float], lane: int, **style: Any) -> None:
    ax.broken_barh([span], (lane - _HEIGHT / 2, _HEIGHT), lw=0, **style)


def timeline_data(row: Row) -> pd.DataFrame:
    """What `plot_timeline` draws: a line for each chunk and each part."""
    records: list[dict[str, Any]] = []
    runs = shown_runs(row)
    zero_s = min(run.t_request_s for run in runs)
    for span in row.part_spans:
        times = {"start_s": span.start_s - zero_s, "end_s": span.end_s - zero_s}
        records.append({"system": row.system, "lane": span.part, **times})
    for run in runs:
        for number, (arrived, start, end) in enumerate(zip(*_playing(run), strict=True)):
            shift_s = run.t_request_s - zero_s
            records.append(
                {
                    "system": row.system,
                    "lane": f"stream {run.stream + 1}",
                    "chunk": number,
                    "arrived_s": arrived + shift_s,
                    "start_s": start + shift_s,
                    "end_s": end + shift_s,
                }
            )
    return pd.DataFrame(records)
