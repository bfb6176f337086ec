"""Noise levels and losses of latents, which all stages of orchestrator and DiT share.

Shape letters: B batch, F latent frames of a chunk, C channels, h and w cells.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from streamchar_ref.sampling import flow

STILL = 0.3
"""Weight of a latent cell that does not change; it grows with the change, to 1 on the average."""
MOUTH = 12.0
"""Further weight of a cell that the mouth fills: it takes a fiftieth of the picture."""


def video_weight(
    video: Float[Tensor, "B F C h w"], mouth: Float[Tensor, "B F h w"]
) -> Float[Tensor, "B F 1 h w"]:
    """Weights each latent cell by its change, and the mouth most."""
    change = video.std(dim=1).mean(dim=1)
    mean = change.mean(dim=(1, 2), keepdim=True).clamp(min=1e-6)
    return (STILL + (1 - STILL) * change / mean)[:, None, None] + MOUTH * mouth[:, :, None]


def apply_pixel_metric(
    miss: Float[Tensor, "B F C h w"], sensitivity: Float[Tensor, "C C"]
) -> Float[Tensor, "B F C h w"]:
    """Weights each direction of the latents by its effect on pixels, in full precision."""
    with torch.autocast(miss.device.type, enabled=False):
        return torch.einsum("bfchw,cd->bfdhw", miss, sensitivity)


def by_noise_level(name: str, errors: Tensor, sigmas: Tensor) -> dict[str, Tensor]:
    """Averages errors in each quarter of the noise levels; NaN where none was drawn."""
    quarter = (4 * sigmas).long().clamp(max=3)
    return {f"{name}_{q}": errors.detach()[quarter == q].mean() for q in range(4)}


def draw_sigma(
    count: int, generator: torch.Generator, shift: float = 1.0
) -> Float[Tensor, " count"]:
    """Draws noise levels, most of them in the middle.

    Args:
        count: How many.
        generator: Of the draw, on the device where they are wanted.
        shift: Moves them up, see `flow.shifted_sigmas`.

    Returns:
        Levels in (0, 1).

    Source:
        Esser et al., arXiv:2403.03206: logit-normal levels.
    """
    normal = torch.randn(count, generator=generator, device=generator.device)
    return flow.shifted(normal.sigmoid(), shift)
