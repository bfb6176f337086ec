"""Rectified-flow algebra: the one place that knows how noise, data and velocity relate.

Convention (StreamChar Eq. 1-2, where it is called t; Wan 2.1; FLUX.1): ``sigma`` in [0, 1],
1 = pure noise,

    x_sigma = (1 - sigma) * x0 + sigma * noise        velocity = dx/dsigma = noise - x0

Libraries that call data ``t = 1`` (facebookresearch/flow_matching, Matcha-TTS) have the opposite
sign; convert where their weights are loaded, nowhere else.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

LevelT = TypeVar("LevelT", float, Tensor)
Latents = tuple[Tensor, ...]
"""Latents of several modalities at one noise level, video before audio."""


def add_noise(
    x0: Float[Tensor, " b *rest"], noise: Float[Tensor, " b *rest"], sigma: Float[Tensor, " b"]
) -> Float[Tensor, " b *rest"]:
    """Moves clean data to noise level ``sigma``."""
    sigma = _trailing(sigma, x0)
    return (1 - sigma) * x0 + sigma * noise


def x0_from_velocity(
    x: Float[Tensor, " b *rest"], velocity: Float[Tensor, " b *rest"], sigma: Float[Tensor, " b"]
) -> Float[Tensor, " b *rest"]:
    """Predicts clean data from a velocity prediction at noise level ``sigma``."""
    return x - _trailing(sigma, x) * velocity


def sample(
    velocity_fn: Callable[[Latents, Tensor], Latents],
    noise: Latents,
    sigmas: Sequence[float],
) -> Latents:
    """Integrates from noise to data with Euler steps.

    Args:
        velocity_fn: Maps latents, one tensor a modality, and their noise level to velocities
            shaped like them; conditions are bound in.
        noise: Starting points, at ``sigma = 1``.
        sigmas: Noise levels, falling from 1 to 0.

    Returns:
        Clean data.
    """
    xs = noise
    for sigma, sigma_next in pairwise(sigmas):
        velocities = velocity_fn(xs, torch.full_like(xs[0].flatten(1)[:, 0], sigma))
        xs = tuple(x + (sigma_next - sigma) * v for x, v in zip(xs, velocities, strict=True))
    return xs


def shifted_sigmas(num_steps: int, shift: float = 1.0) -> tuple[float, ...]:
    """Returns noise levels from 1 to 0, evenly spaced and then moved towards 1.

    Args:
        num_steps: Steps between them.
        shift: 1 leaves them; with more tokens, more noise is needed to hide a picture.

    Returns:
        ``num_steps + 1`` levels.

    Raises:
        ValueError: If there is no step.

    Source:
        Esser et al., Scaling Rectified Flow Transformers, arXiv:2403.03206, Eq. 23.
    """
    if num_steps < 1:
        raise ValueError(f"num_steps must be at least 1, not {num_steps}")
    return tuple(shifted(1 - index / num_steps, shift) for index in range(num_steps + 1))


def shifted(level: LevelT, shift: float) -> LevelT:
    """Moves a noise level, or many, towards 1, as `shifted_sigmas` does."""
    return shift * level / (1 + (shift - 1) * level)


def _trailing(sigma: Tensor, like: Tensor) -> Tensor:
    return sigma.reshape(-1, *(1,) * (like.ndim - 1))
