"""What must be kept to go on with training as if it had not stopped."""

import copy
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

STATE = "state.pt"
_WARM_STEPS = 10


@dataclass(kw_only=True)
class TrainState:
    """Progress of a stage.

    Attributes:
        step: Steps done.
        num_steps: All steps; 0 until it is known.
        seconds: Spent in steps.
        probe_s: Spent in the first one.
        mean: Running mean of the trained weights, by name.
    """

    step: int = 0
    num_steps: int = 0
    seconds: float = 0.0
    probe_s: float = 0.0
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
    folder: Path, state: TrainState, stage: nn.Module, optimizer: torch.optim.Optimizer
) -> None:
    """Writes the state so that the old one stays until the new one is whole.

    Args:
        folder: Where to.
        state: Progress and mean.
        stage: Weights and buffers.
        optimizer: Its moments.

    Raises:
        OSError: If the disk is full; the old state is then still there.
    """
    content = {
        "state": copy.copy(state.__dict__),
        "stage": stage.state_dict(),
        "optimizer": optimizer.state_dict(),
    }
    partial = folder / f"{STATE}.part"
    try:
        torch.save(content, partial)
        partial.replace(folder / STATE)
    finally:
        partial.unlink(missing_ok=True)


def load_state(
    folder: Path, stage: nn.Module | None, optimizer: torch.optim.Optimizer | None
) -> TrainState | None:
    """Reads what `save_state` wrote, into stage and optimiser if given.

    Args:
        folder: Where from.
        stage: Gets weights and buffers.
        optimizer: Gets its moments.

    Returns:
        The state; ``None`` if there is none.
    """
    path = folder / STATE
    if not path.is_file():
        return None
    content = torch.load(path, weights_only=True, map_location="cpu")
    if stage is not None:
        stage.load_state_dict(content["stage"])
    if optimizer is not None:
        optimizer.load_state_dict(content["optimizer"])
    state = TrainState(**content["state"])
    if stage is not None:
        places = {name: weight.device for name, weight in stage.named_parameters()}
        state.mean = {name: mean.to(places[name]) for name, mean in state.mean.items()}
    return state
