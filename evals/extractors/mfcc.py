"""Mel-frequency cepstral coefficients with the defaults of python_speech_features.

SyncNet was trained on these, down to their quirks: no analysis window, floor-rounded filter
edges, and the log energy in place of the first coefficient.
Shape letters: S samples, T frames of 10 ms, M mel filters, K bins of the spectrum.
"""

import numpy as np
from jaxtyping import Float64, Integer
from scipy.fft import dct

SAMPLE_RATE = 16_000
FRAME_SAMPLES = 400
HOP_SAMPLES = 160
FFT_SIZE = 512
NUM_FILTERS = 26
NUM_CEPSTRA = 13
PRE_EMPHASIS = 0.97
LIFTER = 22
_FRAMES_AT_ONCE = 4096


def mfcc(samples: Integer[np.ndarray, " S"]) -> Float64[np.ndarray, "T 13"]:
    """Computes 13 coefficients every 10 ms.

    Args:
        samples: 16-bit integers at 16 kHz; the scale matters for the log energy.

    Returns:
        One row per frame of 25 ms; the last frame is padded with zeros.

    Source:
        ``mfcc`` of jameslyons/python_speech_features 0.6 (MIT), compared in
        tests/evals/numerics/test_syncnet.py to 1e-6.
    """
    emphasised = samples.astype(np.float64)
    emphasised[1:] -= PRE_EMPHASIS * samples[:-1]
    num_frames = 1 + max(0, -(-(len(samples) - FRAME_SAMPLES) // HOP_SAMPLES))
    missing = (num_frames - 1) * HOP_SAMPLES + FRAME_SAMPLES - len(samples)
    padded = np.pad(emphasised, (0, max(0, missing)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME_SAMPLES)[::HOP_SAMPLES]
    blocks = range(0, num_frames, _FRAMES_AT_ONCE)
    return np.concatenate([_cepstra(frames[at : at + _FRAMES_AT_ONCE]) for at in blocks])


def _cepstra(frames: Float64[np.ndarray, "T 400"]) -> Float64[np.ndarray, "T 13"]:
    power = np.abs(np.fft.rfft(frames, FFT_SIZE)) ** 2 / FFT_SIZE
    mel = power @ mel_filters().T
    cepstra = dct(np.log(_positive(mel)), type=2, axis=1, norm="ortho")[:, :NUM_CEPSTRA]
    cepstra *= 1 + LIFTER / 2 * np.sin(np.pi * np.arange(NUM_CEPSTRA) / LIFTER)
    cepstra[:, 0] = np.log(_positive(power.sum(axis=1)))
    return cepstra


def mel_filters() -> Float64[np.ndarray, "M K"]:
    """Returns triangles between neighbouring bins, equally spaced in mel from 0 to 8 kHz."""
    top = 2595 * np.log10(1 + SAMPLE_RATE / 2 / 700)
    hertz = 700 * (10 ** (np.linspace(0, top, NUM_FILTERS + 2) / 2595) - 1)
    edges = np.floor((FFT_SIZE + 1) * hertz / SAMPLE_RATE)
    left, centre, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    bins = np.arange(FFT_SIZE // 2 + 1)
    rising = (bins - left) / (centre - left)
    falling = (right - bins) / (right - centre)
    inside = (bins >= left) & (bins < right)
    return np.where(inside, np.where(bins < centre, rising, falling), 0.0)


def _positive(power: np.ndarray) -> np.ndarray:
    return np.where(power == 0, np.finfo(np.float64).eps, power)
