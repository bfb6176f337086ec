"""Fit and offset of mouth and sound, by what the sound is: phonemes, or loudness; see `sync`."""

from evals.metrics.sync import (
    AGAINST_PHONEMES,
    FRAME_MS,
    LEAD_SPREAD_MS,
    LOUDNESS_BAND_HZ,
    LOUDNESS_LEAD_MS,
    MAX_CLOSURE_DISTANCE_MS,
    SyncMetric,
    SyncParams,
)
from evals.metrics.sync_curve import MAX_SHIFT, SyncCurve
from evals.protocols.base import Features, Metric, MetricContext, Score, Unscored
from evals.protocols.info import Level
from evals.recording.recording import Recording


class MeshSync(SyncMetric):
    """Correlation of mouth and heard phonemes at the best shift, minus the median over shifts."""

    name = "mesh_sync"
    level = Level.HEADLINE
    unit = "1"
    higher_is_better = True
    source = "phonemes_hama"

    def value(self, curve: SyncCurve) -> float:
        """Returns peak minus median."""
        return curve.score


class MeshSyncAtZero(SyncMetric):
    """Correlation of mouth and heard phonemes as a viewer gets them, minus the median."""

    name = "mesh_sync_at_zero"
    unit = "1"
    higher_is_better = True
    source = "phonemes_hama"

    def value(self, curve: SyncCurve) -> float:
        """Returns the middle of the curve minus its median."""
        return curve.score_at_zero


class MeshOffset(SyncMetric):
    """Time by which the audio is early; negative when it is late."""

    name = "mesh_offset_ms"
    label = "mesh offset"
    level = Level.HEADLINE
    unit = "ms"
    higher_is_better = None
    zero_is_best = True
    source = "phonemes_hama"

    def value(self, curve: SyncCurve) -> float:
        """Returns the place of the peak.

        Not measured if the peak is at the edge of the range, or unrelated mouths reach it too.
        """
        if curve.is_edge:
            raise Unscored(f"the best shift is at the edge of +-{MAX_SHIFT * FRAME_MS:.0f} ms")
        if curve.p_value > self.settings.max_p_value:
            raise Unscored(f"no clear peak: p = {curve.p_value:.2f}")
        return curve.offset_frames * FRAME_MS

    def measure(self, recording: Recording, features: Features, context: MetricContext) -> Score:
        """Measures one recording; not where its lip closures say quite another offset."""
        score = super().measure(recording, features, context)
        closure_ms = score.components["closure_offset_ms"]
        if closure_ms is not None and abs(closure_ms - score.value) > MAX_CLOSURE_DISTANCE_MS:
            raise Unscored(
                f"no absolute offset: the peak says {score.value:.0f} ms "
                f"and the lip closures {closure_ms:.0f} ms"
            )
        return score


class EnvelopeSync(SyncMetric):
    """Correlation of mouth opening and loudness at the best shift, minus the median."""

    name = "envelope_sync"
    unit = "1"
    higher_is_better = True
    source = "audio_envelope"

    def value(self, curve: SyncCurve) -> float:
        """Returns peak minus median."""
        return curve.score


_AGAINST_LOUDNESS = SyncParams(
    band_hz=LOUDNESS_BAND_HZ,
    lead_ms=LOUDNESS_LEAD_MS,
    lead_spread_ms=LEAD_SPREAD_MS,
    width_weight=0.0,
)
SYNC: tuple[Metric, ...] = (
    MeshSync(params=AGAINST_PHONEMES, protocol="mesh_sync/facemesh-hama@2"),
    MeshSyncAtZero(params=AGAINST_PHONEMES, protocol="mesh_sync_at_zero/facemesh-hama@2"),
    MeshOffset(params=AGAINST_PHONEMES, protocol="mesh_offset_ms/facemesh-hama@2"),
    EnvelopeSync(params=_AGAINST_LOUDNESS, protocol="envelope_sync/facemesh-500-2500hz@2"),
)
