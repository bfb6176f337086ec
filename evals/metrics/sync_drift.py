"""Does lip-sync hold? Scores at zero shift, and by how much the offset drifts each minute.

Offsets of consecutive windows, each the best shift there, are laid through a straight line. Sound
and picture on two clocks, or a generator whose sound runs ahead of its picture, show as a slope;
one constant offset does not. What each window says is the curve of the metric. A drift by the mesh
and one by a judge of the drawn world have names of their own, for a published one is by SyncNet.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from evals.metrics.published import FRAME_MS, SyncNetMetric
from evals.metrics.sync import AGAINST_PHONEMES, SyncMetric
from evals.metrics.sync_curve import SyncCurve
from evals.metrics.sync_world import MIN_CONFIDENCE, InWorld
from evals.numerics.line import least_squares_slope
from evals.numerics.syncnet import MARGIN, SyncScore, windowed_scores
from evals.numerics.windows import FPS, spans, theil_sen
from evals.protocols.base import (
    Curve,
    Features,
    Metric,
    MetricContext,
    MetricWindow,
    Score,
    Unscored,
)
from evals.recording.recording import Recording

MIN_WINDOWS = 5
"""With an offset, that a drift needs; with fewer the interval is wider than any drift seen."""
MIN_PEAK = 3.0
"""Height of a window's peak by the mesh, in standard deviations of what unrelated mouths reach."""
LINE_PARAMS: dict[str, Any] = {"line": "least squares", "min_windows": MIN_WINDOWS}


class SyncConfidenceAtZero(SyncNetMetric):
    """How much better the sound as it is played fits than the median shift; no search."""

    name = "sync_c0"
    label = "Sync-C0"
    unit = "1"
    higher_is_better = True
    is_default = False

    def read(self, score: SyncScore) -> float:
        """Returns the confidence at zero shift."""
        return score.sync_c0


class SyncDistanceAtZero(SyncNetMetric):
    """Distance between mouth and sound as they are played; no search."""

    name = "sync_d0"
    label = "Sync-D0"
    unit = "1"
    higher_is_better = False
    is_default = False

    def read(self, score: SyncScore) -> float:
        """Returns the distance at zero shift."""
        return score.sync_d0


class Drift:
    """What all drifts have in common, before the metric in a list of bases."""

    unit = "ms/min"
    higher_is_better: bool | None = None
    zero_is_best = True
    is_default = False


class SyncDrift(Drift, SyncNetMetric):
    """Slope of SyncNet's offset over playing time; positive: the sound gets earlier.

    The longest track of the person is read, in windows that borrow real sound beyond their edges.
    Windows whose offset lies at the edge of the search have none.
    """

    name = "sync_drift_ms_per_min"
    label = "AV clock drift"
    curve = Curve(quantity="AV offset", unit="ms")

    def __init__(self, *, crop: str = "mesh-crop", window_s: float = 2.0) -> None:
        super().__init__(crop=crop, window_s=window_s)
        self.params = {**self.params, **LINE_PARAMS, "censored_at_frames": MARGIN}

    def read(self, score: SyncScore) -> float:
        """Returns the offset of a window in ms; NaN at the edge of the search."""
        return math.nan if score.is_censored else score.offset_frames * FRAME_MS

    def measure(self, recording: Recording, features: Features, context: MetricContext) -> Score:
        """Lays a line through the offsets of the longest track's windows."""
        tracks, followed = self.tracks(recording, features)
        start, distance = max(tracks, key=lambda track: len(track[1]))
        windows = [
            MetricWindow(
                t0_s=(start + first) / FPS, t1_s=(start + last) / FPS, value=self.read(score)
            )
            for first, last, score in windowed_scores(distance, window_frames=self.window_frames)
        ]
        return _drift(windows, step_ms=FRAME_MS, components=dict(followed.components))


