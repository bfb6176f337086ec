import json
from pathlib import Path

import numpy as np
import pytest
import torch

from streamchar_ref.networks.vae.mel import FLOOR, LogMel, mel_filters
from tests.streamchar_ref.tiny import random

GOLDEN = json.loads((Path(__file__).parents[3] / "golden" / "mel_filters.json").read_text())


def test_filters_are_those_of_librosa() -> None:
    expected = np.zeros((80, GOLDEN["num_bins"]), np.float32)
    for row, band in zip(expected, GOLDEN["filters"], strict=True):
        row[band["first_bin"] : band["first_bin"] + len(band["values"])] = band["values"]
    found = mel_filters(16_000, 640, 80).numpy()
    # float32 in librosa, float64 until the end in ours
    np.testing.assert_allclose(found, expected, atol=1e-6 * expected.max())


def test_a_frame_is_the_spectrum_of_its_own_samples() -> None:
    samples = random(1, 4000)
    found = LogMel()(samples)[0, :, 7].numpy()
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(640) / 640)
    piece = samples[0, 7 * 160 : 7 * 160 + 640].double().numpy()
    magnitude = np.abs(np.fft.rfft(piece * window))
    expected = np.log(mel_filters(16_000, 640, 80).numpy() @ magnitude)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_half_precision_around_it_changes_nothing() -> None:
    samples = 0.1 * random(1, 4000)
    with torch.autocast("cpu", torch.bfloat16):
        found = LogMel()(samples)
    assert torch.equal(found, LogMel()(samples))


def test_frames_lie_wholly_inside() -> None:
    assert LogMel()(random(2, 640)).shape == (2, 80, 1)
    assert LogMel()(random(2, 640 + 159)).shape == (2, 80, 1)
    assert LogMel()(random(2, 640 + 160)).shape == (2, 80, 2)


def test_silence_is_at_the_floor() -> None:
    silence = LogMel()(torch.zeros(1, 1600))
    torch.testing.assert_close(silence, torch.full_like(silence, float(np.log(FLOOR))))


@pytest.mark.parametrize("hertz", [150, 1000, 3300])
def test_a_tone_is_loudest_in_the_band_around_it(hertz: int) -> None:
    tone = torch.sin(2 * torch.pi * hertz * torch.arange(1600) / 16_000)[None]
    loudest = int(LogMel()(tone)[0].mean(dim=1).argmax())
    centres = (mel_filters(16_000, 640, 80).argmax(dim=1) * 25).float()
    # a low band is no wider than a bin of 25 Hz, a high one is wider
    assert abs(float(centres[loudest]) - hertz) <= max(50, 0.06 * hertz)
