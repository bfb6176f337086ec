"""Lip-sync without a trained judge: does the mouth open when the sound says so?

The mesh's mouth opening is correlated with how open the mouth should be, at shifts of up to
600 ms either way. Should-be comes from the phonemes heard in the sound (`mesh_*`), or, without a
phoneme recogniser, from loudness (`envelope_*`). The names differ from those of SyncNet's scores,
which these are not.

Sign: positive offsets mean that the audio is early, as in SyncNet's AV offset.

Shape letters: T frames at 25 fps.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Bool, Float

from evals.metrics.base import Context, Features, Metric, NotMeasured, Score, Window
from evals.metrics.followed import FOLLOW_NEEDS, FOLLOW_PARAMS, follow
from evals.metrics.sync_curve import MAX_SHIFT, SyncCurve, SyncSignals, offset_in_words
from evals.metrics.sync_signals import (
    PAUSE_S,
    SIGNAL_PARAMS,
    bandpass,
    loudness_track,
    openness_track,
    speech_frames,
)
from evals.metrics.windows import FPS, fill_short_gaps, windows_of
from evals.recording import Recording

PHONEME_BAND_HZ = (1.5, 8.0)
LOUDNESS_BAND_HZ = (1.0, 6.0)
PHONEME_LEAD_MS = {"real": 110.0, "world": 0.0}
"""By how much the mouth is ahead of the phonemes when picture and sound match, by domain.

World: a drawn mouth is at its target in the middle of its phoneme. Measured through the whole
chain, sound to recogniser and picture to mesh, on six drawn characters: -4 ms, deviation 7 ms.

Real: a mouth takes its shape before the sound comes. Measured on the two development clips: 138
and 85 ms. It is no fault of the chain, which the world shows to be right; whether the clips
themselves are off by a frame is not known. Leads of this size are what Chandrasekaran et al.
found ("The natural statistics of audiovisual speech", 2009: 100 to 300 ms at onsets); Schwartz
and Savariaux ("No, there is no 150 ms lead of visual speech on auditory speech", 2014) show that
it varies with the sounds. So an absolute offset of real video is known to about +-40 ms;
differences between offsets do not rest on this number.
"""
LOUDNESS_LEAD_MS = {"real": 90.0, "world": -25.0}
"""The same against loudness, from the same clips: 104 and 72 ms; in the world -27 ms, deviation
12 ms, for a vowel is loudest before its middle."""

MIN_FACE_PX = {"real": 32.0, "world": 16.0}
"""Smallest face whose mouth is read, by domain: short side of the mesh in pixels of the file.

