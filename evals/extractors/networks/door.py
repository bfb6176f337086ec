"""What a network is given, checked at its door: another convention is an error, not a number.

A network fed [0, 1] where it was trained on [-1, 1], or RGB where BGR is due, answers with numbers
that look like any others. So every network that is had by path takes 8-bit RGB pixels, or mono
sound at 16 kHz in [-1, 1], and nothing else, maps them itself, and checks what the map gave. Shape
letters: N pictures, H and W pixels.
"""

import numpy as np
import torch
from torch import Tensor

SOUND_RATE = 16_000
LOUDEST = 2.0
"""Decoders of compressed sound go beyond 1 by a little; 16-bit integers by far."""


class WrongConvention(ValueError):
    """Raised where a network is given values of another range, type or layout than it needs."""


def require_pixels(pixels: np.ndarray, network: str) -> np.ndarray:
    """Lets 8-bit RGB pictures pass.

    Args:
        pixels: One picture or several, the channels last.
        network: For the message.

    Returns:
        The pixels.

    Raises:
        WrongConvention: If they are of another type, or the last axis is not that of three
            colours; floats in [0, 1] and channels first are named.
    """
    if pixels.dtype != np.uint8:
        low, high = (float(pixels.min()), float(pixels.max())) if pixels.size else (0.0, 0.0)
        raise WrongConvention(
            f"{network} takes 8-bit pixels, 0 to 255, not {pixels.dtype} in "
            f"[{low:.3g}, {high:.3g}]; it maps them to its own range itself"
        )
    if pixels.ndim < 3 or pixels.shape[-1] != 3:
        where = "first" if pixels.ndim >= 3 and 3 in pixels.shape[:2] else "elsewhere"
        raise WrongConvention(
            f"{network} takes pictures with the three colours last, not of shape "
            f"{tuple(pixels.shape)} with the channels {where}"
        )
    return pixels


def require_range(
    values: Tensor, low: float, high: float, network: str, *, is_mapped: bool = False
) -> Tensor:
    """Lets a tensor pass that may be what a network was trained on.

    Args:
        values: Of type float32.
        low: Smallest value there can be.
        high: Largest value there can be.
        network: For the message.
        is_mapped: Whether our own code mapped them from 8-bit pixels just now, so that a bright
            picture is one, and no picture in another range.

    Returns:
        The values.

    Raises:
        WrongConvention: If the type differs, a value is outside or not finite, or the range is
            signed and nothing is below 0: pictures in [0, 1] look so.
    """
    if values.dtype != torch.float32:
        raise WrongConvention(f"{network} takes float32, not {values.dtype}")
    least, most = (float(values.min()), float(values.max())) if values.numel() else (low, high)
    if not (low - 1e-4 <= least and most <= high + 1e-4):
        raise WrongConvention(
            f"{network} takes values in [{low:g}, {high:g}], these are in [{least:.3g}, {most:.3g}]"
        )
    if low < 0 <= least and not is_mapped:
        raise WrongConvention(
            f"{network} takes values in [{low:g}, {high:g}], these are in [{least:.3g}, "
            f"{most:.3g}]: pixels in [0, 1] are mapped by 2 x - 1 first"
        )
    return values


def require_sound(samples: np.ndarray, sample_rate: int, network: str) -> np.ndarray:
    """Lets mono sound at 16 kHz in [-1, 1] pass.

    Args:
        samples: One sound.
        sample_rate: Of the samples.
        network: For the message.

    Returns:
        The samples.

    Raises:
        WrongConvention: If the rate is another, the samples are of another type or several
            channels, or their range is that of 16-bit integers or of [0, 1].
    """
    if sample_rate != SOUND_RATE:
        raise WrongConvention(f"{network} takes sound at {SOUND_RATE} Hz, not {sample_rate}")
    if samples.dtype != np.float32 or samples.ndim != 1:
        raise WrongConvention(
            f"{network} takes mono float32, not {samples.dtype} of shape {tuple(samples.shape)}"
        )
    least, most = (float(samples.min()), float(samples.max())) if samples.size else (0.0, 0.0)
    if not (np.isfinite([least, most]).all() and max(-least, most) <= LOUDEST):
        raise WrongConvention(
            f"{network} takes sound in [-1, 1], this is in [{least:.3g}, {most:.3g}]: samples of "
            "16 bits are divided by 32768 first"
        )
    if least >= 0 < most:
        raise WrongConvention(
            f"{network} takes sound in [-1, 1], this is in [{least:.3g}, {most:.3g}] and never "
            "negative: sound in [0, 1] is mapped by 2 x - 1 first"
        )
    return samples
