"""Exponential moving averages of the weights of a stage, by name."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

_WARM_UPDATES = 10


@torch.no_grad()
def update_mean(
    mean: dict[str, Tensor],
    weights: Iterable[tuple[str, Tensor]],
    *,
    decay: float,
    num_updates: int,
) -> None:
    """Moves averages towards weights, faster in the first updates.

    Args:
        mean: Averages by name, changed in place.
        weights: Weights by name; those without an average are passed over.
        decay: Share that an average keeps of itself, once it is warm.
        num_updates: How often the weights were updated, this time included.
    """
    share = 1 - min(decay, num_updates / (num_updates + _WARM_UPDATES))
    for name, weight in weights:
        if name in mean:
            mean[name].lerp_(weight, share)


@torch.no_grad()
def use_mean(mean: dict[str, Tensor], stage: nn.Module) -> None:
    """Replaces the weights of a stage by their averages, where there are some."""
    for name, weight in stage.named_parameters():
        if name in mean:
            weight.copy_(mean[name])
