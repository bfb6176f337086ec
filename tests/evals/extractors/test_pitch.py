"""Pitch of tones that are known, and none where there is none."""

import numpy as np
import pytest

from evals.extractors import EXTRACTORS

RATE = 16_000


def pitch(samples: np.ndarray) -> np.ndarray:
    return np.asarray(EXTRACTORS["pitch"].make().extract(samples.astype(np.float32))["hz"])


def voice(hz: np.ndarray | float, seconds: float = 2.0) -> np.ndarray:
    """A glottal-like sum of harmonics."""
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(hz, round(seconds * RATE))) / RATE
    return 0.1 * sum(np.sin(k * phase + k) / k for k in range(1, 12))


@pytest.mark.parametrize("hz", [75.0, 123.4, 220.0, 400.0])
def test_a_steady_voice_has_its_pitch(hz: float) -> None:
    assert pitch(voice(hz))[2:-2] == pytest.approx(hz, rel=0.003)


def test_a_gliding_voice_is_followed() -> None:
    glide = np.geomspace(100, 200, 2 * RATE)
    centres = np.arange(50) * 640 + 320
    assert pitch(voice(glide))[2:-2] == pytest.approx(glide[centres][2:-2], rel=0.02)


def test_noise_and_silence_have_none() -> None:
    assert np.isnan(pitch(np.random.default_rng(0).normal(size=RATE))).all()
    assert np.isnan(pitch(np.zeros(RATE))).all()
    assert len(pitch(np.zeros(0))) == 0
