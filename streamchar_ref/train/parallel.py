"""Training on several processes started by ``torchrun``: the same code, wrapped."""

import os
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

SHARDED_ABOVE = 1_000_000_000
"""Parameters beyond which weights and moments are spread over the processes (FSDP)."""


@dataclass(frozen=True, kw_only=True)
class Team:
    """The processes that train together.

    Attributes:
        rank: Number of this one.
        size: Number of all.
    """

    rank: int = 0
    size: int = 1

    @classmethod
    def of_this_process(cls) -> "Team":
        """Joins the group that ``torchrun`` names in the environment; alone without it."""
        size = int(os.environ.get("WORLD_SIZE", "1"))
        if size == 1:
            return cls()
        if not dist.is_initialized():
            dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
        return cls(rank=dist.get_rank(), size=size)

    @property
    def is_first(self) -> bool:
        """Whether this process writes files."""
        return self.rank == 0

    def agree(self, wish: bool) -> bool:
        """Returns whether all processes wish it, so that none goes on alone."""
        if self.size == 1:
            return wish
        votes = torch.tensor([int(wish)], device=_device())
        dist.all_reduce(votes, dist.ReduceOp.MIN)
        return bool(votes)

    def of_first(self, number: int) -> int:
        """Returns the number that the first process has."""
        if self.size == 1:
            return number
        told = torch.tensor([number], device=_device())
        dist.broadcast(told, 0)
        return int(told)

    def wrap(self, module: nn.Module) -> nn.Module:
        """Makes gradients be shared; small models are copied, large ones spread."""
        if self.size == 1:
            return module
        if sum(p.numel() for p in module.parameters()) > SHARDED_ABOVE:
            from torch.distributed.fsdp import fully_shard

            fully_shard(module)
            return module
        return DistributedDataParallel(module)


def _device() -> str:
    return "cuda" if dist.get_backend() == "nccl" else "cpu"
