"""Voice activity by Silero VAD, as packaged in faster-whisper.

Shape letters: S samples, K segments of speech.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float32

from evals.extractors import SAMPLE_RATE


class SpeechExtractor:
    """Detects segments of speech.

    Features: ``start_s`` and ``end_s`` [K] in seconds, and ``duration_s`` of the sound.

    Args:
        threshold: Speech probability threshold.
        min_speech_s: Shorter segments are dropped.
        min_pause_s: Shortest pause between two segments.
        margin_s: Added around each segment.
    """

    def __init__(
        self, *, threshold: float, min_speech_s: float, min_pause_s: float, margin_s: float
    ) -> None:
        from faster_whisper.vad import VadOptions  # slow to import

        self._options = VadOptions(
            threshold=threshold,
            min_speech_duration_ms=round(1000 * min_speech_s),
            min_silence_duration_ms=round(1000 * min_pause_s),
            speech_pad_ms=round(1000 * margin_s),
        )

    def extract(self, samples: Float32[np.ndarray, " S"]) -> Mapping[str, np.ndarray]:
        """Returns the segments; none without sound."""
        from faster_whisper.vad import get_speech_timestamps

        segments = get_speech_timestamps(samples, self._options) if len(samples) else []
        return {
            "start_s": np.array([span["start"] for span in segments], np.float64) / SAMPLE_RATE,
            "end_s": np.array([span["end"] for span in segments], np.float64) / SAMPLE_RATE,
            "duration_s": np.array(len(samples) / SAMPLE_RATE),
        }
