"""DNSMOS, Microsoft's estimate of listeners' ratings of speech and noise, on a scale of 1 to 5.

Shape letters: S samples, K windows.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import onnxruntime
from jaxtyping import Float32, Int64

from evals.extractors import SAMPLE_RATE
from evals.extractors.mel import mel_spectrogram
from streamchar_ref.weights import locate

WINDOW_S = 9.01
WINDOW_SAMPLES = int(WINDOW_S * SAMPLE_RATE)
NUM_MELS = 120
FFT_SIZE = 321
HOP_SAMPLES = 160
TOP_DB = 80.0
CALIBRATION = {
    "sig": (-0.08397278, 1.22083953, 0.0052439),
    "bak": (-0.13166888, 1.60915514, -0.39604546),
    "ovrl": (-0.06766283, 1.11546468, 0.04602535),
}
"""Polynomials (highest power first) that map the network's outputs to the scale of P.835."""
ARRAYS = (*CALIBRATION, "p808", "start_s", "level_dbfs")


class DnsmosExtractor:
    """Rates windows of 9.01 s.

    Features: ``sig``, ``bak``, ``ovrl`` (P.835), ``p808``, ``start_s`` and ``level_dbfs``, all
    [K], and ``duration_s`` of the sound. Sound shorter than a window is repeated, as published.

    Args:
        windows: ``covering`` for evenly spaced ones; ``published`` for one per second, minus those
            that the published script drops by a rounding error.
        hop_s: Approximate distance of covering windows; 5 keeps the real-time factor below 0.05.
    """

    def __init__(
        self, *, windows: Literal["covering", "published"] = "covering", hop_s: int = 5
    ) -> None:
        folder = locate("dnsmos")
        self._p835 = _session(folder / "sig_bak_ovr.onnx")
        self._p808 = _session(folder / "model_v8.onnx")
        self._windows, self._hop_s = windows, hop_s

    def extract(self, samples: Float32[np.ndarray, " S"]) -> Mapping[str, np.ndarray]:
        """Returns the ratings of all windows; none without sound."""
        if not len(samples):
            return {name: np.zeros(0) for name in ARRAYS} | {"duration_s": np.array(0.0)}
        num_samples = len(samples)
        samples = repeated(samples)
        if self._windows == "published":
            starts = published_starts(len(samples))
        else:  # repeated sound is rated once
            starts = covering_starts(num_samples, hop_s=self._hop_s)
        cuts = [samples[at : at + WINDOW_SAMPLES] for at in starts * SAMPLE_RATE]
        raw = np.array([self._p835.run(None, {"input_1": cut[None]})[0][0] for cut in cuts])
        ratings = {
            name: np.polyval(polynomial, raw[:, column])
            for column, (name, polynomial) in enumerate(CALIBRATION.items())
        }
        p808 = [self._p808.run(None, {"input_1": log_mel(cut)[None]})[0][0, 0] for cut in cuts]
        power = [np.mean(cut.astype(np.float64) ** 2) for cut in cuts]
        return ratings | {
            "p808": np.array(p808, np.float64),
            "start_s": starts.astype(np.float64),
            "level_dbfs": 10 * np.log10(np.array(power) + 1e-12),
            "duration_s": np.array(num_samples / SAMPLE_RATE),
        }


def repeated(samples: Float32[np.ndarray, " S"]) -> Float32[np.ndarray, " _"]:
    """Doubles short sound until it fills a window."""
    while len(samples) < WINDOW_SAMPLES:
        samples = np.concatenate([samples, samples])
    return samples


def covering_starts(num_samples: int, *, hop_s: int) -> Int64[np.ndarray, " K"]:
    """Returns starts in whole seconds, about ``hop_s`` apart, from 0 to the last full window."""
    last = max(0, num_samples - WINDOW_SAMPLES) // SAMPLE_RATE
    return np.floor(np.linspace(0, last, round(last / hop_s) + 1) + 0.5).astype(np.int64)


def published_starts(num_samples: int) -> Int64[np.ndarray, " K"]:
    """Returns the starts in seconds of the published script's windows.

    The script steps by one second, but ``int((second + 9.01) * 16000)`` is one sample short for
    some starts (7 to 23, 119 to 122 and so on), which it drops.
    """
    seconds = np.arange(int(num_samples // SAMPLE_RATE - WINDOW_S) + 1)
    stops = ((seconds + WINDOW_S) * SAMPLE_RATE).astype(np.int64)
    is_full = stops - seconds * SAMPLE_RATE >= WINDOW_SAMPLES
    return seconds[is_full & (stops <= num_samples)]


def log_mel(samples: Float32[np.ndarray, " S"]) -> Float32[np.ndarray, "900 120"]:
    """Computes the P.808 network's input: scaled decibels below the maximum, about -1 to 1.

    Source:
        ``audio_melspec`` of dnsmos_local.py in microsoft/DNS-Challenge (MIT code), rewritten.
    """
    mel = mel_spectrogram(
        samples[:-HOP_SAMPLES], fft_size=FFT_SIZE, hop=HOP_SAMPLES, num_mels=NUM_MELS
    )
    decibels = 10 * np.log10(np.maximum(mel, 1e-10))
    decibels -= 10 * np.log10(max(1e-10, float(mel.max())))
    return ((np.maximum(decibels, decibels.max() - TOP_DB) + 40) / 40).astype(np.float32)


def _session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
