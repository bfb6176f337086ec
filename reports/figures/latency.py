"""Whether chunks came in time.

Shape letters: K playable chunks.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.ticker import ScalarFormatter

from evals.recording.playback import lateness_s, zero_stall_startup_s
from evals.recording.recording import Trace
from reports.figures.style import ABOVE, BAD, colours_of, drawn, in_look_order, markers_of


@dataclass(frozen=True, kw_only=True)
class LabelledTrace:
    """The arrivals of one stream.

    Attributes:
        system: Decides on the colour.
        label: For the legend.
        trace: With at least one playable chunk.
    """

    system: str
    label: str
    trace: Trace

    @property
    def media_start_s(self) -> Float[np.ndarray, " K"]:
        """Where in the stream each chunk begins."""
        media_s = self.trace.media_s
        return np.cumsum(media_s) - media_s

    @property
    def ahead_s(self) -> Float[np.ndarray, " K"]:
        """How long before its deadline each chunk came, if playing starts with the first one."""
        arrival_s = self.trace.t_playable_s
        startup_s = float(arrival_s[0])
        return -lateness_s(arrival_s, self.trace.media_s, startup_s=startup_s)

    @property
    def zero_stall_s(self) -> float:
        """Smallest wait with which no chunk comes late."""
        return zero_stall_startup_s(self.trace.t_playable_s, self.trace.media_s)


def plot_latency(traces: Sequence[LabelledTrace], *, ax: Axes | None = None) -> Axes:
    """Draws how far ahead of its playing deadline each chunk came; below zero the viewer waits.

    Args:
        traces: One line each; playing starts when the first chunk is there.
        ax: Where to draw; a new figure by default.

    Returns:
        The axis.
    """
    ax = ax if ax is not None else plt.subplots()[1]
    systems = in_look_order(trace.system for trace in traces)
    colours, markers = colours_of(systems), markers_of(systems)
    for one in sorted(traces, key=lambda trace: systems.index(trace.system)):
        name = f"{drawn(one.label)}: zero-stall start-up {one.zero_stall_s:.2f} s"
        ax.plot(
            one.media_start_s,
            one.ahead_s,
            color=colours[one.system],
            drawstyle="steps-post",
            marker=markers[one.system],
            markersize=3.2,
            markevery=max(1, len(one.ahead_s) // 12),
            lw=1.2,
            label=name,
        )
    # Near the deadline every tenth of a second counts, a minute ahead of it none does.
    ax.set_yscale("symlog", linthresh=1.0)
    ax.yaxis.set_major_formatter(ScalarFormatter())
    low = min((float(one.ahead_s.min()) for one in traces), default=0.0)
    if low < 0:
        ax.set_ylim(bottom=1.5 * low)
        ax.axhspan(1.5 * low, 0, color=BAD, alpha=0.08, lw=0)
    ax.axhline(0, color=BAD, lw=0.8)
    ax.annotate(
        "deadline",
        (1, 0),
        xycoords=("axes fraction", "data"),
        xytext=(3, 0),
        textcoords="offset points",
        color=BAD,
        fontsize=7,
        va="center",
    )
    ax.set(xlabel="playing time at which the chunk is due [s]", ylabel="chunk arrives ahead by [s]")
    if traces:
        ax.legend(ncols=2, **ABOVE)
    return ax


def latency_data(traces: Sequence[LabelledTrace]) -> pd.DataFrame:
    """What `plot_latency` draws, a row for each chunk."""
    frames = [
        pd.DataFrame(
            {
                "system": one.system,
                "recording": one.label,
                "chunk": np.arange(len(one.trace.media_s)),
                "media_start_s": one.media_start_s,
                "t_arrival_s": one.trace.t_playable_s,
                "ahead_s": one.ahead_s,
            }
        )
        for one in traces
    ]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
