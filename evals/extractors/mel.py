"""Mel spectrograms with librosa's defaults, in NumPy.

Shape letters: S samples, T frames, M mel bands, K bins of the spectrum.
"""

from functools import cache

import numpy as np
from jaxtyping import Float, Float32, Float64

SAMPLE_RATE = 16_000
_LINEAR_HZ = 1000.0
_HZ_A_MEL = 200 / 3
_LOG_STEP = np.log(6.4) / 27
_FRAMES_AT_ONCE = 2048


def mel_spectrogram(
    samples: Float[np.ndarray, " S"], *, fft_size: int, hop: int, num_mels: int
) -> Float32[np.ndarray, "T M"]:
    """Computes mel power of frames centred on every ``hop`` samples, zeros outside the sound.

    Args:
        samples: At 16 kHz.
        fft_size: Length of the Hann window and of the transform.
        hop: Samples from one frame to the next.
        num_mels: Bands from 0 to 8 kHz.

    Returns:
        Power, not its logarithm.

    Source:
        ``librosa.feature.melspectrogram`` 0.11 (ISC), rewritten; values of it are kept in
        tests/golden/speech_features.json.
    """
    padded = np.pad(samples.astype(np.float64), fft_size // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, fft_size)[::hop]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(fft_size) / fft_size)
    filters = mel_filters(fft_size, num_mels).T
    blocks = (frames[at : at + _FRAMES_AT_ONCE] for at in range(0, len(frames), _FRAMES_AT_ONCE))
    mel = [np.abs(np.fft.rfft(block * window)) ** 2 @ filters for block in blocks]
    return np.concatenate(mel).astype(np.float32)


@cache
def mel_filters(fft_size: int, num_mels: int) -> Float64[np.ndarray, "M K"]:
    """Returns triangles of equal area, spaced evenly on Slaney's mel scale.

    Source:
        Slaney, Auditory Toolbox, Technical Report 1998-010.
    """
    edges = _hertz(np.linspace(0, _mel(SAMPLE_RATE / 2), num_mels + 2))
    bins = np.fft.rfftfreq(fft_size, 1 / SAMPLE_RATE)
    steps = np.diff(edges)[:, None]
    rising = (bins - edges[:-2, None]) / steps[:-1]
    falling = (edges[2:, None] - bins) / steps[1:]
    heights = 2 / (edges[2:] - edges[:-2])
    return np.minimum(rising, falling).clip(min=0) * heights[:, None]


def _mel(hertz: float) -> float:
    if hertz < _LINEAR_HZ:
        return hertz / _HZ_A_MEL
    return float(_LINEAR_HZ / _HZ_A_MEL + np.log(hertz / _LINEAR_HZ) / _LOG_STEP)


def _hertz(mel: Float64[np.ndarray, " N"]) -> Float64[np.ndarray, " N"]:
    corner = _LINEAR_HZ / _HZ_A_MEL
    return np.where(mel < corner, mel * _HZ_A_MEL, _LINEAR_HZ * np.exp(_LOG_STEP * (mel - corner)))
