"""Does the stream keep up with its own playback? Computed from arrival times alone.

Chunks are those that let the stream play on; see `Trace.media_s`.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from evals.numerics.arrivals import (
    WINDOW_S,
    Measure,
    deadline_miss_rate,
    first_chunk_s,
    gap_percentile,
    rtf,
    rtf_steady,
    stall_s,
    zero_stall_startup,
)  # fmt: skip
from evals.protocols.base import Features, Metric, MetricContext, Score, Unscored
from evals.protocols.info import NON_NEGATIVE, Axis, Level
from evals.recording.recording import Recording


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
    is_of_arrivals = True

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
        score = self._measure(recording.trace)
        note = recording.trace.timing_note
        return replace(score, components={**score.components, "note": note}) if note else score


_HEADLINE = Level.HEADLINE
SPEED_METRICS: tuple[Metric, ...] = (
    SpeedMetric("rtf", "s/s", rtf, {"window_s": WINDOW_S}, label="RTF", level=_HEADLINE),
    SpeedMetric("rtf_steady", "s/s", rtf_steady, label="RTF, steady"),
    SpeedMetric("first_chunk_s", "s", first_chunk_s, label="first chunk", level=_HEADLINE),
    SpeedMetric("chunk_p50_s", "s", gap_percentile(50), label="chunk p50"),
    SpeedMetric("chunk_p95_s", "s", gap_percentile(95), label="chunk p95"),
    SpeedMetric("chunk_p99_s", "s", gap_percentile(99), label="chunk p99"),
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