class MeshDrift(Drift, SyncMetric):
    """Slope of the mesh's offset over playing time; positive: the sound gets earlier.

    Windows do not overlap, so that they err apart. One without a clear peak has no offset.
    """

    name = "mesh_drift_ms_per_min"
    label = "mesh clock drift"
    source = "phonemes_hama"
    curve = Curve(quantity="mesh offset", unit="ms")

    def __init__(self) -> None:
        super().__init__(params=AGAINST_PHONEMES, protocol=f"{self.name}/facemesh-hama@1")
        self.params = {
            **self.params,
            **LINE_PARAMS,
            "hop_s": self.settings.window_s,
            "min_peak": MIN_PEAK,
        }

    def measure(self, recording: Recording, features: Features, context: MetricContext) -> Score:
        """Lays a line through the offsets of the windows with a clear peak."""
        followed, _, signals = self.followed_signals(recording, features)
        min_frames = self.settings.min_frames
        whole = signals.curve(min_frames=min_frames)
        windows = []
        length_s = self.settings.window_s
        for first, last in spans(signals.mouth.shape[1], length_s=length_s, hop_s=length_s):
            try:
                value = self.value(signals.window(first, last, whole=whole, min_frames=min_frames))
            except Unscored:
                value = math.nan
            windows.append(MetricWindow(t0_s=first / FPS, t1_s=last / FPS, value=value))
        return _drift(windows, step_ms=0.0, components=dict(followed.components))

    def value(self, curve: SyncCurve) -> float:
        """Returns the place of a window's peak in ms.

        Not measured at the edge of the range, or where the peak is not clear.
        """
        if curve.is_edge or curve.peak is None:
            raise Unscored("the best shift is at the edge of the range")
        if curve.correlations[curve.peak] < MIN_PEAK * curve.chance:
            raise Unscored("no clear peak")
        return curve.offset_frames * FRAME_MS


def _drift(windows: Sequence[MetricWindow], *, step_ms: float, components: dict[str, Any]) -> Score:
    """Returns the slope through windows of offsets in ms, as milliseconds a minute."""
    known = [window for window in windows if not math.isnan(window.value)]
    if len(known) < MIN_WINDOWS:
        raise Unscored(
            f"{len(known)} of {len(windows)} windows with an offset, {MIN_WINDOWS} needed"
        )
    minutes = np.array([(window.t0_s + window.t1_s) / 120 for window in known])
    offsets = np.array([window.value for window in known])
    slope = least_squares_slope(minutes, offsets, step=step_ms)
    return Score(
        value=slope.value,
        components={
            **components,
            "ci95": [slope.low, slope.high],
            "theil_sen": theil_sen(minutes, offsets),
            "offset_at_start_ms": float(offsets.mean() - slope.value * minutes.mean()),
            "num_windows": len(known),
            "num_without_offset": len(windows) - len(known),
        },
        windows=tuple(windows),
    )


class SyncConfidenceAtZeroInWorld(InWorld, SyncConfidenceAtZero):
    """How much better drawn sound as it is played fits than the median shift, in nats."""

    name = "sync_c0_world"
    label = "Sync-C0-world"
    is_project_specific = True
    unit = "nat"


class SyncDistanceAtZeroInWorld(InWorld, SyncDistanceAtZero):
    """Distance between mouth and sound of the drawn world as they are played."""

    name = "sync_d0_world"
    label = "Sync-D0-world"
    is_project_specific = True


class SyncDriftInWorld(InWorld, SyncDrift):
    """Slope of the offset over playing time by the judge of the drawn world."""

    name = "sync_drift_world_ms_per_min"
    label = "AV clock drift-world"

    def __init__(self) -> None:
        super().__init__()
        self.params = {**self.params, "min_sync_c": MIN_CONFIDENCE}

    def read(self, score: SyncScore) -> float:
        """Returns the offset of a window in ms; NaN where no shift fits clearly better."""
        return math.nan if score.sync_c < MIN_CONFIDENCE else super().read(score)


SYNC_DETAIL: tuple[Metric, ...] = (
    *(
        metric(crop=crop)
        for crop in ("mesh-crop", "wav2lip-no-crop")
        for metric in (SyncConfidenceAtZero, SyncDistanceAtZero, SyncDrift)
    ),
    SyncConfidenceAtZeroInWorld(),
    SyncDistanceAtZeroInWorld(),
    SyncDriftInWorld(),
    MeshDrift(),
)
