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
VelocityFn = Callable[[Latents, Tensor], Latents]
"""Maps latents and their noise level [B] to velocities of their shape; conditions are bound in."""


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


def euler(velocity_fn: VelocityFn, noise: Latents, sigmas: Sequence[float]) -> Latents:
    """Integrates from noise to data with Euler steps.

    Args:
        velocity_fn: The model.
        noise: Starting points, at ``sigma = 1``.
        sigmas: Noise levels, falling from 1 to 0.

    Returns:
        Clean data.
    """
    xs = noise
    for sigma, sigma_next in pairwise(sigmas):
        velocities = velocity_fn(xs, _level(xs, sigma))
        xs = tuple(x + (sigma_next - sigma) * v for x, v in zip(xs, velocities, strict=True))
    return xs


def adams_bashforth(velocity_fn: VelocityFn, noise: Latents, sigmas: Sequence[float]) -> Latents:
    """Integrates with the velocities of two steps, at the cost of `euler` and of second order.

    Args:
        velocity_fn: The model.
        noise: Starting points, at ``sigma = 1``.
        sigmas: Noise levels, falling from 1 to 0; they need not be evenly spaced.

    Returns:
        Clean data.

    Source:
        Hairer, Norsett and Wanner, Solving Ordinary Differential Equations I, III.5: the two-step
        method with variable step size. The first step is one of Euler.
    """
    xs, last, last_step = noise, None, 0.0
    for sigma, sigma_next in pairwise(sigmas):
        step = sigma_next - sigma
        velocities = velocity_fn(xs, _level(xs, sigma))
        slopes = velocities
        if last is not None:
            half = step / last_step / 2
            slopes = tuple(
                (1 + half) * v - half * before for v, before in zip(velocities, last, strict=True)
            )
        xs = tuple(x + step * slope for x, slope in zip(xs, slopes, strict=True))
        last, last_step = velocities, step
    return xs


def renoise(
    velocity_fn: VelocityFn,
    noise: Latents,
    sigmas: Sequence[float],
    *,
    fresh_noise: Callable[[], Latents],
    gradient_step: int | None = None,
) -> Latents:
    """Predicts clean data at each noise level and adds fresh noise for the next one.

    Args:
        velocity_fn: The model, a few-step student.
        noise: Starting points, at ``sigma = 1``.
        sigmas: Noise levels, falling from 1 to 0.
        fresh_noise: Draws noise shaped like the starting points.
        gradient_step: Index of the one step that carries gradient: the steps before it are run
            without, and what it predicts is returned. With ``None`` all steps are run as the
            caller's grad mode says.

    Returns:
        Clean data.

    Raises:
        ValueError: If there is no such step.

    Source:
        Yin et al., Improved Distribution Matching Distillation, arXiv:2405.14867, backward
        simulation; the exit at one step as in Huang et al., Self Forcing, arXiv:2506.08009.
    """
    if gradient_step is not None and not 0 <= gradient_step < len(sigmas) - 1:
        raise ValueError(f"gradient_step is {gradient_step}, there are {len(sigmas) - 1} steps")
    xs, grad = noise, torch.is_grad_enabled()
    for index, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
        level = _level(xs, sigma)
        with torch.set_grad_enabled(grad and gradient_step in (None, index)):
            velocities = velocity_fn(xs, level)
            clean = tuple(
                x0_from_velocity(x, v, level) for x, v in zip(xs, velocities, strict=True)
            )
        if index == gradient_step or index == len(sigmas) - 2:
            return clean
        noisy = _level(xs, sigma_next)
        xs = tuple(add_noise(x, n, noisy) for x, n in zip(clean, fresh_noise(), strict=True))
    raise ValueError("there is no step: give at least two noise levels")


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


def _level(xs: Latents, sigma: float) -> Float[Tensor, " b"]:
    return torch.full_like(xs[0].flatten(1)[:, 0], sigma)


def _trailing(sigma: Tensor, like: Tensor) -> Tensor:
    return sigma.reshape(-1, *(1,) * (like.ndim - 1))
