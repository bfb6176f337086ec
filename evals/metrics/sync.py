"""Lip-sync without a trained judge: does the mouth open when the sound says so?

The mesh's mouth is correlated with what the sound asks of it, at shifts of up to 600 ms either
way. What it asks for comes from the phonemes that may have been heard (`mesh_*`: the opening of
the lips, and with half the weight the width of the mouth), or, without a phoneme recogniser, from
loudness (`envelope_*`: the opening alone). The names differ from those of SyncNet's scores, which
these are not.

A peak counts if mouths of random phase, which move alike at other times, seldom fit the sound as
well (`SyncCurve.p_value`). Its place is known to what its bend allows, and as an absolute offset
only to what is known of how far mouths are ahead of sounds (`LEAD_SPREAD_MS`); both together are
the component ``offset_uncertainty_ms``, half the width of a 95 % interval.

Sign: positive offsets mean that the audio is early, as in SyncNet's AV offset.

Shape letters: T frames at 25 fps, C channels of the mouth.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Bool, Float

from evals.features.view import made_once
from evals.metrics.absence import missing_lips, require_face
from evals.metrics.followed import FOLLOW_CHOICE, FOLLOW_NEEDS, FOLLOW_PARAMS, Followed, follow
from evals.metrics.lip_closures import (
    CLOSURE_LEAD_MS,
    CLOSURE_PARAMS,
    closure_offset_s,
    closure_times,
)
from evals.metrics.sync_curve import (
    CURVE_PARAMS,
    MAX_SHIFT,
    SyncCurve,
    SyncSignals,
    offset_in_words,
)
from evals.metrics.sync_signals import (
    PAUSE_S,
    SIGNAL_PARAMS,
    bandpass,
    loudness_track,
    shape_tracks,
    speech_frames,
)
from evals.numerics.windows import FPS, fill_short_gaps, windows_of
from evals.protocols.base import Features, Metric, MetricContext, MetricWindow, Score, Unscored
from evals.protocols.info import Axis
from evals.recording.recording import Recording

FRAME_MS = 1000 / FPS
PHONEME_BAND_HZ = (0.8, 8.0)
LOUDNESS_BAND_HZ = (1.0, 6.0)
PHONEME_LEAD_MS = {"real": 15.0, "world": 0.0}
"""By how much the mouth is ahead of the phonemes when picture and sound match, by domain.

World: a drawn mouth is at its target in the middle of its phoneme. Measured through the whole
chain, sound to recogniser and picture to mesh, on 25 drawn characters of both styles: 0 ms,
deviation 12 ms from one to the next. So the chain itself has no delay.

