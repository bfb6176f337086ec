"""Does the stream keep up with its own playback? Computed from arrival times alone.

Chunks are those that let the stream play on; see `Trace.media_s`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from evals.protocols.base import Features, Metric, MetricContext, MetricWindow, Score, Unscored
from evals.protocols.info import NON_NEGATIVE, Axis, Level
from evals.recording.playback import lateness_s, playback, zero_stall_startup_s
from evals.recording.recording import Recording, Trace

Measure = Callable[[Trace], Score]
WINDOW_S = 30.0


class SpeedMetric(Metric):
    """A number of the arrival trace.

    Args:
        name: Of the metric.
        unit: Of its value.
        measure: From a warm trace with at least one chunk to a score.
        settings: What the protocol fixes beside the definition; nothing by default.
        label: Name in tables.
        level: Where it is shown.
        is_percent: Whether its values are printed in per cent.
    """

    axis = Axis.SPEED
    higher_is_better = False
    bounds = NON_NEGATIVE

    def __init__(
        self,
        name: str,
        unit: str,
        measure: Measure,
        settings: Mapping[str, Any] | None = None,
        *,
        label: str = "",
        level: Level = Level.DETAIL,
        is_percent: bool = False,
    ) -> None:
        self.name = name
        self.label, self.level, self.is_percent = label, level, is_percent
        self.unit = unit
        self.protocol = f"{name}/arrivals@2"
        self.params = {"definition": (measure.__doc__ or "").split("\n")[0], **(settings or {})}
        self._measure = measure

    def measure(self, recording: Recording, features: Features, context: MetricContext) -> Score:
        """Returns the number; cold runs and recordings without a trace have none."""
        if recording.trace is None:
            reason = recording.trace_error or "the file was not recorded by the harness"
            raise Unscored(f"no arrival times: {reason}", recording.trace_status)
        if not recording.trace.is_warm:
            raise Unscored("cold run: no warm-up request went before it")
        if not recording.trace.arrivals or recording.trace.media_s.sum() == 0:
            raise Unscored("nothing arrived that could be played", "generation_failure")
        return self._measure(recording.trace)


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


def _gap_percentile(percent: int) -> Measure:
    def measure(trace: Trace) -> Score:
        gaps = np.diff(_several(trace))
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


_HEADLINE = Level.HEADLINE
SPEED_METRICS: tuple[Metric, ...] = (
    SpeedMetric("rtf", "s/s", rtf, {"window_s": WINDOW_S}, label="RTF", level=_HEADLINE),
    SpeedMetric("rtf_steady", "s/s", rtf_steady, label="RTF, steady"),
    SpeedMetric("first_chunk_s", "s", first_chunk_s, label="first chunk", level=_HEADLINE),
    SpeedMetric("chunk_p50_s", "s", _gap_percentile(50), label="chunk p50"),
    SpeedMetric("chunk_p95_s", "s", _gap_percentile(95), label="chunk p95"),
    SpeedMetric("chunk_p99_s", "s", _gap_percentile(99), label="chunk p99"),
    SpeedMetric(
        "deadline_miss_rate",
        "1",
        deadline_miss_rate,
        label="deadlines missed",
        level=_HEADLINE,
        is_percent=True,
    ),
    SpeedMetric("stall_s", "s", stall_s, {"prebuffer_s": 0.0}, label="stall"),
    SpeedMetric("zero_stall_startup_s", "s", zero_stall_startup, label="zero-stall start-up"),
)
