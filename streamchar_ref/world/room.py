"""Room acoustics: light reverberation and background noise. Times never change."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

DIRECT_TO_ROOM_DB = 12.0  # a speaker near the microphone
_FIRST_ECHO_S = 0.004


@dataclass(frozen=True, kw_only=True)
class Room:
    """A room with a microphone.

    Attributes:
        reverb_s: Reverberation time (60 dB); 0 for none.
        snr_db: Signal-to-noise ratio; infinity for no noise.
        noise_slope_db: Of the noise, in decibels per octave; -3 is pink, -6 brown.
    """

    reverb_s: float = 0.0
    snr_db: float = float("inf")
    noise_slope_db: float = -4.0


def draw_room(seed: int) -> Room:
    """Samples a quiet living room or office: 0.1 to 0.4 s, 18 to 40 dB."""
    rng = np.random.default_rng([seed, 2])
    return Room(
        reverb_s=round(float(rng.uniform(0.1, 0.4)), 3),
        snr_db=round(float(rng.uniform(18, 40)), 1),
        noise_slope_db=round(float(rng.uniform(-6, -2)), 1),
    )


def place(
    samples: Float32[np.ndarray, " S"], room: Room, *, rate: int, seed: int
) -> Float32[np.ndarray, " S"]:
    """Adds reverberation and noise to a voice.

    Args:
        samples: Dry voice.
        room: Acoustics.
        rate: Samples per second.
        seed: Of the echoes and the noise.

    Returns:
        As many samples; time and level of the direct sound are unchanged.
    """
    rng = np.random.default_rng([seed, 3])
    wet = samples
    if room.reverb_s > 0:
        import scipy.signal  # local: corpora are read where it is not installed

        wet = scipy.signal.fftconvolve(samples, _response(room.reverb_s, rate, rng))
        wet = wet[: len(samples)].astype(np.float32)
    if np.isfinite(room.snr_db):
        noise = _noise(len(samples), room.noise_slope_db, rate, rng)
        level = np.sqrt(np.mean(samples**2) / 10 ** (room.snr_db / 10))
        wet = wet + np.float32(level) * noise
    return wet


def _response(reverb_s: float, rate: int, rng: np.random.Generator) -> Float32[np.ndarray, " R"]:
    """Returns the impulse response: direct sound, and echoes as decaying noise."""
    times = np.arange(round(reverb_s * rate)) / rate
    echoes = rng.standard_normal(len(times)) * 10 ** (-3 * times / reverb_s)
    echoes[: round(_FIRST_ECHO_S * rate)] = 0
    echoes *= 10 ** (-DIRECT_TO_ROOM_DB / 20) / np.sqrt((echoes**2).sum())
    echoes[0] = 1
    return echoes.astype(np.float32)


def _noise(
    num_samples: int, slope_db: float, rate: int, rng: np.random.Generator
) -> Float32[np.ndarray, " S"]:
    """Returns coloured noise of unit power, flat below 50 Hz."""
    spectrum = np.fft.rfft(rng.standard_normal(num_samples))
    octaves = np.log2(np.maximum(np.fft.rfftfreq(num_samples, 1 / rate), 50) / 50)
    noise = np.fft.irfft(spectrum * 10 ** (slope_db * octaves / 20), n=num_samples)
    return (noise / np.sqrt(np.mean(noise**2))).astype(np.float32)
