"""What of a take the words leave open: the motion of head, brows and eyes; pitch and loudness.

Shape letters: T frames at 25 fps, L landmarks, C signals.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from evals.extractors.face import LEFT_BROW, RIGHT_BROW, landmark_columns
from evals.metrics.absence import SPEECH
from evals.numerics.spread import smoothed
from evals.protocols.base import Features
from evals.recording.rates import FPS

MOTION_SCALES: Mapping[str, float] = {
    "turn": 0.036,
    "nod": 0.021,
    "tilt": 0.014,
    "brows": 0.0078,
    "eyes": 0.0027,
}
"""Signal -> spread over seeds of the drawn world's ground truth, 6 prompts of ``short_clip_dev``
with 3 seeds each; ``tilt`` in radians, the others in distances of the eyes."""
VOICE_SCALES: Mapping[str, float] = {"pitch": 1.4, "level": 2.0, "tempo": 0.042}
"""Likewise, in semitones, dB and octaves."""
SMOOTH_FRAMES = 5
"""Over which signals are averaged: a blink stays, the mesh's jitter does not."""
MAX_FROM_MEDIAN = 9.0
"""Semitones from a take's median pitch beyond which a formant was taken for the voice."""
_CORNERS = landmark_columns((33, 133, 362, 263))  # outer and inner, right; inner and outer, left
_UPPER_LIDS = landmark_columns((160, 159, 158, 385, 386, 387))
_LOWER_LIDS = landmark_columns((144, 145, 153, 380, 374, 373))
_BROWS = landmark_columns((*RIGHT_BROW, *LEFT_BROW))
(_NOSE_TIP,) = landmark_columns((4,))


def motion_signals(landmarks: Float[np.ndarray, "T L 2"]) -> Float[np.ndarray, "T 5"]:
    """Reads motion that lips do not make off the mesh.

    Lengths are in distances of the eyes (median of the take). Gaze is not among them: the mesh
    has no irises.

    Args:
        landmarks: Of the extractor ``face``, in pixels; NaN where there is no face.

    Returns:
        The signals of `MOTION_SCALES`: the nose along the line of the eyes (the head turns), the
        height of the eyes in the picture (it nods), the roll of that line in radians (it tilts),
        the height of the brows above the eyes, and the opening of the eyes.
    """
    points = landmarks.astype(np.float64)
    corners = points[:, _CORNERS]
    right, left = corners[:, :2].mean(axis=1), corners[:, 2:].mean(axis=1)
    line, middle = left - right, (right + left) / 2
    length = np.linalg.norm(line, axis=1)
    along = line / np.maximum(length, 1e-6)[:, None]
    across = np.stack([-along[:, 1], along[:, 0]], axis=1)
    nose = points[:, _NOSE_TIP] - middle
    brows = points[:, _BROWS].mean(axis=1) - middle
    lids = points[:, _LOWER_LIDS].mean(axis=1) - points[:, _UPPER_LIDS].mean(axis=1)
    is_known = np.isfinite(length)
    scale = float(np.median(length[is_known])) if is_known.any() else 1.0
    signals = [
        (nose * along).sum(axis=1) / scale,
        middle[:, 1] / scale,
        np.arctan2(line[:, 1], line[:, 0]),
        -(brows * across).sum(axis=1) / scale,
        (lids * across).sum(axis=1) / scale,
    ]
    return smoothed(np.stack(signals, axis=1), SMOOTH_FRAMES)


def voice_signals(features: Features) -> Float[np.ndarray, "T 2"]:
    """Reads pitch and loudness of speech.

    Args:
        features: ``pitch``, ``audio_envelope`` and ``speech``.

    Returns:
        Pitch in semitones above 100 Hz, and level of the voice band in dB above the take's mean,
        both NaN outside speech; pitch also where the sound has no period.
    """
    hz, level = features["pitch"]["hz"], features["audio_envelope"]["speech_db"]
    count = min(len(hz), len(level))
    hz, level = hz[:count].astype(np.float64), level[:count].astype(np.float64)
    centres = (np.arange(count) + 0.5) / FPS
    spans = features[SPEECH]
    starts, ends = spans["start_s"], spans["end_s"]
    is_speech = ((centres[:, None] >= starts) & (centres[:, None] < ends)).any(axis=1)
    level = np.where(is_speech, level, np.nan)
    pitch = 12 * np.log2(np.where(is_speech, hz, np.nan) / 100)
    if np.isfinite(pitch).any():
        pitch[np.abs(pitch - np.nanmedian(pitch)) > MAX_FROM_MEDIAN] = np.nan
    if is_speech.any():
        level = level - np.nanmean(level)
    return np.stack([pitch, smoothed(level[:, None], SMOOTH_FRAMES)[:, 0]], axis=1)