Real: three clips made smaller, mouth opening band-limited to that of speech, correlation with
that of the clip at full size: 0.93 to 0.97 at 32 px, 0.80 to 0.96 at 28 px, 0.64 to 0.88 at 16 px.
World: drawn lips are plainer; at 64 px a picture, where faces have 20 to 28 px, the mesh still
follows their gap (`evals.bench_world.bench_lips`).
"""


@dataclass(frozen=True, kw_only=True)
class SyncParams:
    """What decides a lip-sync number.

    Attributes:
        band_hz: Rates at which mouth and sound are compared.
        lead_ms: By how much a mouth is ahead of the sound when picture and sound match, for each
            domain; taken from the offset. See `PHONEME_LEAD_MS`.
        min_motion: Standard deviation of the mouth's opening, as share of the face's height,
            below which the mouth stands still. Mesh jitter on a re-encoded still is below 0.002,
            speech above 0.02.
        max_gap: Frames without a mesh that are bridged.
        min_frames: Frames with face and speech that a correlation needs.
        min_peak_deviations: A peak must be this many standard deviations of chance correlations
            high to have a place.
        window_s: Length of a window.
        hop_s: From one window to the next.
    """

    band_hz: tuple[float, float]
    lead_ms: Mapping[str, float]
    min_motion: float = 0.004
    max_gap: int = 5
    min_frames: int = 25
    min_peak_deviations: float = 3.0
    window_s: float = 4.0
    hop_s: float = 2.0


def mouth_signal(
    face: Mapping[str, np.ndarray], params: SyncParams
) -> tuple[Float[np.ndarray, " T"], Bool[np.ndarray, " T"]]:
    """Takes the movement of the mouth from the mesh.

    Args:
        face: Features of the extractor ``face``.
        params: Says how long gaps may be and what counts as motion.

    Returns:
        The mouth's opening, band-limited, and the frames where it is known.

    Raises:
        NotMeasured: If there is no face, or the mouth stands still.
    """
    aperture = face["lip_aperture"].astype(float)
    if not np.isfinite(aperture).any():
        raise NotMeasured("no face in any frame")
    if float(np.nanstd(aperture)) < params.min_motion:
        raise NotMeasured("no mouth motion")
    filled, known = fill_short_gaps(aperture, max_gap=params.max_gap)
    return bandpass(filled, params.band_hz), known


def require_face_size(face: Mapping[str, np.ndarray], domain: str) -> None:
    """Refuses a face so small that its mouth opens by less than the mesh can see.

    Args:
        face: Features of the extractor ``face``; only frames with a mesh count.
        domain: Of the recording, decides the limit in `MIN_FACE_PX`.

    Raises:
        NotMeasured: If the median size is below the limit.
    """
    sizes = face["face_px"][np.isfinite(face["face_px"])]
    if len(sizes) and float(np.median(sizes)) < MIN_FACE_PX[domain]:
        raise NotMeasured(
            f"the face is small, {np.median(sizes):.0f} px; "
            f"lip-sync needs {MIN_FACE_PX[domain]:.0f} px"
        )


class _Sync(Metric):
    """What the lip-sync metrics share: signals, curve, windows."""

    source: ClassVar[str]
    is_of_speech = True

    def __init__(self, *, params: SyncParams, protocol: str) -> None:
        self.settings = params
        self.protocol = protocol
        self.params = {
            **asdict(params),
            **SIGNAL_PARAMS,
            "max_shift": MAX_SHIFT,
            "min_face_px": MIN_FACE_PX,
            "follow": FOLLOW_PARAMS,
        }
        self.needs = tuple(dict.fromkeys((*FOLLOW_NEEDS, self.source)))

    def signals(self, features: Features, lead_ms: float) -> SyncSignals:
        """Returns mouth and sound of one recording."""
        mouth, has_mouth = mouth_signal(features["face"], self.settings)
        lead_s = lead_ms / 1000
        heard = features[self.source]
        if self.source == "audio_envelope":
            track, has_sound = loudness_track(heard, num_frames=len(mouth), lead_s=lead_s)
        else:
            track, has_sound = _phoneme_track(heard, num_frames=len(mouth), lead_s=lead_s)
        return SyncSignals(
            mouth=mouth,
            has_mouth=has_mouth,
            sound=bandpass(track, self.settings.band_hz),
            has_sound=has_sound,
        )

    def measure(self, recording: Recording, features: Features, context: Context) -> Score:
        """Returns the value of the whole video, and of each window."""
        followed = follow(recording, features)
        features = followed.view(features)
        require_face_size(features["face"], recording.domain)
        lead_ms = self.settings.lead_ms[recording.domain]
        signals = self.signals(features, lead_ms)
        num_frames = len(signals.mouth)
        curve = signals.curve(0, num_frames, min_frames=self.settings.min_frames)
        value = self.value(curve)
        return Score(
            value=value,
            components={
                **_components(curve, lead_ms),
                "most_faces": int(features["face"]["num_faces"].max(initial=0)),
                **followed.components,
            },
            windows=self._windows(signals),
        )

    def value(self, curve: SyncCurve) -> float:
        """Returns the metric's number of one curve."""
        raise NotImplementedError

    def _windows(self, signals: SyncSignals) -> tuple[Window, ...]:
        def value(start: int, stop: int) -> float:
            try:
                return self.value(signals.curve(start, stop, min_frames=self.settings.min_frames))
            except NotMeasured:
                return math.nan

        length_s, hop_s = self.settings.window_s, self.settings.hop_s
        return windows_of(len(signals.mouth), value, length_s=length_s, hop_s=hop_s)