Real: a mouth takes its shape a little before the sound comes. Measured on the eleven samples of
the GRID corpus that come with the reference code of LipNet, recorded in a studio and so in sync:
median 10 ms, mean 12 ms, deviation 17 ms; with any one of them left out, mean 10 to 16 ms. The
delay of their MP2 sound, 481 samples or 11 ms, which such files do not declare, may be part of
it. Lip closures, an estimate apart, are ahead by 9 ms more on real faces than on drawn ones.
Leads of this size are what Schwartz and Savariaux found ("No, there is no 150 ms lead of visual
speech on auditory speech", 2014), who also show that it varies with the sounds.
"""
LOUDNESS_LEAD_MS = {"real": -10.0, "world": -25.0}
"""The same against loudness: on the GRID samples -10 ms, deviation 20 ms; in the world -27 ms,
deviation 20 ms, for a vowel is loudest before its middle."""
LEAD_SPREAD_MS = {"real": 25.0, "world": 12.0}
"""Standard deviation of the lead from one video to the next. Real: 17 ms on the GRID samples, and
16 ms of closures against correlations; taken wider, for other people, cameras and codecs."""

MAX_CLOSURE_DISTANCE_MS = 100.0
"""Lip closures further from the peak than this contradict it: five times their deviation."""
MIN_FACE_PX = {"real": 32.0, "world": 16.0}
"""Smallest face whose mouth is read, by domain: short side of the mesh in pixels of the file.

Real: three clips made smaller, mouth opening band-limited to that of speech, correlation with
that of the clip at full size: 0.93 to 0.97 at 32 px, 0.80 to 0.96 at 28 px, 0.64 to 0.88 at 16 px.
World: drawn lips are plainer; at 64 px a picture, where faces have 20 to 28 px, the mesh still
follows their gap (`evals.bench.world.bench_lips`).
"""


@dataclass(frozen=True, kw_only=True)
class SyncParams:
    """What decides a lip-sync number.

    Attributes:
        band_hz: Rates at which mouth and sound are compared.
        lead_ms: By how much a mouth is ahead of the sound when picture and sound match, for each
            domain; taken from the offset. See `PHONEME_LEAD_MS`.
        lead_spread_ms: Standard deviation of that lead from one video to the next.
        width_weight: Of the mouth's width beside its opening, which weighs 1.
        max_p_value: A peak has a place if unrelated mouths reach its height no more often.
        min_motion: Standard deviation of the mouth's opening, as share of the face's height,
            below which the mouth stands still. Mesh jitter on a re-encoded still is below 0.002,
            speech above 0.008.
        max_gap: Frames without a mesh that are bridged.
        min_frames: Frames with face and speech that a correlation needs.
        window_s: Length of a window.
        hop_s: From one window to the next.
    """

    band_hz: tuple[float, float]
    lead_ms: Mapping[str, float]
    lead_spread_ms: Mapping[str, float]
    width_weight: float
    max_p_value: float = 0.05
    min_motion: float = 0.004
    max_gap: int = 5
    min_frames: int = 25
    window_s: float = 4.0
    hop_s: float = 2.0

    @property
    def channels(self) -> dict[str, float]:
        """Features of the mouth that are compared, and their weights."""
        return {"lip_aperture": 1.0} | (
            {"mouth_width": self.width_weight} if self.width_weight else {}
        )


def mouth_signal(
    face: Mapping[str, np.ndarray], params: SyncParams
) -> tuple[Float[np.ndarray, "C T"], Bool[np.ndarray, " T"]]:
    """Takes the movement of the mouth from the mesh.

    Args:
        face: Features of the extractor ``face``.
        params: Says how long gaps may be and what counts as motion.

    Returns:
        The mouth's opening, and its width if that is compared, band-limited, and the frames
        where they are known.
    """
    filled = [
        fill_short_gaps(face[name].astype(float), max_gap=params.max_gap)
        for name in params.channels
    ]
    mouth = np.stack([bandpass(values, params.band_hz) for values, _ in filled])
    return mouth, np.all([is_measured for _, is_measured in filled], axis=0)


def require_face_size(face: Mapping[str, np.ndarray], domain: str) -> None:
    """Refuses a face so small that its mouth opens by less than the mesh can see.

    Args:
        face: Features of the extractor ``face``; only frames with a mesh count.
        domain: Of the recording, decides the limit in `MIN_FACE_PX`.

    Raises:
        Unscored: If the median size is below the limit.
    """
    sizes = face["face_px"][np.isfinite(face["face_px"])]
    if len(sizes) and float(np.median(sizes)) < MIN_FACE_PX[domain]:
        raise Unscored(
            f"the face is small, {np.median(sizes):.0f} px; "
            f"lip-sync needs {MIN_FACE_PX[domain]:.0f} px"
        )


class SyncMetric(Metric):
    """What the lip-sync metrics share: signals, curve, windows."""

    axis = Axis.LIP_SYNC
    source: ClassVar[str]
    is_of_speech = True

    def __init__(self, *, params: SyncParams, protocol: str) -> None:
        self.settings = params
        self.protocol = protocol
        self.params = {
            **asdict(params),
            **SIGNAL_PARAMS,
            **CURVE_PARAMS,
            **CLOSURE_PARAMS,
            "max_closure_distance_ms": MAX_CLOSURE_DISTANCE_MS,
            "min_face_px": MIN_FACE_PX,
            "follow": FOLLOW_PARAMS,
        }
        self._shared = ("sync", self.source, repr(params))
        self.needs = tuple(dict.fromkeys((*FOLLOW_NEEDS, self.source)))
        self.needs_at_times = tuple(name for name in FOLLOW_CHOICE if name != self.source)

    def signals(self, features: Features, lead_ms: float) -> SyncSignals:
        """Returns mouth and sound of one recording."""
        mouth, has_mouth = mouth_signal(features["face"], self.settings)
        num_frames, lead_s = mouth.shape[1], lead_ms / 1000
        sound = features[self.source]
        if self.source == "audio_envelope":
            level, has_sound = loudness_track(sound, num_frames=num_frames, lead_s=lead_s)
            tracks = level[None]
        else:
            tracks, has_sound = _phoneme_tracks(sound, num_frames=num_frames, lead_s=lead_s)
        return SyncSignals(
            mouth=mouth,
            has_mouth=has_mouth,
            sound=np.stack([bandpass(track, self.settings.band_hz) for track in tracks]),
            has_sound=has_sound,
            weights=tuple(self.settings.channels.values()),
        )

    def followed_signals(
        self, recording: Recording, features: Features
    ) -> tuple[Followed, Features, SyncSignals]:
        """Returns who is measured, the features of that person, and mouth and sound."""
        followed = follow(recording, features)
        features = followed.view(features)
        require_face(recording, features)
        require_face_size(features["face"], recording.domain)
        if float(np.nanstd(features["face"]["lip_aperture"])) < self.settings.min_motion:
            raise missing_lips(recording, "no mouth motion")
        return followed, features, self.signals(features, self.settings.lead_ms[recording.domain])

    def measure(self, recording: Recording, features: Features, context: MetricContext) -> Score:
        """Returns the value of the whole video, and of each window."""
        seen = made_once(features, self._shared, lambda: self._seen(recording, features))
        return Score(
            value=self.value(seen.curve),
            components=dict(seen.components),
            windows=self._windows(seen),
        )

    def _seen(self, recording: Recording, features: Features) -> "_Seen":
        followed, features, signals = self.followed_signals(recording, features)
        lead_ms = self.settings.lead_ms[recording.domain]
        curve = signals.curve(min_frames=self.settings.min_frames)
        return _Seen(
            signals=signals,
            curve=curve,
            components={
                **_components(curve, lead_ms, self.settings.lead_spread_ms[recording.domain]),
                **self._closures(features, lead_ms),
                "most_faces": int(features["face"]["num_faces"].max(initial=0)),
                **followed.components,
            },
        )

    def value(self, curve: SyncCurve) -> float:
        """Returns the metric's number of one curve."""
        raise NotImplementedError

    def _closures(self, features: Features, lead_ms: float) -> dict[str, Any]:
        """Returns the offset by lip closures alone, where phonemes are heard."""
        if self.source != "phonemes_hama":
            return {}
        aperture = features["face"]["lip_aperture"].astype(float)
        filled, _ = fill_short_gaps(aperture, max_gap=self.settings.max_gap)
        place_s, num_closures = closure_offset_s(filled, closure_times(features[self.source]))
        offset_ms = place_s * 1000 + CLOSURE_LEAD_MS + lead_ms
        return {
            "closure_offset_ms": offset_ms if math.isfinite(offset_ms) else None,
            "num_closures": num_closures,
        }

    def _windows(self, seen: "_Seen") -> tuple[MetricWindow, ...]:
        def value(start: int, stop: int) -> float:
            try:
                return self.value(seen.window(start, stop, min_frames=self.settings.min_frames))
            except Unscored:
                return math.nan

        length_s, hop_s = self.settings.window_s, self.settings.hop_s
        return windows_of(seen.signals.mouth.shape[1], value, length_s=length_s, hop_s=hop_s)


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """What metrics with the same settings read off one recording.

    Attributes:
        signals: Mouth and sound.
        curve: Of the whole video.
        components: Of the score.
        windows: Curves of stretches that were asked for, by first and past-the-last frame.
    """

    signals: SyncSignals
    curve: SyncCurve
    components: Mapping[str, Any]
    windows: dict[tuple[int, int], SyncCurve] = field(default_factory=dict)

    def window(self, start: int, stop: int, *, min_frames: int) -> SyncCurve:
        """Returns the curve of a stretch, see `SyncSignals.window`."""
        if (start, stop) not in self.windows:
            self.windows[start, stop] = self.signals.window(
                start, stop, whole=self.curve, min_frames=min_frames
            )
        return self.windows[start, stop]


def _phoneme_tracks(
    phonemes: Mapping[str, np.ndarray], *, num_frames: int, lead_s: float
) -> tuple[Float[np.ndarray, "2 T"], Bool[np.ndarray, " T"]]:
    """Returns shapes and speech frames; the start of a recogniser's span is a phone's centre."""
    starts, ends = phonemes["start_s"].astype(float), phonemes["end_s"].astype(float)
    if not len(starts):
        raise Unscored("no phonemes in the sound")
    ends = np.minimum(ends, starts + PAUSE_S)  # the last sound before a pause is not the pause
    tracks = shape_tracks(
        phonemes["likely"].tolist(),
        phonemes["likely_s"],
        phonemes["posterior"].astype(float),
        num_frames=num_frames,
        lead_s=lead_s,
    )
    return tracks, speech_frames(starts, ends, num_frames=num_frames, lead_s=lead_s)


def _components(curve: SyncCurve, lead_ms: float, lead_spread_ms: float) -> dict[str, Any]:
    has_peak = curve.peak is not None
    offset_ms = curve.offset_frames * FRAME_MS
    error_ms = math.hypot(curve.offset_deviation_frames * FRAME_MS, lead_spread_ms)
    return {
        "p_value": curve.p_value,
        "p_value_at_zero": curve.p_value_at_zero,
        "chance_score": curve.chance_score,
        "peak_correlation": float(curve.correlations[curve.peak]) if curve.peak else None,
        "median_correlation": float(np.median(curve.correlations)),
        "correlation_at_zero": float(curve.correlations[MAX_SHIFT]),
        "offset_ms": offset_ms if has_peak else None,
        "offset_in_words": offset_in_words(offset_ms),
        "offset_uncertainty_ms": 1.96 * error_ms if math.isfinite(error_ms) else None,
        "uncorrected_offset_ms": offset_ms - lead_ms if has_peak else None,
        "mouth_lead_ms": lead_ms,
        "is_edge": curve.is_edge,
        "num_frames": curve.num_frames,
        "curve": [round(float(r), 4) for r in curve.correlations],
    }


AGAINST_PHONEMES = SyncParams(
    band_hz=PHONEME_BAND_HZ,
    lead_ms=PHONEME_LEAD_MS,
    lead_spread_ms=LEAD_SPREAD_MS,
    width_weight=0.5,
)
