"""What must be kept to go on with training as if it had not stopped."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from streamchar_ref.train.parallel import Team, placed_like, whole

STATE = "state.pt"
_WARM_STEPS = 10


@dataclass(kw_only=True)
class TrainState:
    """Progress of a stage.

    Attributes:
        step: Steps done.
        num_steps: All steps; 0 until it is known.
        seconds: Spent in steps.
        flops_per_sample: Of a forward and a backward pass; ``None`` until it is measured.
        mean: Running mean of the trained weights, by name.
    """

    step: int = 0
    num_steps: int = 0
    seconds: float = 0.0
    flops_per_sample: float | None = None
    mean: dict[str, Tensor] = field(default_factory=dict)

    @classmethod
    def fresh(cls, stage: nn.Module, *, num_steps: int) -> "TrainState":
        """Starts at the stage's weights."""
        weights = {n: p.detach().clone() for n, p in stage.named_parameters() if p.requires_grad}
        return cls(num_steps=num_steps, mean=weights)

    @property
    def is_done(self) -> bool:
        """Whether all steps are done."""
        return 0 < self.num_steps <= self.step

    @torch.no_grad()
    def average(self, stage: nn.Module, decay: float) -> None:
        """Moves the mean towards the weights, faster in the first steps."""
        share = 1 - min(decay, self.step / (self.step + _WARM_STEPS))
        for name, weight in stage.named_parameters():
            if name in self.mean:
                self.mean[name].lerp_(weight, share)

    @torch.no_grad()
    def use_average(self, stage: nn.Module) -> None:
        """Puts the mean in the place of the weights."""
        for name, weight in stage.named_parameters():
            if name in self.mean:
                weight.copy_(self.mean[name])


def save_state(
    folder: Path,
    state: TrainState,
    stage: nn.Module,
    optimizers: Sequence[torch.optim.Optimizer],
) -> None:
    """Writes the state so that the old one stays until the new one is whole.

    All processes must call it; the first one writes, the same file for any number of them.

    Args:
        folder: Where to.
        state: Progress and mean.
        stage: Weights and buffers.
        optimizers: Their moments.

    Raises:
        OSError: If the disk is full; the old state is then still there.
    """
    content = {
        "state": copy.copy(state.__dict__),
        "stage": stage.state_dict(),
        "optimizers": [each.state_dict() for each in optimizers],
    }
    is_first = Team.of_this_process().is_first
    content = whole(content, keep=is_first)
    if not is_first:
        return
    partial = folder / f"{STATE}.part"
    try:
        with partial.open("wb") as file:  # torch's own writer has no OSError for a full disk
            torch.save(content, file)
        partial.replace(folder / STATE)
    finally:
        partial.unlink(missing_ok=True)


def load_state(
    folder: Path, stage: nn.Module | None, optimizers: Sequence[torch.optim.Optimizer]
) -> TrainState | None:
    """Reads what `save_state` wrote, into stage and optimisers if given.

    Args:
        folder: Where from.
        stage: Gets weights and buffers.
        optimizers: Get their moments.

    Returns:
        The state; ``None`` if there is none.

    Raises:
        ValueError: If it is of a run with other optimisers.
    """
    path = folder / STATE
    if not path.is_file():
        return None
    content = torch.load(path, weights_only=True, map_location="cpu")
    state = TrainState(**content["state"])
    if stage is not None:
        stage.load_state_dict(_placed(content["stage"], stage.state_dict()))
        state.mean = _placed(state.mean, dict(stage.named_parameters()))
    moments = content.get("optimizers", [])
    if optimizers and len(moments) != len(optimizers):
        raise ValueError(
            f"{path} was written with other optimisers; go on from the weights beside it, with "
            "--from, in another folder"
        )
    for optimizer, kept in zip(optimizers, moments, strict=False):
        _load_moments(optimizer, kept)
    return state


def _placed(tensors: dict[str, Tensor], models: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        name: placed_like(tensor, models[name]) if name in models else tensor
        for name, tensor in tensors.items()
    }


def _load_moments(optimizer: torch.optim.Optimizer, kept: dict[str, Any]) -> None:
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    moments = kept["state"]
    for number, each in moments.items():
        moments[number] = _moments_placed(each, weights[number])
    optimizer.load_state_dict(kept)


def _moments_placed(kept: dict[str, Any], weight: Tensor) -> dict[str, Any]:
    """Spreads the moments as their weight is; the count of steps has no shape to spread."""
    return {
        name: placed_like(value, weight) if value.shape == weight.shape else value
        for name, value in kept.items()
    }
