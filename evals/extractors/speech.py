"""When somebody speaks, by Silero VAD as packaged in faster-whisper.

Shape letters: S samples, K stretches of speech.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float32

from evals.extractors import SAMPLE_RATE


class SpeechExtractor:
    """Finds stretches of speech; noise, hum, tones and animals are none.

    Features: ``start_s`` and ``end_s`` [K] in seconds, and ``duration_s`` of the sound.

    Args:
        threshold: Probability from which a moment is speech.
        min_speech_s: Shorter stretches are dropped.
        min_pause_s: Shortest pause between two stretches.
        margin_s: Put around each stretch.
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
        """Returns the stretches; none for no sound at all."""
        from faster_whisper.vad import get_speech_timestamps

        found = get_speech_timestamps(samples, self._options) if len(samples) else []
        return {
            "start_s": np.array([span["start"] for span in found], np.float64) / SAMPLE_RATE,
            "end_s": np.array([span["end"] for span in found], np.float64) / SAMPLE_RATE,
            "duration_s": np.array(len(samples) / SAMPLE_RATE),
        }
