"""What arrival times say of a stream: real-time factor, waits, deadlines and stalls.

The one definition of each number, for the metrics of recordings (`evals.metrics.speed`) and for
`evals.bench.realtime`. Chunks are those that let the stream play on; see `Trace.media_s`.

Shape letter: G gaps between playable chunks.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from evals.protocols.base import MetricWindow, Score, Unscored
from evals.recording.playback import lateness_s, playback, zero_stall_startup_s
from evals.recording.recording import Trace

Measure = Callable[[Trace], Score]
WINDOW_S = 30.0


def rtf(trace: Trace) -> Score:
    """Wall-clock seconds until the last playable chunk per second of media; below 1 keeps up."""
    media = trace.media_s
    t = np.concatenate([[0.0], trace.t_playable_s])
    ends = np.cumsum(media)
    windows = []
    for end in np.arange(WINDOW_S, ends[-1] + 1e-9, WINDOW_S / 2):
        low, high = np.searchsorted(ends, [end - WINDOW_S + 1e-9, end + 1e-9])
        if high > low:
            spent, played = t[high] - t[low], media[low:high].sum()
            windows.append(
                MetricWindow(t0_s=float(ends[high - 1] - played), t1_s=float(ends[high - 1]),
                       value=float(spent / played))
            )  # fmt: skip
    worst = max((window.value for window in windows), default=None)
    components = {"num_chunks": len(media), "media_s": float(ends[-1]), "worst_30_s": worst}
    return Score(value=float(t[-1] / ends[-1]), components=components, windows=tuple(windows))


def rtf_steady(trace: Trace) -> Score:
    """As rtf, after the first chunk: seconds between first and last arrival per second of media."""
    t_s = _several(trace)
    spent = t_s[-1] - t_s[0]
    return Score(value=float(spent / trace.media_s[1:].sum()))


def _several(trace: Trace) -> np.ndarray:
    """Arrivals of at least two playable chunks."""
    t_s = trace.t_playable_s
    if len(t_s) < 2:
        raise Unscored("only one chunk that could be played")
    return t_s


def first_chunk_s(trace: Trace) -> Score:
    """Seconds from the request to the first playable chunk."""
    frames = [arrival.t_s for arrival in trace.arrivals if arrival.num_frames]
    sound = [arrival.t_s for arrival in trace.arrivals if arrival.num_samples]
    return Score(
        value=float(trace.t_playable_s[0]),
        components={
            "first_frame_s": frames[0] if frames else None,
            "first_sound_s": sound[0] if sound else None,
        },
    )


def chunk_gaps_s(trace: Trace) -> Float[np.ndarray, " G"]:
    """Seconds between the arrivals of playable chunks; raises `Unscored` if there is only one."""
    return np.diff(_several(trace))


def gap_percentile(percent: int) -> Measure:
    """Returns the measure of a percentile of the time between arrivals of playable chunks."""

    def measure(trace: Trace) -> Score:
        gaps = chunk_gaps_s(trace)
        return Score(
            value=float(np.percentile(gaps, percent)),
            components={"num_gaps": len(gaps), "max_s": float(gaps.max())},
        )

    measure.__doc__ = f"{percent}th percentile of the time between arrivals of playable chunks."
    return measure


def deadline_miss_rate(trace: Trace) -> Score:
    """Share of chunks after the first that come late if playing starts with the first chunk."""
    t_s = _several(trace)
    late = lateness_s(t_s, trace.media_s, startup_s=float(t_s[0]))[1:]
    return Score(
        value=float((late > 0).mean()),
        weight=float(len(late)),
        components={"late_p99_s": float(np.percentile(np.maximum(late, 0), 99))},
    )


def stall_s(trace: Trace) -> Score:
    """Seconds a viewer sees a frozen picture if playing starts with the first chunk."""
    played = playback(trace.t_playable_s, trace.media_s)
    return Score(
        value=played.stall_s,
        components={
            "num_stalls": len(played.stalls_s),
            "longest_s": max(played.stalls_s, default=0.0),
            "rebuffer_ratio": played.rebuffer_ratio,
        },
    )


def zero_stall_startup(trace: Trace) -> Score:
    """Smallest wait after the request with which nothing stalls: max(arrival - media start)."""
    return Score(value=zero_stall_startup_s(trace.t_playable_s, trace.media_s))
