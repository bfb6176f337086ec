"""Bytes and waveforms to tensors and back, and what comes back of them through a VAE.

Shape letters: T frames, H and W pixels, S audio samples.
"""

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor, nn

from streamchar_ref.networks.vae.audio import AudioVae
from streamchar_ref.networks.vae.causal import Past
from streamchar_ref.networks.vae.video import TEMPORAL_STRIDE, VideoVae


def to_tensor(frames: UInt8[np.ndarray, "T H W 3"]) -> Float32[torch.Tensor, "T 3 H W"]:
    """Turns RGB bytes into values in [-1, 1]."""
    return torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 127.5 - 1


def to_uint8(frames: Float[Tensor, "T 3 H W"]) -> UInt8[np.ndarray, "T H W 3"]:
    """Turns pictures in [-1, 1] into RGB bytes."""
    rgb = ((frames.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return rgb.permute(0, 2, 3, 1).contiguous().cpu().numpy()


def to_wave(samples: Float[Tensor, " S"]) -> Float32[np.ndarray, " S"]:
    """Clips a waveform to [-1, 1]."""
    return samples.float().clamp(-1, 1).cpu().numpy()


def to_square(picture: UInt8[np.ndarray, "H W 3"], size: int) -> Float[Tensor, "3 size size"]:
    """Crops the middle square of a picture and resizes it, to values in [-1, 1]."""
    side = min(picture.shape[:2])
    top, left = ((length - side) // 2 for length in picture.shape[:2])
    square = torch.from_numpy(picture[top : top + side, left : left + side].copy())
    rgb = square.permute(2, 0, 1)[None].float() / 127.5 - 1
    if side == size:
        return rgb[0]
    return nn.functional.interpolate(rgb, (size, size), mode="bilinear", antialias=True)[0]


@torch.no_grad()
def reconstruct_video(
    vae: VideoVae, frames: UInt8[np.ndarray, "T H W 3"], past: Past | None = None
) -> tuple[UInt8[np.ndarray, "_ H W 3"], Past]:
    """Encodes and decodes frames.

    Args:
        vae: The network.
        frames: RGB; those at the end that fill no whole latent are left out.
        past: Of the decoder, from the frames before these.

    Returns:
        What comes back, and the decoder's state after it.
    """
    whole = len(frames) - (len(frames) - vae.config.first_latent_frames) % TEMPORAL_STRIDE
    device = vae.whitening.mean.device
    decoded, past = vae.decode(vae.encode(to_tensor(frames[:whole])[None].to(device)), past)
    return to_uint8(decoded[0]), past


@torch.no_grad()
def reconstruct_audio(
    vae: AudioVae, samples: Float32[np.ndarray, " S"]
) -> Float32[np.ndarray, " _"]:
    """Encodes and decodes audio; samples at the end that fill no whole latent are left out."""
    device = vae.whitening.mean.device
    return to_wave(vae.decode(vae.encode(torch.from_numpy(samples)[None].to(device)))[0][0])
