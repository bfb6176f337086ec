"""What the training loop asks of a stage, and the randomness that it hands out."""

import zlib
from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class Draw:
    """Randomness of one update.

    Attributes:
        step: Number of the step.
        batch: Samples to draw.
        seed: Of data and noise.
        rank: Of this process.
        group: Name of the group of weights that is updated; empty in a stage with one loss.
    """

    step: int
    batch: int
    seed: int
    rank: int = 0
    group: str = ""

    def generator(self, device: str | torch.device = "cpu") -> torch.Generator:
        """Returns a fresh torch generator; each group of a step has its own random numbers."""
        number = (self.seed * 1_000_003 + self.step) * 1_009 + self.rank
        if self.group:
            number = number * 1_000_003 + zlib.crc32(self.group.encode())
        return torch.Generator(device).manual_seed(number % 2**63)


class Stage(nn.Module):
    """Networks, data and losses that are trained together.

    Attributes:
        name: As on the command line.
        flops_per_sample: Of a forward and a backward pass, for the log; 0 counts them in the first
            step.
    """

    name: str
    flops_per_sample: float = 0.0

    @abstractmethod
    def forward(self, draw: Draw) -> tuple[Tensor, dict[str, Tensor]]:
        """Draws a batch and returns its loss, and parts of it for the log.

        A stage with several groups of weights (`OptimConfig.groups`) is called once for each group
        that is due, in their order, and returns the loss of ``draw.group``. Only that group's
        weights require gradients during the call, and they are updated before the next call.

        Args:
            draw: Randomness of the update.

        Returns:
            The loss, and parts by name, the same names in every step. A part is NaN where the
            batch says nothing about it, e.g. has no sample of that noise level; the log averages
            the others.
        """

    def finish(self) -> None:
        """Runs on the averaged weights when a run ends, e.g. to measure statistics."""

    def log_samples(self, folder: Path) -> None:
        """Writes samples that a person can look at."""

    def divergence(self, row: dict[str, float]) -> str:
        """Says by which sign training has gone wrong though the loss is a number.

        Args:
            row: A row of the log, means over the last steps by column.

        Returns:
            The sign and its limit; empty if all is well. It ends the run.
        """
        return ""
