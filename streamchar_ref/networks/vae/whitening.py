"""Latents with mean 0 and deviation 1 in every channel, so that a noise level means one thing."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from streamchar_ref.core.errors import InputError


class LatentNormalizer(nn.Module):
    """Per-channel shift and scale, measured once after a VAE is trained.

    Args:
        channels: C, the last axis of latents.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("deviation", torch.ones(channels))

    def whiten(self, latents: Float[Tensor, "*rest C"]) -> Float[Tensor, "*rest C"]:
        """Takes raw latents to mean 0 and deviation 1."""
        return (latents - self.mean) / self.deviation

    def colour(self, latents: Float[Tensor, "*rest C"]) -> Float[Tensor, "*rest C"]:
        """Undoes `whiten`."""
        return latents * self.deviation + self.mean

    def measure(self, latents: Float[Tensor, "N C"]) -> None:
        """Sets mean and deviation from raw latents of the training data.

        Args:
            latents: At least two.

        Raises:
            InputError: If a channel never changes, so carries nothing.
        """
        if len(latents) < 2:
            raise InputError("every channel of a single latent is constant: measure over more")
        deviation = latents.std(dim=0)
        if not bool((deviation > 1e-6).all()):
            raise InputError("a latent channel is constant: train the VAE longer or use fewer")
        self.mean.copy_(latents.mean(dim=0))
        self.deviation.copy_(deviation)
