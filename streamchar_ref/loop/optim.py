"""Optimisers of a stage: Muon and AdamW for each group of weights."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from streamchar_ref.core.errors import InputError
from streamchar_ref.loop.config import OptimConfig, OptimGroup, UpdateRule
from streamchar_ref.loop.muon import ExactMuon

_BLOCKS = re.compile(r"(^|\.)(blocks|backbone\.layers)\.\d")


@dataclass(frozen=True, kw_only=True)
class GroupOptimizer:
    """A group of weights with its optimisers.

    Attributes:
        config: How the group is optimised.
        weights: Its weights by name.
        optimizers: One or two, see `_optimizers`.
    """

    config: OptimGroup
    weights: Mapping[str, nn.Parameter]
    optimizers: Sequence[torch.optim.Optimizer]

    def step(self) -> None:
        """Updates the weights by their gradients."""
        for optimizer in self.optimizers:
            optimizer.step()

    def set_rate(self, rate: float) -> None:
        """Sets the learning rate of all weights."""
        for optimizer in self.optimizers:
            for weights in optimizer.param_groups:
                weights["lr"] = rate


def group_optimizers(stage: nn.Module, settings: OptimConfig) -> list[GroupOptimizer]:
    """Makes the optimisers of all groups.

    Args:
        stage: With the weights to be trained; those that require no gradient stay as they are.
        settings: How.

    Returns:
        Groups in the order of the settings.

    Raises:
        InputError: If a trained weight is in no group or in several, or a group has none.
    """
    trained = {name: each for name, each in stage.named_parameters() if each.requires_grad}
    groups = settings.all_groups()
    names = [group.name for group in groups]
    if len(set(names)) < len(names):
        raise InputError(f"several groups have the same name: {', '.join(names)}")
    for name in trained:
        owners = [group.name for group in groups if name.startswith(group.parts)]
        if len(owners) != 1:
            raise InputError(
                f"the trained weight {name!r:.80} is in {len(owners)} groups of weights, not in "
                f"one of {', '.join(names)}"
            )
    made = []
    for group in groups:
        weights = {name: each for name, each in trained.items() if name.startswith(group.parts)}
        if group.name and not weights:
            raise InputError(f"the group {group.name!r:.60} has no weight to train")
        optimizers = _optimizers(weights, group, is_half=settings.bfloat16)
        made.append(GroupOptimizer(config=group, weights=weights, optimizers=optimizers))
    return made


def averaged_weights(groups: Sequence[GroupOptimizer]) -> dict[str, Tensor]:
    """Returns the weights of all groups that keep an average, by name."""
    averaging = [group for group in groups if group.config.ema_decay]
    return {name: weight for group in averaging for name, weight in group.weights.items()}


@contextmanager
def trained_alone(group: GroupOptimizer, groups: Sequence[GroupOptimizer]) -> Iterator[None]:
    """Lets no other group's weights require gradients inside the block."""
    others = [w for each in groups if each is not group for w in each.weights.values()]
    for weight in others:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in others:
            weight.requires_grad_(True)


def _optimizers(
    weights: Mapping[str, nn.Parameter], rule: UpdateRule, *, is_half: bool
) -> list[torch.optim.Optimizer]:
    """Makes Muon, if it is wanted, for matrices inside blocks, and AdamW for the rest.

    Args:
        weights: By name.
        rule: How they are updated.
        is_half: Whether Muon may iterate in bfloat16, as torch's does.

    Returns:
        One or two optimisers.
    """
    in_blocks = {
        name: weight
        for name, weight in weights.items()
        if rule.muon and weight.ndim == 2 and _BLOCKS.search(name)
    }
    rest = [weight for name, weight in weights.items() if name not in in_blocks]
    param_groups: list[dict[str, Any]] = [
        {"params": [w for w in rest if w.ndim >= 2], "weight_decay": rule.weight_decay},
        {"params": [w for w in rest if w.ndim < 2], "weight_decay": 0.0},
    ]
    rate, decay = rule.learning_rate, rule.weight_decay
    adamw = torch.optim.AdamW(param_groups, lr=rate, betas=rule.betas, fused=True)
    if not in_blocks:
        return [adamw]
    matrices = [*in_blocks.values()]
    if not is_half:
        return [ExactMuon(matrices, lr=rate, weight_decay=decay), adamw]
    muon = torch.optim.Muon(matrices, lr=rate, weight_decay=decay, adjust_lr_fn="match_rms_adamw")
    return [muon, adamw]
