"""Input of the judges of sound: log-mel, and its augmentation in training.

Mel power is augmented, where gain, noise, echo, another vocal tract and another microphone are
cheap, so that a sentence differs in each step.

Shape letters: B stretches, T frames of 10 ms, M mel bands, S samples.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32
from torch import Tensor

from evals.extractors.mel import mel_spectrogram

HOP_SAMPLES = 160
FFT_SIZE = 512
FLOOR = 1e-5
_CENTRE, _SPREAD = -5.0, 3.0
_ECHO_FRAMES = 24


def mel_power(
    samples: Float[np.ndarray, " S"], *, num_mels: int
) -> Float32[np.ndarray, "T {num_mels}"]:
    """Computes mel power every 10 ms; frame j is centred on sample 160 j."""
    return mel_spectrogram(samples, fft_size=FFT_SIZE, hop=HOP_SAMPLES, num_mels=num_mels)


def log_mel(power: Float[Tensor, "*B T M"]) -> Float[Tensor, "*B T M"]:
    """Brings mel power to a scale on which speech lies between about -2 and 2."""
    return ((power + FLOOR).log() - _CENTRE) / _SPREAD


def damaged(
    power: Float[Tensor, "B T M"],
    generator: torch.Generator,
    *,
    tract: float = 0.14,
    least_snr_db: float = 5.0,
) -> Float[Tensor, "B T M"]:
    """Augments each stretch in ways that keep its words.

    Args:
        power: Mel power of clean speech.
        generator: Of all random draws.
        tract: Largest change of the length of the vocal tract, as a share.
        least_snr_db: Of speech against noise; the most is 60 dB.

    Returns:
        Mel power after another vocal tract, microphone, room, loudness and noise.
    """
    power = _warped(power, _between(power, generator, 1 - tract, 1 + tract))
    power = _with_echo(power, generator)
    power = power * 10 ** (_tone(power, generator) / 10)
    power = power * _low_pass(power, generator)
    power = power + _noise(power, generator, least_snr_db)
    return power * 10 ** _between(power, generator, -1.5, 0.8)


def masked(features: Float[Tensor, "B T M"], generator: torch.Generator) -> Float[Tensor, "B T M"]:
    """Blanks a band of frequencies and a moment of each stretch (SpecAugment)."""
    for dimension, longest in ((1, 12), (2, features.shape[2] // 6)):
        length = features.shape[dimension]
        width = torch.rand(len(features), 1, generator=generator) * longest
        start = torch.rand(len(features), 1, generator=generator) * (length - width)
        at = torch.arange(length)
        inside = (at >= start) & (at < start + width)
        mask = inside[:, :, None] if dimension == 1 else inside[:, None, :]
        features = features.masked_fill(mask, 0.0)
    return features


def _between(like: Tensor, generator: torch.Generator, low: float, high: float) -> Tensor:
    return low + (high - low) * torch.rand(len(like), 1, 1, generator=generator)


def _sometimes(like: Tensor, generator: torch.Generator, share: float) -> Tensor:
    return (torch.rand(len(like), 1, 1, generator=generator) < share).float()


def _warped(power: Tensor, factor: Tensor) -> Tensor:
    """Stretches the axis of frequencies, as a longer or shorter vocal tract does."""
    num_mels = power.shape[2]
    place = torch.arange(num_mels)[None, None] * factor
    low = place.floor().clamp(0, num_mels - 1)
    share = (place - low).clamp(0, 1)
    index = low.long().expand(-1, power.shape[1], -1)
    above = (index + 1).clamp(max=num_mels - 1)
    return torch.lerp(power.gather(2, index), power.gather(2, above), share)


def _with_echo(power: Tensor, generator: torch.Generator) -> Tensor:
    decay = _between(power, generator, 2.0, 9.0)
    strength = _between(power, generator, 0.0, 0.25) * _sometimes(power, generator, 0.4)
    kernel = strength * torch.exp(-torch.arange(_ECHO_FRAMES, 0, -1.0) / decay)
    kernel = torch.cat([kernel, torch.ones(len(power), 1, 1)], dim=2)
    bands = F.pad(power, (0, 0, _ECHO_FRAMES, 0)).transpose(0, 1)[None]  # 1, T + E, B, M
    flat = bands.permute(0, 3, 2, 1).reshape(power.shape[2], len(power), -1)
    echoed = F.conv1d(flat, kernel, groups=len(power))
    return echoed.permute(1, 2, 0)


def _tone(power: Tensor, generator: torch.Generator) -> Tensor:
    """Decibels of a random smooth response of microphone and room."""
    knots = 5.0 * torch.randn(len(power), 1, 6, generator=generator)
    return F.interpolate(knots, size=power.shape[2], mode="linear", align_corners=True)


def _low_pass(power: Tensor, generator: torch.Generator) -> Tensor:
    edge = _between(power, generator, 0.55, 1.0) * power.shape[2]
    above = (torch.arange(power.shape[2])[None, None] > edge).float()
    return 1 - above * _sometimes(power, generator, 0.25) * 0.999


def _noise(power: Tensor, generator: torch.Generator, least_snr_db: float) -> Tensor:
    """Hiss of a random colour."""
    below = _between(power, generator, least_snr_db / 10, 6.0)
    level = power.mean(dim=(1, 2), keepdim=True) * 10**-below
    slope = _between(power, generator, -1.0, 1.0) * math.log(30.0)
    colour = torch.exp(slope * torch.linspace(-0.5, 0.5, power.shape[2])[None, None])
    grain = -(torch.rand(power.shape, generator=generator).clamp_min(1e-6)).log()
    return level * colour * grain
