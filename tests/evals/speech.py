"""A seeded, voiced sound for tests of speech metrics."""

import numpy as np

SAMPLE_RATE = 16_000


def voiced(duration_s: float, *, pitch_hz: float = 120.0, noise: float = 0.002) -> np.ndarray:
    """Makes a buzz with 29 harmonics, a wandering pitch and the rhythm of syllables."""
    t = np.arange(round(duration_s * SAMPLE_RATE)) / SAMPLE_RATE
    pitch = pitch_hz + 20 * np.sin(2 * np.pi * 0.7 * t)
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    buzz = sum(np.sin(k * phase) / k for k in range(1, 30))
    rhythm = np.clip(np.sin(2 * np.pi * 2.3 * t) + 0.3, 0, None)
    hiss = noise * np.random.default_rng(0).normal(size=len(t))
    return (0.05 * buzz * rhythm + hiss).astype(np.float32)