def _phoneme_track(
    heard: Mapping[str, np.ndarray], *, num_frames: int, lead_s: float
) -> tuple[np.ndarray, np.ndarray]:
    """Returns openness and speech frames; the start of a recogniser's span is a phone's centre."""
    starts, ends = heard["start_s"].astype(float), heard["end_s"].astype(float)
    if not len(starts):
        raise NotMeasured("no phonemes in the sound")
    ends = np.minimum(ends, starts + PAUSE_S)  # the last sound before a pause is not the pause
    phonemes = [str(phoneme) for phoneme in heard["phonemes"]]
    track = openness_track(phonemes, starts, num_frames=num_frames, lead_s=lead_s)
    return track, speech_frames(starts, ends, num_frames=num_frames, lead_s=lead_s)


def _components(curve: SyncCurve, lead_ms: float) -> dict[str, Any]:
    offset_ms = curve.offset_frames * 1000 / FPS
    peak = None if curve.peak is None else float(curve.correlations[curve.peak])
    return {
        "peak_correlation": peak,
        "median_correlation": float(np.median(curve.correlations)),
        "correlation_at_zero": float(curve.correlations[MAX_SHIFT]),
        "offset_ms": None if peak is None else offset_ms,
        "offset_in_words": offset_in_words(offset_ms),
        "uncorrected_offset_ms": None if peak is None else offset_ms - lead_ms,
        "mouth_lead_ms": lead_ms,
        "is_edge": curve.is_edge,
        "peak_deviations": curve.deviations,
        "num_frames": curve.num_frames,
        "curve": [round(float(r), 4) for r in curve.correlations],
    }


class MeshSync(_Sync):
    """Highest correlation of mouth opening and heard phonemes at any shift, minus the median."""

    name = "mesh_sync"
    unit = "1"
    higher_is_better = True
    source = "phonemes_hama"

    def value(self, curve: SyncCurve) -> float:
        """Returns peak minus median."""
        return curve.score


class MeshSyncAtZero(_Sync):
    """Correlation of mouth opening and heard phonemes as a viewer gets them, minus the median."""

    name = "mesh_sync_at_zero"
    unit = "1"
    higher_is_better = True
    source = "phonemes_hama"

    def value(self, curve: SyncCurve) -> float:
        """Returns the middle of the curve minus its median."""
        return curve.score_at_zero


class MeshOffset(_Sync):
    """Time by which the audio is early; negative when it is late."""

    name = "mesh_offset_ms"
    unit = "ms"
    higher_is_better = None
    zero_is_best = True
    source = "phonemes_hama"

    def value(self, curve: SyncCurve) -> float:
        """Returns the place of the peak.

        Not measured if the peak is at the edge of the range, or no higher than chance.
        """
        if curve.is_edge:
            raise NotMeasured(f"the best shift is at the edge of +-{MAX_SHIFT * 1000 // FPS} ms")
        if curve.deviations < self.settings.min_peak_deviations:
            raise NotMeasured(f"no clear peak: {curve.deviations:.1f} deviations of chance")
        return curve.offset_frames * 1000 / FPS


class EnvelopeSync(_Sync):
    """Highest correlation of mouth opening and loudness at any shift, minus the median."""

    name = "envelope_sync"
    unit = "1"
    higher_is_better = True
    source = "audio_envelope"

    def value(self, curve: SyncCurve) -> float:
        """Returns peak minus median."""
        return curve.score


_AGAINST_PHONEMES = SyncParams(band_hz=PHONEME_BAND_HZ, lead_ms=PHONEME_LEAD_MS)
_AGAINST_LOUDNESS = SyncParams(band_hz=LOUDNESS_BAND_HZ, lead_ms=LOUDNESS_LEAD_MS)
SYNC: tuple[Metric, ...] = (
    MeshSync(params=_AGAINST_PHONEMES, protocol="mesh_sync/facemesh-hama@1"),
    MeshSyncAtZero(params=_AGAINST_PHONEMES, protocol="mesh_sync_at_zero/facemesh-hama@1"),
    MeshOffset(params=_AGAINST_PHONEMES, protocol="mesh_offset_ms/facemesh-hama@1"),
    EnvelopeSync(params=_AGAINST_LOUDNESS, protocol="envelope_sync/facemesh-500-2500hz@1"),
)
