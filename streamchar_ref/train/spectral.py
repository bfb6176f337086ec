"""Distances between waveforms in several resolutions of time and frequency.

Shape letters: B batch, S samples.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from streamchar_ref.networks.vae.mel import LogMel

RESOLUTIONS = ((1024, 256), (512, 128), (256, 64), (128, 32))
_FLOOR = 1e-5


def spectral_loss(said: Float[Tensor, "B S"], true: Float[Tensor, "B S"]) -> Float[Tensor, ""]:
    """Spectral convergence plus distance of log magnitudes, over all `RESOLUTIONS`.

    Args:
        said: Waveform that carries gradient.
        true: The one to be matched.

    Returns:
        Mean over resolutions.

    Source:
        Yamamoto et al., Parallel WaveGAN, arXiv:1910.11480, Eq. 4-6.
    """
    losses = []
    for window, hop in RESOLUTIONS:
        a, b = (_magnitude(x, window, hop) for x in (said, true))
        convergence = (b - a).square().sum(dim=(1, 2)).sqrt() / b.square().sum(dim=(1, 2)).sqrt()
        distance = (a.clamp_min(_FLOOR).log() - b.clamp_min(_FLOOR).log()).abs().mean()
        losses.append(convergence.clamp(max=2.0).mean() + distance)
    return torch.stack(losses).mean()


def mel_loss(
    mel: LogMel, said: Float[Tensor, "B S"], true: Float[Tensor, "B S"]
) -> Float[Tensor, ""]:
    """Mean distance of log-mel spectrograms."""
    return (mel(said) - mel(true)).abs().mean()


def _magnitude(x: Tensor, window: int, hop: int) -> Tensor:
    shape = torch.hann_window(window, device=x.device)
    spectrum = torch.stft(x, window, hop, window=shape, center=False, return_complex=True)
    return (spectrum.real.square() + spectrum.imag.square() + _FLOOR**2).sqrt()
