"""Voice effects after synthesis: formants, tilt, breath. Times never change.

Shape letters: S samples, T frames of the transform, F frequencies.
"""

import numpy as np
import scipy.fft
import scipy.signal
from jaxtyping import Complex64, Float32

FFT_SIZE, HOP = 512, 128
MAX_GAIN = 3.0  # natural logarithm: 26 dB
MAX_QUEFRENCY = 60  # samples; finer structure is pitch
OWN_PITCH_HZ = 110.0  # approximate pitch of Piper's and eSpeak's unmodified voices
_REFERENCE_HZ = 1000.0


def colour(
    samples: Float32[np.ndarray, " S"],
    *,
    rate: int,
    formant: float,
    tilt_db: float,
    breath: float,
    pitch: float,
    rng: np.random.Generator,
) -> Float32[np.ndarray, " S"]:
    """Shifts the spectral envelope of a voice and keeps its harmonics.

    Args:
        samples: A voice.
        rate: Samples per second.
        formant: Factor on the frequencies of the envelope.
        tilt_db: Gain per octave above 1 kHz, attenuation below it.
        breath: Noise with the same envelope, stronger in the treble; 1 is as loud as the voice.
        pitch: Factor on the engine's pitch, which limits the resolution of the envelope.
        rng: Of the breath.

    Returns:
        As many samples, with unchanged times.

    Source:
        Cepstral smoothing, A. V. Oppenheim, "Speech analysis-synthesis system based on
        homomorphic filtering", JASA 45(2), 1969.
    """
    if formant == 1 and tilt_db == 0 and breath == 0:
        return samples
    spectrum = _transform(samples)
    envelope = _log_envelope(spectrum, round(0.5 * rate / (OWN_PITCH_HZ * pitch)))
    shifted = _shifted(envelope, formant)
    frequencies = np.arange(spectrum.shape[1], dtype=np.float32) * (rate / FFT_SIZE)
    tilt = tilt_db * np.log(10) / 20 * np.log2(np.maximum(frequencies, 60) / _REFERENCE_HZ)
    gain = np.exp(np.clip(shifted - envelope, -MAX_GAIN, MAX_GAIN) + tilt.astype(np.float32))
    spectrum = spectrum * gain
    if breath:
        treble = np.minimum(frequencies / 3000, 1).astype(np.float32)
        noise = rng.standard_normal((2, *spectrum.shape), np.float32)
        level = np.float32(breath) * treble * np.exp(shifted + tilt.astype(np.float32))
        spectrum = spectrum + level * (noise[0] + 1j * noise[1])
    return _inverse_transform(spectrum.astype(np.complex64), len(samples))


def _window() -> Float32[np.ndarray, " W"]:
    return np.sqrt(scipy.signal.windows.hann(FFT_SIZE, sym=False)).astype(np.float32)


def _transform(samples: Float32[np.ndarray, " S"]) -> Complex64[np.ndarray, "T F"]:
    padded = np.pad(samples, (FFT_SIZE, FFT_SIZE + -len(samples) % HOP))
    frames = np.lib.stride_tricks.sliding_window_view(padded, FFT_SIZE)[::HOP]
    return scipy.fft.rfft(frames * _window(), axis=1)


def _inverse_transform(
    spectrum: Complex64[np.ndarray, "T F"], num_samples: int
) -> Float32[np.ndarray, " S"]:
    frames = scipy.fft.irfft(spectrum, n=FFT_SIZE, axis=1) * _window()
    overlap = FFT_SIZE // HOP
    blocks = frames.reshape(len(frames), overlap, HOP)
    padded = np.zeros((len(frames) + overlap - 1, HOP), np.float32)
    for part in range(overlap):
        padded[part : part + len(frames)] += blocks[:, part]
    # Squared windows add up to half the overlap.
    return padded.reshape(-1)[FFT_SIZE : FFT_SIZE + num_samples] / np.float32(overlap / 2)


def _log_envelope(
    spectrum: Complex64[np.ndarray, "T F"], max_quefrency: int
) -> Float32[np.ndarray, "T F"]:
    cepstrum = scipy.fft.irfft(np.log(np.abs(spectrum) + np.float32(1e-5)), axis=1)
    cut = min(max_quefrency, MAX_QUEFRENCY)
    cepstrum[:, cut : FFT_SIZE - cut + 1] = 0
    return scipy.fft.rfft(cepstrum, axis=1).real


def _shifted(envelope: Float32[np.ndarray, "T F"], factor: float) -> Float32[np.ndarray, "T F"]:
    """Resamples the envelope at each frequency divided by the factor."""
    size = envelope.shape[1]
    at = np.minimum(np.arange(size) / factor, size - 1)
    left = np.minimum(at.astype(int), size - 2)
    share = (at - left).astype(np.float32)
    return envelope[:, left] * (1 - share) + envelope[:, left + 1] * share
