"""How long a judge trains: a fixed number of steps, or as far as the minutes go."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

Say = Callable[[str], None]


@dataclass(kw_only=True)
class Schedule:
    """Steps and learning rate of one training; ends at its last step or when time is up.

    The rate rises over the first steps, stays, and falls to 0 over the last 40 % of the steps or
    of the minutes, whichever end comes first: a machine that is too slow makes a weaker judge,
    and the weights say so.

    Attributes:
        num_steps: On a machine that is fast enough; then runs with one seed are the same.
        max_minutes: Of this process's time on a processor, from when this object was made,
            preparation included; a busy machine thus makes no weaker judge.
        peak_rate: Highest learning rate.
        warm_up: Steps until it is reached.
        clock: Seconds; replaced in tests.
        step: How many steps were made.
    """

    num_steps: int
    max_minutes: float
    peak_rate: float
    warm_up: int = 100
    clock: Callable[[], float] = time.process_time
    step: int = 0
    _start_s: float = field(init=False)
    _first_step_s: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self._start_s = self.clock()

    @property
    def elapsed_minutes(self) -> float:
        """Since the beginning."""
        return (self.clock() - self._start_s) / 60

    @property
    def is_complete(self) -> bool:
        """Whether all steps were made."""
        return self.step >= self.num_steps

    def account(
        self, judge: str, losses: Sequence[float], *, is_prepared: bool, digits: int, **facts: Any
    ) -> dict[str, Any]:
        """Says how a judge was made, to be kept with its weights.

        Args:
            judge: Its name.
            losses: Of all steps.
            is_prepared: Whether all that it should learn from was there.
            digits: Of the loss, the mean over the last steps.
            **facts: What else there is to say: style, seed, how much it learnt from.

        Returns:
            JSON values.
        """
        recent = losses[-50:]
        return {
            "judge": judge,
            "command": f"streamchar judges train {judge}",
            **facts,
            "steps": self.step,
            "is_complete": self.is_complete and is_prepared,
            "max_minutes": self.max_minutes,
            "loss": round(sum(recent) / len(recent), digits) if recent else None,
        }

    def steps(self, optimizer: torch.optim.Optimizer) -> Iterator[int]:
        """Sets the learning rate for each step to make."""
        self._first_step_s = self.clock()
        while (share := self._share()) < 1:
            rate = self.peak_rate * min(1.0, (self.step + 1) / self.warm_up)
            for group in optimizer.param_groups:
                group["lr"] = rate * min(1.0, (1 - share) / 0.4)
            yield self.step
            self.step += 1

    def _share(self) -> float:
        """Of the training that is behind us, by steps or by minutes."""
        end_s = self._start_s + 60 * self.max_minutes
        left = max(end_s - self._first_step_s, 1e-9)
        by_time = (self.clock() - self._first_step_s) / left
        by_steps = self.step / self.num_steps
        return by_time if by_time >= 1 or by_time > by_steps + 0.02 else by_steps


class Average:
    """A running mean of a network's weights and buffers, which is what is kept.

    Args:
        network: To be averaged.
        decay: Of older weights at each update.
    """

    def __init__(self, network: nn.Module, *, decay: float = 0.998) -> None:
        self._decay = decay
        self._mean = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        self._updates = 0

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Takes in the present weights."""
        self._updates += 1
        decay = min(self._decay, self._updates / (self._updates + 10))
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point():
                self._mean[name].lerp_(tensor, 1 - decay)
            else:
                self._mean[name].copy_(tensor)

    def put_into(self, network: nn.Module) -> None:
        """Replaces the network's weights by their mean."""
        network.load_state_dict(self._mean)
