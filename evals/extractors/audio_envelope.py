"""Audio level in each video frame."""

import numpy as np
from jaxtyping import Float, Float32

from evals.recording.rates import FPS, SAMPLE_RATE

SPEECH_BAND_HZ = (500.0, 2500.0)
FLOOR_DB = -100.0


class AudioEnvelope:
    """Root mean square levels at 25 Hz.

    Features: ``db`` of the full band and ``speech_db`` of 500 to 2500 Hz, the band that an open
    mouth raises, both in dB of full scale, one per video frame, centred on the frame.

    Args:
        window_s: Length of the averaging window.
    """

    def __init__(self, *, window_s: float = 0.04) -> None:
        self._half = round(window_s * SAMPLE_RATE / 2)

    def extract(self, samples: Float32[np.ndarray, " S"]) -> dict[str, np.ndarray]:
        """Returns the two levels."""
        return {"db": self._levels(samples), "speech_db": self._levels(_speech_band(samples))}

    def _levels(self, samples: np.ndarray) -> Float32[np.ndarray, " T"]:
        hop = SAMPLE_RATE // FPS
        centres = np.arange(-(-len(samples) // hop)) * hop + hop // 2
        power = np.concatenate([[0.0], np.cumsum(samples.astype(np.float64) ** 2)])
        low = np.clip(centres - self._half, 0, len(samples))
        high = np.clip(centres + self._half, 1, len(samples))
        mean = (power[high] - power[low]) / np.maximum(high - low, 1)
        return np.maximum(10 * np.log10(np.maximum(mean, 1e-12)), FLOOR_DB).astype(np.float32)


def _speech_band(samples: Float32[np.ndarray, " S"]) -> Float[np.ndarray, " S"]:
    """Returns the samples between 500 and 2500 Hz."""
    if not len(samples):
        return samples.astype(np.float64)
    spectrum = np.fft.rfft(samples.astype(np.float64))
    rates = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE)
    low, high = SPEECH_BAND_HZ
    spectrum[(rates < low) | (rates > high)] = 0
    return np.fft.irfft(spectrum, len(samples))
