"""Fundamental frequency of the voice in each video frame.

Shape letters: S audio samples, T frames of 40 ms, W samples of a window, L lags.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Float32

from evals.recording.rates import FPS, SAMPLE_RATE

HOP = SAMPLE_RATE // FPS
WINDOW = 1024
"""64 ms: almost four periods of the lowest voice."""
_FRAMES_AT_ONCE = 4096


class PitchExtractor:
    """Pitch by autocorrelation, corrected for the window, at 25 Hz.

    Features, one per video frame and centred on it: ``hz``, NaN where the sound has no period;
    ``strength``, the autocorrelation at that period, in [0, 1].

    Args:
        lowest_hz: Lower end of the search.
        highest_hz: Upper end.
        min_strength: Autocorrelation from which a frame is voiced.
        octave_cost: Autocorrelation that a period must gain for each octave that it is longer.

    Source:
        Boersma, "Accurate short-term analysis of the fundamental frequency and the harmonics-to-
        noise ratio of a sampled sound", 1993, without its search for the best path.
    """

    def __init__(
        self, *, lowest_hz: float, highest_hz: float, min_strength: float, octave_cost: float
    ) -> None:
        self._lags = np.arange(int(SAMPLE_RATE / highest_hz), int(SAMPLE_RATE / lowest_hz) + 2)
        self._min_strength = min_strength
        self._cost = octave_cost * np.log2(self._lags / self._lags[0])

    def extract(self, samples: Float32[np.ndarray, " S"]) -> Mapping[str, np.ndarray]:
        """Returns pitch and strength; no frames of a video without sound."""
        num_frames = -(-len(samples) // HOP)
        padded = np.pad(samples.astype(np.float64), (WINDOW, WINDOW))
        centres = WINDOW + np.arange(num_frames) * HOP + HOP // 2
        hz, strength = [np.zeros(0)], [np.zeros(0)]
        for first in range(0, num_frames, _FRAMES_AT_ONCE):
            starts = centres[first : first + _FRAMES_AT_ONCE] - WINDOW // 2
            windows = padded[starts[:, None] + np.arange(WINDOW)]
            found = self._strongest(_autocorrelation(windows, int(self._lags[-1]) + 2))
            hz.append(found[0])
            strength.append(found[1])
        return {
            "hz": np.concatenate(hz).astype(np.float32),
            "strength": np.concatenate(strength).astype(np.float32),
        }

    def _strongest(
        self, correlation: Float[np.ndarray, "T L"]
    ) -> tuple[Float[np.ndarray, " T"], Float[np.ndarray, " T"]]:
        """Refines the best peak between its neighbours by a parabola."""
        before, here, after = (correlation[:, self._lags + step] for step in (-1, 0, 1))
        is_peak = (here >= before) & (here > after)
        rows = np.arange(len(correlation))
        best = np.where(is_peak, here - self._cost, -np.inf).argmax(axis=1)
        left, peak, right = before[rows, best], here[rows, best], after[rows, best]
        bend = left - 2 * peak + right
        shift = np.where(bend < 0, 0.5 * (left - right) / np.where(bend < 0, bend, 1.0), 0.0)
        is_voiced = is_peak[rows, best] & (peak >= self._min_strength)
        hz = np.where(is_voiced, SAMPLE_RATE / (self._lags[best] + shift), np.nan)
        return hz, np.clip(np.where(is_peak[rows, best], peak, 0.0), 0.0, 1.0)


def _autocorrelation(windows: Float[np.ndarray, "T W"], num_lags: int) -> Float[np.ndarray, "T L"]:
    """Autocorrelation of each window over that of the taper, 1 at lag 0; 0 in silence."""
    taper = np.hanning(WINDOW)
    sound = (windows - windows.mean(axis=1, keepdims=True)) * taper
    correlation = _raw(sound, num_lags) / _raw(taper[None], num_lags)
    power = correlation[:, :1]
    return np.where(power > 1e-9, correlation / np.maximum(power, 1e-9), 0.0)


def _raw(values: Float[np.ndarray, "T W"], num_lags: int) -> Float[np.ndarray, "T L"]:
    spectrum = np.fft.rfft(values, 2 * WINDOW, axis=1)
    return np.fft.irfft(np.abs(spectrum) ** 2, axis=1)[:, :num_lags]
